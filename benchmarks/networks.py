"""The networks that the benchmarks of files and exports take, with random weights."""

import keras
import numpy as np

CALIBRATION_IMAGES = 8
# Passes in training mode after which batch normalization knows its inputs.
SETTLING_PASSES = 3
SETTLING_MOMENTUM = 0.1


def dense_network():
    """Return 784-1024-1024-1024-10, with batch normalization and ReLU."""
    inputs = outputs = keras.Input((784,))
    for _ in range(3):
        outputs = keras.layers.Dense(1024, use_bias=False)(outputs)
        outputs = keras.layers.BatchNormalization()(outputs)
        outputs = keras.layers.ReLU()(outputs)
    return keras.Model(inputs, keras.layers.Dense(10)(outputs))


def vgg16(size=64):
    """Return VGG-16's convolutions with batch normalization and two dense layers of 512."""
    inputs = outputs = keras.Input((size, size, 3))
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            outputs = _convolution(outputs, filters)
        outputs = keras.layers.MaxPooling2D()(outputs)
    outputs = keras.layers.Flatten()(outputs)
    for _ in range(2):
        outputs = keras.layers.Dense(512, activation="relu")(outputs)
    return keras.Model(inputs, keras.layers.Dense(1000)(outputs))


def resnet18(size=224):
    """Return ResNet-18."""
    inputs = keras.Input((size, size, 3))
    outputs = _convolution(inputs, 64, 7, 2)
    outputs = keras.layers.MaxPooling2D(3, 2, padding="same")(outputs)
    for filters in (64, 128, 256, 512):
        for index in range(2):
            stride = 2 if filters > 64 and index == 0 else 1
            shortcut = outputs
            if stride > 1:
                shortcut = _convolution(outputs, filters, 1, stride, has_relu=False)
            outputs = _convolution(outputs, filters, 3, stride)
            outputs = _convolution(outputs, filters, has_relu=False)
            outputs = keras.layers.ReLU()(keras.layers.Add()([outputs, shortcut]))
    outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    return keras.Model(inputs, keras.layers.Dense(1000)(outputs))


def mobilenet_v2(size=224):
    """Return MobileNetV2 with its softmax."""
    return keras.applications.MobileNetV2((size, size, 3), weights=None)


def settled(build, seed=0):
    """Build a network; return it and images, its batch statistics those of the images.

    Without them, the activations of a deep untrained network vanish.
    """
    keras.utils.set_random_seed(seed)
    model = build()
    shape = (CALIBRATION_IMAGES, *model.input_shape[1:])
    images = np.random.default_rng(seed).random(shape, np.float32)
    layers = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = SETTLING_MOMENTUM
    for _ in range(SETTLING_PASSES):
        model(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return model, images


def _convolution(inputs, filters, size=3, stride=1, has_relu=True):
    outputs = keras.layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(inputs)
    outputs = keras.layers.BatchNormalization()(outputs)
    return keras.layers.ReLU()(outputs) if has_relu else outputs
