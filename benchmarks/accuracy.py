"""Accuracy on Fashion-MNIST by scheme and width, over three seeds, in Keras and in LiteRT.

    python -m benchmarks.accuracy                      # ours, then benchmarks/accuracy.md
    <venv of the peer>/bin/python -m benchmarks.accuracy_qkeras
    python -m benchmarks.accuracy --report             # accuracy.md with the peer's rows

`accuracy_protocol` says how everything is trained. Results are appended to `results.jsonl` in the
output folder, one line a network; what is there already is not trained again, so a run that was
broken off goes on. Seeds can run side by side: `--seeds 0 --threads 1 &` and so on.
"""

import argparse
import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import tfq_lowbit as tfq
from benchmarks import accuracy_protocol as protocol
from benchmarks.accuracy_report import write_report
from benchmarks.report import read_versions
from tfq_lowbit.demo import load_data
from tfq_lowbit.runtime import run

RECIPES = {
    "LSQ W8A8": tfq.Recipe.lsq(8, 8),
    "LSQ W4A4": tfq.Recipe.lsq(4, 4),
    "LSQ W3A3": tfq.Recipe.lsq(3, 3),
    "LSQ W2A2": tfq.Recipe.lsq(2, 2),
    "PACT W4A4": tfq.Recipe.pact(4, 4),
    "PACT W2A2": tfq.Recipe.pact(2, 2),
    "DoReFa W2A2": tfq.Recipe.dorefa(2, 2),
    "ternary W2A8": tfq.Recipe.ternary(8),
}
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")
NUM_VERIFIED = 256


def prepare(folder, data, seeds, epochs):
    """Write what the networks start from: the images, and the float weights of each seed."""
    os.makedirs(folder, exist_ok=True)
    images = os.path.join(folder, protocol.IMAGES_FILE)
    if not os.path.exists(images):
        arrays = (data.train_images, data.train_labels, data.test_images, data.test_labels)
        save_whole(images, arrays)
    for seed in seeds:
        path = protocol.float_weights_path(folder, seed, epochs)
        if os.path.exists(path):
            continue
        keras.utils.set_random_seed(seed)
        model = protocol.build_float()
        seconds = protocol.train(
            model,
            data.train_images,
            data.train_labels,
            epochs,
            protocol.FLOAT_LEARNING_RATE,
            seed,
        )
        add_row(folder, protocol.FLOAT_NAME, seed, epochs, model, float_file(model), data, seconds)
        save_whole(path, model.get_weights())


def train_one(folder, name, seed, data, epochs):
    """Train one network from the float weights, export it, and append its accuracies."""
    model = protocol.load_float(folder, seed, epochs)
    if name in RECIPES:
        calibration = data.train_images[: protocol.NUM_CALIBRATION]
        model = tfq.quantize_model(model, RECIPES[name], calibration)
    seconds = protocol.train(
        model,
        data.train_images,
        data.train_labels,
        epochs,
        protocol.FINE_TUNING_LEARNING_RATE,
        seed,
    )
    content, fidelity = (
        quantized_file(model, data) if name in RECIPES else (float_file(model), None)
    )
    add_row(folder, name, seed, epochs, model, content, data, seconds, fidelity)


def add_row(folder, name, seed, epochs, model, content, data, seconds, fidelity=None):
    protocol.add_result(
        folder,
        name=name,
        seed=seed,
        epochs=epochs,
        keras=protocol.evaluate(model, data.test_images, data.test_labels),
        litert=protocol.accuracy(run(content, data.test_images), data.test_labels),
        exact=fidelity and bool(fidelity.is_exact),
        seconds=round(seconds, 1),
        versions=read_versions(PACKAGES),
    )


def quantized_file(model, data):
    """Return the bytes of our file and the `Fidelity` of the export."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        report = tfq.export_tflite(model, path, verify_data=data.test_images[:NUM_VERIFIED])
        with open(path, "rb") as file:
            return file.read(), report.fidelity


def float_file(model):
    """Return the bytes of the stock converter's float file."""
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def save_whole(path, arrays):
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path) or ".", delete=False) as file:
        np.savez(file, *arrays)
    os.replace(file.name, path)


def main():
    parser = argparse.ArgumentParser(description="Accuracy on Fashion-MNIST, three seeds.")
    parser.add_argument("--output", default="build/accuracy", help="folder of the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(protocol.SEEDS))
    parser.add_argument("--epochs", type=int, default=protocol.EPOCHS, help="E of the protocol")
    parser.add_argument("--names", nargs="+", help=f"some of {', '.join(RECIPES)}")
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow, 0 for all cores")
    parser.add_argument("--data", help="folder with the Fashion-MNIST idx files")
    parser.add_argument("--report", action="store_true", help="only write accuracy.md")
    args = parser.parse_args()
    if not args.report:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
        tf.config.threading.set_inter_op_parallelism_threads(args.threads)
        data = load_data(args.data)
        if data.is_substitute:
            raise SystemExit("Fashion-MNIST was found nowhere: see --data.")
        for seed in args.seeds:
            prepare(args.output, data, [seed], args.epochs)
            for name in args.names or [protocol.REFERENCE_NAME, *RECIPES]:
                if (name, seed) not in protocol.read_results(args.output, args.epochs):
                    train_one(args.output, name, seed, data, args.epochs)
    write_report(args.output, args.epochs)


if __name__ == "__main__":
    main()
