"""Binary networks for the tests, built with wrappers, with weights that are random but not kind."""

import keras
import numpy as np

from tests.networks import images, randomize
from tfq_lowbit import LSQ, QuantizeActivation, calibrate
from tfq_lowbit.quantizers import RSign, UniformAffine
from tfq_lowbit.wrappers import Binarize, BinaryWrapper

layers = keras.layers
CHANNELS = 40  # no multiple of 32


def quantized(x):
    """Returns `x` behind an 8-bit quantizer of its own."""
    return QuantizeActivation(UniformAffine(8, signed=None, init="min_max"))(x)


def stem(channels=CHANNELS):
    """Returns an input, and what an 8-bit convolution and batch normalization make of it."""
    inputs = keras.Input((11, 10, 3))
    x = LSQ(layers.Conv2D(channels, 3, padding="same", use_bias=False), 8, 8)(inputs)
    return inputs, layers.BatchNormalization()(x)


def head(inputs, x, classes=10):
    """Returns the model: an 8-bit dense layer behind the mean of what is pending."""
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D()(quantized(x))
    x = LSQ(layers.Dense(classes), 8, 8)(x)
    return keras.Model(inputs, quantized(x))


def conv(filters=CHANNELS, size=3, scheme="xnor", pad_values=1, **options):
    """Returns a binary convolution."""
    layer = layers.Conv2D(filters, size, **{"padding": "same", "use_bias": False, **options})
    return Binarize(layer, scheme, pad_values=pad_values)


def dense(units, scheme="xnor", **options):
    """Returns a binary dense layer."""
    return Binarize(layers.Dense(units, **options), scheme)


def norm(x):
    """Returns `x` behind a batch normalization."""
    return layers.BatchNormalization()(x)


def relu(x):
    """Returns `x` behind a ReLU."""
    return layers.ReLU()(x)


def pool(x, size=2, **options):
    """Returns `x` behind max pooling."""
    return layers.MaxPooling2D(size, **options)(x)


def chain(*stages):
    """Returns a network of stages between an 8-bit stem and head."""
    inputs, x = stem()
    for stage in stages:
        x = stage(x)
    return head(inputs, x)


def bi_real(scheme="bi_real", blocks=3):
    """Returns residual blocks of one binary convolution each, whose shortcuts stay int8."""
    inputs, x = stem()
    x = quantized(x)
    for index in range(blocks):
        strides = 1 + (index == 1)
        y = quantized(norm(conv(scheme=scheme, strides=strides)(x)))
        if strides > 1:
            shortcut = layers.Conv2D(CHANNELS, 1, strides=strides, use_bias=False)
            x = quantized(norm(LSQ(shortcut, 8, 8)(x)))
        x = quantized(layers.Add()([x, y]))
    return head(inputs, x)


def preactivation():
    """Returns residual blocks whose batch normalization comes before the sign."""
    inputs, x = stem()
    x = quantized(x)
    for _ in range(2):
        y = quantized(conv()(norm(x)))
        x = quantized(layers.Add()([x, y]))
    return head(inputs, conv(36, 1)(norm(x)))


def unkind(model, keeps_weights=False):
    """Gives a network random weights and thresholds, calibrates it and returns it with data."""
    if not keeps_weights:
        randomize(model)
    random = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, BinaryWrapper):
            if isinstance(layer.input_quantizer, RSign):
                alpha = layer.input_quantizer.alpha
                alpha.assign(random.normal(0, 0.3, alpha.shape))
            if layer.layer.use_bias:
                layer.layer.bias.assign(random.normal(0, 0.3, layer.layer.bias.shape))
    calibrate(model, images(model, 64))
    return model, images(model, 64, seed=1)
