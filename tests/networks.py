"""Networks for the tests, with weights that are random but not kind.

Batch normalizations get negative gammas and gammas of zero, kernels get channels of zeros, and
biases are not zero.
"""

import keras
import numpy as np

from tfq_lowbit.wrappers import RPReLU

layers = keras.layers

DEAD_CHANNEL, DEAD_GAMMA, NEGATIVE_GAMMA = 1, 2, 3


def conv_norm(x, filters, size, strides=1, activation="relu"):
    """Returns convolution, batch normalization and activation behind `x`."""
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def resnet(size=32, width=16, classes=10, blocks=2):
    """Returns a residual network of three stages, with strided shortcuts."""
    inputs = keras.Input((size, size, 3))
    x = layers.ZeroPadding2D(1)(inputs)
    x = layers.Conv2D(width, 3)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    for stage in range(3):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            filters = width * 2**stage
            y = conv_norm(x, filters, 3, strides)
            y = conv_norm(y, filters, 3, activation=None)
            shortcut = conv_norm(x, filters, 1, strides, None) if strides > 1 else x
            x = layers.ReLU()(layers.Add()([y, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(classes)(x)))


def vgg(size=32, width=16, classes=10):
    """Returns a plain network on pixels of 0 to 255, with a softmax."""
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    for stage in range(3):
        filters = width * 2**stage
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(8 * width, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(0.5)(x)
    return randomize(keras.Model(inputs, layers.Dense(classes, activation="softmax")(x)))


def pooled_before_norm(size=16, width=40, classes=10):
    """Returns a plain network of convolutions, each before max pooling, then batch norm."""
    inputs = x = keras.Input((size, size, 3))
    for index in range(3):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(x) if index else x
        x = layers.BatchNormalization()(x)
    x = layers.BatchNormalization()(layers.Dense(2 * width)(layers.Flatten()(x)))
    return randomize(keras.Model(inputs, layers.Dense(classes)(x)))


def bi_real(size=16, width=40, classes=10, has_prelu=False):
    """Returns a network with a shortcut around each convolution, as Bi-Real Net and ReActNet."""
    inputs = keras.Input((size, size, 3))
    x = conv_norm(inputs, width, 3, 2, None)
    for strides in (1, 2, 1):
        y = conv_norm(x, width, 3, strides, None)
        if strides > 1:
            x = conv_norm(layers.AveragePooling2D(strides)(x), width, 1, activation=None)
        x = layers.Add()([x, y])
        x = RPReLU()(x) if has_prelu else x
    x = layers.GlobalAveragePooling2D()(x)
    return randomize(keras.Model(inputs, layers.Dense(classes)(x)))


def mobilenet(size=96, alpha=1.0, classes=10):
    """Returns MobileNetV2 as keras.applications builds it."""
    model = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), weights=None, classes=classes, alpha=alpha
    )
    return randomize(model)


def randomize(model, seed=0):
    """Sets random weights, unkind ones among them, and returns the model."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            _randomize_norm(layer, random)
        elif isinstance(layer, RPReLU):
            for variable in layer.weights:
                variable.assign(random.normal(0, 0.5, variable.shape))
        elif hasattr(layer, "kernel"):
            _randomize_kernel(layer, random)
    return model


def _randomize_norm(layer, random):
    channels = layer.moving_mean.shape[0]
    gamma = random.uniform(0.5, 1.5, channels) * random.choice([1, 1, 1, -1], channels)
    gamma[random.random(channels) < 0.05] = 0
    gamma[DEAD_GAMMA : DEAD_GAMMA + 1] = 0
    gamma[NEGATIVE_GAMMA : NEGATIVE_GAMMA + 1] = -1
    if layer.scale:
        layer.gamma.assign(gamma)
    if layer.center:
        layer.beta.assign(random.normal(0, 0.5, channels))
    layer.moving_mean.assign(random.normal(0, 0.2, channels))
    layer.moving_variance.assign(random.uniform(0.5, 1.5, channels))


def _randomize_kernel(layer, random):
    kernel = np.array(layer.kernel)
    is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
    channels = np.moveaxis(kernel, 2 if is_depthwise else -1, 0)
    if len(channels) > 4:
        channels[DEAD_CHANNEL] = 0
    layer.kernel.assign(kernel)
    if layer.bias is not None:
        layer.bias.assign(random.normal(0, 0.3, layer.bias.shape))


def images(model, count, seed=0):
    """Returns random inputs: pixels of 0 to 255 for a model that rescales, else reals around 0.

    Each has a level and a contrast of its own: noise alone is averaged away, and a network would
    give all inputs nearly the same scores.
    """
    random = np.random.default_rng(seed)
    takes_pixels = any(isinstance(layer, layers.Rescaling) for layer in model.layers)
    draws = []
    for tensor in model.inputs:
        inner = tensor.shape[1:]
        levels = random.normal(size=(count, *[1] * (len(inner) - 1), inner[-1]))
        contrasts = random.uniform(0.3, 1.5, (count, *[1] * len(inner)))
        values = levels + contrasts * random.normal(size=(count, *inner))
        if takes_pixels:
            values = np.clip(np.rint(128 + 50 * values), 0, 255)
        draws.append(values.astype(np.float32))
    return draws[0] if len(draws) == 1 else draws
