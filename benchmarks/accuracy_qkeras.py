"""Accuracy of qkeras-v3 under the protocol of `benchmarks.accuracy`, in an environment of its own.

    python -m venv peer && peer/bin/pip install tensorflow qkeras-v3
    python -m benchmarks.accuracy            # writes the images and float weights that this reads
    peer/bin/python -m benchmarks.accuracy_qkeras

The network is the same, with the same bits in the same places: kernels through `quantized_bits`
(first and last at 8 bits) with a scale a channel fitted to the weights, activations through
`quantized_relu` (what enters the last layer at 8 bits). `quantized_relu` has a fixed range of
`2^integer`: the one of least squared error on the calibration images is taken. The images and the
outputs stay float, which ours do not.
"""

import argparse
import importlib.metadata
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import qkeras
import tensorflow as tf

from benchmarks import accuracy_protocol as protocol

WIDTHS = (4, 3, 2)
END_BITS = 8
INTEGERS = range(5)
PACKAGES = ("qkeras-v3", "tensorflow", "keras", "numpy")


def kernel_quantizer(bits, alpha):
    return qkeras.quantized_bits(bits, 0, 1, alpha=alpha)


def best_relu(bits, values):
    """Return the `quantized_relu` of least squared error on float activations."""

    def error(integer):
        quantized = np.asarray(qkeras.quantized_relu(bits, integer)(values))
        return float(np.mean((quantized - values) ** 2))

    return qkeras.quantized_relu(bits, min(INTEGERS, key=error))


def build_quantized(float_model, bits, alpha, calibration):
    """Return the quantized network with the float network's weights."""
    relus = [f"relu_{index}" for index, _ in enumerate(protocol.FILTERS, start=1)]
    activations = keras.Model(
        float_model.inputs, [float_model.get_layer(name).output for name in relus]
    ).predict(calibration, verbose=0)
    last = len(protocol.FILTERS)
    inputs = outputs = keras.Input((28, 28, 1))
    for index, filters in enumerate(protocol.FILTERS, start=1):
        kernel_bits = END_BITS if index == 1 else bits
        outputs = qkeras.QConv2D(
            filters,
            3,
            padding="same",
            use_bias=False,
            kernel_quantizer=kernel_quantizer(kernel_bits, alpha),
            name=f"convolution_{index}",
        )(outputs)
        outputs = keras.layers.BatchNormalization(momentum=0.9, name=f"batch_norm_{index}")(outputs)
        relu = best_relu(END_BITS if index == last else bits, activations[index - 1])
        outputs = qkeras.QActivation(relu, name=f"relu_{index}")(outputs)
        outputs = keras.layers.MaxPooling2D(name=f"pool_{index}")(outputs)
    outputs = keras.layers.Flatten(name="flatten")(outputs)
    outputs = qkeras.QDense(
        protocol.NUM_CLASSES, kernel_quantizer=kernel_quantizer(END_BITS, alpha), name="dense"
    )(outputs)
    model = keras.Model(inputs, outputs)
    for layer in float_model.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def main():
    parser = argparse.ArgumentParser(description="Accuracy of qkeras-v3 on Fashion-MNIST.")
    parser.add_argument("--output", default="build/accuracy", help="folder of the results")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(protocol.SEEDS))
    parser.add_argument("--epochs", type=int, default=protocol.EPOCHS, help="E of the protocol")
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--alpha", nargs="+", default=["auto_po2"], help="auto and/or auto_po2")
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow, 0 for all cores")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    images, labels, test_images, test_labels = protocol.load_images(args.output)
    for seed in args.seeds:
        for alpha in args.alpha:
            for bits in args.widths:
                name = f"qkeras-v3 W{bits}A{bits} ({alpha})"
                if (name, seed) in protocol.read_results(args.output, args.epochs):
                    continue
                model = build_quantized(
                    protocol.load_float(args.output, seed, args.epochs),
                    bits,
                    alpha,
                    images[: protocol.NUM_CALIBRATION],
                )
                before = protocol.evaluate(model, test_images, test_labels)
                seconds = protocol.train(
                    model,
                    images,
                    labels,
                    args.epochs,
                    protocol.FINE_TUNING_LEARNING_RATE,
                    seed,
                )
                protocol.add_result(
                    args.output,
                    name=name,
                    seed=seed,
                    epochs=args.epochs,
                    before=before,
                    keras=protocol.evaluate(model, test_images, test_labels),
                    litert=None,
                    seconds=round(seconds, 1),
                    versions={name: importlib.metadata.version(name) for name in PACKAGES},
                )


if __name__ == "__main__":
    main()
