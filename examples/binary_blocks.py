"""Residual blocks of Bi-Real Net and ReActNet, as functions on plain Keras layers.

Binary convolutions lose less where a shortcut carries real values around every one of them. The
blocks are float layers: `tfq.quantize_model` with `Recipe.binary` makes their 3x3 convolutions
binary and leaves the 1x1 convolutions of the shortcuts at eight bits (see `keep_shortcuts`).

Bi-Real Net: Liu et al., ECCV 2018, https://arxiv.org/abs/1808.00278
ReActNet: Liu et al., ECCV 2020, https://arxiv.org/abs/2003.03488
"""

import keras

import tfq_lowbit as tfq

layers = keras.layers
MOMENTUM = 0.9  # batch normalization's default of 0.99 lags behind in short runs


def bi_real_block(inputs, filters, strides=1, name="block"):
    """Return `batch_norm(conv3x3(inputs)) + shortcut(inputs)`."""
    outputs = layers.Conv2D(
        filters, 3, strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(inputs)
    outputs = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(outputs)
    return layers.Add(name=f"{name}_add")([outputs, shortcut(inputs, filters, strides, name)])


def react_block(inputs, filters, strides=1, name="block"):
    """Return the Bi-Real block, its output bent and shifted by an RPReLU."""
    outputs = bi_real_block(inputs, filters, strides, name)
    return tfq.RPReLU(name=f"{name}_rprelu")(outputs)


def shortcut(inputs, filters, strides, name):
    """Return `inputs`, averaged and projected where the block changes their size."""
    outputs = inputs
    if strides > 1:
        outputs = layers.AveragePooling2D(strides, padding="same", name=f"{name}_pool")(outputs)
    if inputs.shape[-1] != filters:
        outputs = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_shortcut")(outputs)
        outputs = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_shortcut_norm")(
            outputs
        )
    return outputs


def residual_net(block, input_shape=(28, 28, 1), filters=(16, 32, 64), depth=2, classes=10):
    """Return a small network: `depth` blocks a stage, half the size and more filters each stage."""
    inputs = keras.Input(input_shape, name="image")
    outputs = layers.Conv2D(filters[0], 3, 2, padding="same", use_bias=False, name="stem")(inputs)
    outputs = layers.BatchNormalization(momentum=MOMENTUM, name="stem_norm")(outputs)
    for stage, channels in enumerate(filters, start=1):
        for index in range(1, depth + 1):
            strides = 2 if stage > 1 and index == 1 else 1
            outputs = block(outputs, channels, strides, name=f"stage{stage}_block{index}")
    outputs = layers.ReLU(name="relu")(outputs)
    outputs = layers.GlobalAveragePooling2D(name="mean")(outputs)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(outputs))


def keep_shortcuts(recipe):
    """Return the recipe with the shortcuts' 1x1 convolutions at eight bits."""
    return recipe.override(".*_shortcut", weight_bits=8)
