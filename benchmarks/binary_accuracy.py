"""Accuracy of binary networks on Fashion-MNIST by scheme, over three seeds, in Keras and LiteRT.

    python -m benchmarks.binary_accuracy            # train, export, then binary_accuracy.md
    python -m benchmarks.binary_accuracy --report   # binary_accuracy.md of what there is

`binary_accuracy_protocol` says what is trained and how. Results are appended to files in the output
folder, one line a network; what is there already is not done again, so a run that was broken off
goes on. Trained networks are kept there too: `--skip-export` and `--skip-training` do one half
only. Seeds can run side by side: `--seeds 0 --threads 1 &` and so on.
"""

import argparse
import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

import tfq_lowbit as tfq
from benchmarks import binary_accuracy_protocol as protocol
from benchmarks.accuracy_protocol import accuracy, evaluate
from benchmarks.binary_accuracy_report import write_report
from benchmarks.report import read_versions
from tfq_lowbit.demo import load_data
from tfq_lowbit.runtime import run

PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")
NUM_VERIFIED = 256


def train_one(folder, name, seed, epochs, data):
    """Train one network, keep it, and append its accuracy in Keras."""
    model, seconds = protocol.train(name, seed, epochs, data.train_images, data.train_labels)
    model.save(protocol.model_path(folder, name, seed, epochs))
    protocol.add_result(
        folder,
        protocol.TRAINED_FILE,
        name=name,
        seed=seed,
        epochs=epochs,
        keras=evaluate(model, data.test_images, data.test_labels),
        seconds=round(seconds, 1),
        versions=read_versions(PACKAGES),
    )


def export_one(folder, name, seed, epochs, data):
    """Export one trained network, and append the accuracy and size of its file."""
    model = keras.models.load_model(protocol.model_path(folder, name, seed, epochs))
    with tempfile.TemporaryDirectory() as temporary:
        path = os.path.join(temporary, "model.tflite")
        report = tfq.export_tflite(model, path, verify_data=data.test_images[:NUM_VERIFIED])
        scores = run(path, data.test_images)
    protocol.add_result(
        folder,
        protocol.EXPORTED_FILE,
        name=name,
        seed=seed,
        epochs=epochs,
        litert=accuracy(scores, data.test_labels),
        exact=bool(report.fidelity.is_exact),
        num_bytes=report.num_bytes,
    )


def main():
    parser = argparse.ArgumentParser(description="Binary networks on Fashion-MNIST, three seeds.")
    parser.add_argument("--output", default="build/binary_accuracy", help="folder of the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(protocol.SEEDS))
    parser.add_argument("--epochs", type=int, default=protocol.EPOCHS)
    parser.add_argument("--names", nargs="+", help=f"some of {', '.join(protocol.NETWORKS)}")
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow, 0 for all cores")
    parser.add_argument("--data", help="folder with the Fashion-MNIST idx files")
    parser.add_argument("--skip-training", action="store_true", help="export what is trained")
    parser.add_argument("--skip-export", action="store_true", help="only train")
    parser.add_argument("--report", action="store_true", help="only write binary_accuracy.md")
    args = parser.parse_args()
    if not args.report:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(args.threads)
        data = load_data(args.data)
        if data.is_substitute:
            raise SystemExit("Fashion-MNIST was found nowhere: see --data.")
        os.makedirs(args.output, exist_ok=True)
        halves = (
            (protocol.TRAINED_FILE, train_one, args.skip_training),
            (protocol.EXPORTED_FILE, export_one, args.skip_export),
        )
        for seed in args.seeds:
            for name in args.names or protocol.NETWORKS:
                for file, work, is_skipped in halves:
                    if is_skipped or (work is export_one and protocol.is_float(name)):
                        continue
                    if (name, seed) not in protocol.read_results(args.output, file, args.epochs):
                        work(args.output, name, seed, args.epochs, data)
    write_report(args.output, args.epochs)


if __name__ == "__main__":
    main()
