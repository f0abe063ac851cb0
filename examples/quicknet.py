"""A small QuickNet: binary convolutions with shortcuts, and eight-bit transitions in between.

Each binary block computes `x + batch_norm(relu(conv3x3(x)))`. A transition halves the image with
a max pool and a blur (a depthwise convolution that starts as a low-pass filter), then widens it
with a 1x1 convolution. Bannink et al., "Larq Compute Engine: Design, Benchmark, and Deploy
State-of-the-Art Binarized Neural Networks", MLSys 2021, https://arxiv.org/abs/2011.09398
"""

import argparse

import keras
import numpy as np

import tfq_lowbit as tfq
from tfq_lowbit.demo import load_data

layers = keras.layers
BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16


def batch_norm(inputs, name):
    return layers.BatchNormalization(momentum=0.9, name=name)(inputs)


def binary_block(inputs, name):
    filters = inputs.shape[-1]
    outputs = layers.Conv2D(
        filters, 3, padding="same", use_bias=False, activation="relu", name=f"{name}_conv"
    )(inputs)
    return layers.Add(name=f"{name}_add")([inputs, batch_norm(outputs, f"{name}_norm")])


def transition(inputs, filters, name):
    outputs = layers.ReLU(name=f"{name}_relu")(inputs)
    outputs = layers.MaxPooling2D(2, 1, padding="same", name=f"{name}_pool")(outputs)
    blur = layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False, name=f"{name}_blur")
    outputs = blur(outputs)
    blur.kernel.assign(np.broadcast_to(BLUR[..., None, None], blur.kernel.shape))
    outputs = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_widen")(outputs)
    return batch_norm(outputs, f"{name}_norm")


def quicknet(input_shape=(28, 28, 1), filters=(32, 64, 128), depth=2, classes=10):
    """Return the untrained float model; `recipe()` says what becomes binary."""
    inputs = keras.Input(input_shape, name="image")
    outputs = layers.Conv2D(filters[0], 3, 2, padding="same", use_bias=False, name="stem")(inputs)
    outputs = batch_norm(outputs, "stem_norm")
    for stage, channels in enumerate(filters, start=1):
        if stage > 1:
            outputs = transition(outputs, channels, f"transition{stage}")
        for index in range(1, depth + 1):
            outputs = binary_block(outputs, f"stage{stage}_block{index}")
    outputs = layers.ReLU(name="relu")(outputs)
    outputs = layers.GlobalAveragePooling2D(name="mean")(outputs)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(outputs), name="quicknet")


def recipe():
    """Return the recipe: the 3x3 convolutions of the blocks are binary, all else has eight bits."""
    return tfq.Recipe.binary(scheme="ste_sign").override(".*_widen", weight_bits=8)


def main(epochs=6, path="quicknet.tflite", data=None):
    data = load_data() if data is None else data
    qmodel = tfq.quantize_model(quicknet(), recipe(), calibration_data=data.train_images[:256])
    tfq.training.clip_latent_weights(qmodel)
    steps = epochs * -(-len(data.train_images) // 128)
    qmodel.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    qmodel.fit(data.train_images, data.train_labels, batch_size=128, epochs=epochs)
    print(qmodel.evaluate(data.test_images, data.test_labels, verbose=0, return_dict=True))
    report = tfq.export_tflite(qmodel, path, verify_data=data.test_images[:256])
    print(report)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--path", default="quicknet.tflite")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.path)
