"""Bi-Real ResNet-18: 16 binary 3x3 convolutions, a shortcut around each. From the project's root:

    python -m examples.bireal_resnet18 bireal_resnet18.tflite

Liu et al., "Bi-Real Net", ECCV 2018, https://arxiv.org/abs/1808.00278
"""

import sys

import keras
import numpy as np

import tfq_lowbit as tfq
from examples.binary_blocks import bi_real_block, keep_shortcuts

layers = keras.layers
FILTERS = (64, 128, 256, 512)
BLOCKS_PER_STAGE = 4  # of one convolution each


def bireal_resnet18(input_shape=(224, 224, 3), classes=1000):
    """Return the untrained float model; `recipe()` says what becomes binary."""
    inputs = keras.Input(input_shape, name="image")
    outputs = layers.Conv2D(64, 7, 2, padding="same", use_bias=False, name="stem")(inputs)
    outputs = layers.BatchNormalization(name="stem_norm")(outputs)
    outputs = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(outputs)
    for stage, filters in enumerate(FILTERS, start=1):
        for index in range(1, BLOCKS_PER_STAGE + 1):
            strides = 2 if stage > 1 and index == 1 else 1
            outputs = bi_real_block(outputs, filters, strides, f"stage{stage}_block{index}")
    outputs = layers.ReLU(name="relu")(outputs)
    outputs = layers.GlobalAveragePooling2D(name="mean")(outputs)
    return keras.Model(
        inputs, layers.Dense(classes, name="logits")(outputs), name="bireal_resnet18"
    )


def recipe():
    """Return the recipe of the paper: binary but for stem, shortcuts and the last layer."""
    return keep_shortcuts(tfq.Recipe.binary(scheme="bi_real"))


def main(path="bireal_resnet18.tflite", input_shape=(224, 224, 3), classes=1000):
    images = np.random.default_rng(0).normal(size=(4, *input_shape)).astype(np.float32)
    model = bireal_resnet18(input_shape, classes)
    qmodel = tfq.quantize_model(model, recipe(), calibration_data=images)
    report = tfq.export_tflite(qmodel, path, verify_data=images)
    print(report)
    return report


if __name__ == "__main__":
    main(*sys.argv[1:2])
