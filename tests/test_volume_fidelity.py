"""Shipped equals trained, for layers of volumes: videos, scans, five axes with the batch."""

import keras
import numpy as np
import pytest

from tests.networks import images, randomize
from tests.promise import check_promise, check_shipped
from tests.test_fidelity import chain, rows
from tfq_lowbit import Recipe, export_tflite, quantize_model
from tfq_lowbit.export import lower

layers = keras.layers


def volume(depth=5, channels=4):
    return keras.Input((depth, 6, 7, channels))


def conv(filters=8, size=3, **options):
    return layers.Conv3D(filters, size, **{"padding": "same", "activation": "relu", **options})


def conv_norm(x, filters, strides=1, size=3, activation="relu"):
    x = layers.Conv3D(filters, size, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def resnet(size=8, width=8, classes=5):
    """Returns a residual network of volumes, with a strided shortcut."""
    inputs = keras.Input((6, size, size, 3))
    x = layers.Conv3D(width, 3)(layers.ZeroPadding3D(1)(inputs))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for strides in (1, 2):
        filters = width * strides
        y = conv_norm(x, filters, strides)
        y = conv_norm(y, filters, activation=None)
        shortcut = conv_norm(x, filters, strides, 1, None) if strides > 1 else x
        x = layers.ReLU()(layers.Add()([y, shortcut]))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling3D()(x))
    return randomize(keras.Model(inputs, layers.Dense(classes, activation="softmax")(x)))


def unet():
    """Returns a network that finds its way back to the size of its input."""
    inputs = keras.Input((4, 8, 8, 2))
    fine = conv(6)(inputs)
    coarse = layers.SpatialDropout3D(0.1)(conv()(layers.MaxPooling3D()(fine)))
    x = conv(6)(layers.Concatenate()([fine, layers.UpSampling3D()(coarse)]))
    return keras.Model(inputs, [layers.Conv3D(2, 1)(x), layers.Dense(3, "sigmoid")(x)])


NETS = {
    "convolutions": lambda: chain(
        conv(padding="valid"),
        layers.Conv3D(6, (2, 3, 2), strides=(2, 1, 2), padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv3D(4, (3, 1, 1), padding="same"),
        layers.Flatten(),
        layers.Dense(3),
        inputs=volume(),
    ),
    "dilated": lambda: chain(
        conv(8, 2, dilation_rate=(2, 1, 3), padding="valid", activation="relu6"),
        conv(6, (3, 2, 2), dilation_rate=(1, 2, 2), activation="tanh"),
        conv(3, 1, strides=2),
        inputs=volume(7),
    ),
    "grouped": lambda: chain(
        conv(8, groups=2),
        conv(8, (3, 2, 2), groups=8),
        conv(8, (1, 2, 2), groups=4),
        conv(16, 2, groups=8, strides=2),
        inputs=volume(),
    ),
    "transposed": lambda: chain(
        layers.Conv3DTranspose(8, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv3DTranspose(4, (4, 2, 3), strides=(2, 1, 1), padding="same"),
        conv(3, 1),
        inputs=volume(2),
    ),
    "transposed beyond the window": lambda: chain(
        layers.Conv3DTranspose(8, (3, 2, 4), strides=(2, 1, 3), activation="relu"),
        layers.Conv3DTranspose(5, (1, 2, 2), strides=(3, 1, 2)),
        layers.Conv3DTranspose(3, 3, strides=2, padding="same", output_padding=(1, 0, 1)),
        inputs=keras.Input((2, 2, 3, 3)),
    ),
    "largest": lambda: chain(
        conv(),
        layers.MaxPooling3D((3, 2, 3), (2, 1, 2), padding="same"),
        conv(4),
        layers.MaxPooling3D((1, 2, 2)),
        layers.GlobalMaxPooling3D(),
        layers.Dense(3),
        inputs=volume(),
    ),
    "averages": lambda: chain(
        conv(),
        layers.AveragePooling3D(2),
        conv(4),
        layers.AveragePooling3D((1, 2, 3), padding="same"),
        layers.GlobalMaxPooling3D(keepdims=True),
        layers.Dense(4),
        inputs=volume(4),
    ),
    "averages that overlap": lambda: chain(
        conv(),
        layers.AveragePooling3D(3, 2, padding="same"),
        conv(4),
        layers.AveragePooling3D((2, 1, 1)),
        layers.GlobalAveragePooling3D(keepdims=True),
        conv(4),
        inputs=volume(),
    ),
    "moved": lambda: chain(
        layers.ZeroPadding3D(((1, 0), (0, 2), (1, 1))),
        conv(),
        layers.Cropping3D(((1, 1), (0, 2), (2, 1))),
        layers.UpSampling3D((2, 1, 3)),
        conv(4),
        layers.Permute((4, 1, 2, 3)),
        layers.Reshape((8, -1)),
        layers.Dense(2),
        inputs=volume(),
    ),
    "normalized alone": lambda: chain(
        layers.BatchNormalization(),
        conv(),
        layers.BatchNormalization(),
        layers.PReLU(shared_axes=[1, 2, 3]),
        layers.LeakyReLU(),
        layers.Dense(4, activation="softmax"),
        inputs=volume(),
    ),
    "sizes asked for": lambda: chain(
        conv(),
        layers.AdaptiveAveragePooling3D((2, 3, 1)),
        conv(),
        layers.AdaptiveMaxPooling3D((2, 1, 1)),
        layers.Flatten(),
        layers.Dense(2),
        inputs=volume(4),
    ),
    "encoder and decoder": unet,
    "resnet": resnet,
}
RECIPES = {"W4A4": Recipe.lsq(4, 4, first_last_bits=None), "W8A8": Recipe.lsq(8, 8)}


FAST = ["convolutions", "grouped", "transposed", "averages", "resnet"]


@pytest.mark.parametrize("net", rows(NETS, FAST))
@pytest.mark.parametrize("recipe", rows(RECIPES, RECIPES))
def test_volumes_ship_what_was_trained(net, recipe):
    model = randomize(NETS[net]())
    quantized = quantize_model(model, RECIPES[recipe], images(model, 32))
    check_promise(quantized, images(model, 32, seed=1))


@pytest.mark.parametrize(
    ("recipe", "custom_ops"),
    [
        (Recipe.binary(), "binary"),
        (Recipe.ternary(), "binary"),
        (Recipe.lsq(2, 2, first_last_bits=None), "lowbit"),
    ],
    ids=["binary", "ternary", "on bits"],
)
def test_volumes_of_few_bits_ship_what_was_trained(recipe, custom_ops):
    model = resnet()
    quantized = quantize_model(model, recipe, images(model, 32))
    check_promise(quantized, images(model, 32, seed=1), custom_ops=custom_ops)


def test_volumes_of_sixteen_bits_equal_the_lowered_graph():
    model = resnet()
    recipe = Recipe(weight_bits=8, activation_bits=16)
    check_shipped(quantize_model(model, recipe, images(model, 16)), images(model, 16, seed=1))


def test_a_normalization_folds_into_the_one_kernel_of_a_convolution():
    model = resnet()
    program = lower(quantize_model(model, Recipe.lsq(8, 8), images(model, 8)))
    codes = [operator.code for operator in program.operators]
    kernels = [layer for layer in model.layers if isinstance(layer, layers.Conv3D)]
    assert codes.count("CONV_2D") == len(kernels) and "DEPTHWISE_CONV_2D" not in codes
    assert "MUL" not in codes
    for layer in kernels:
        assert program.weights[layer.name].codes.shape == layer.kernel.shape


def test_a_model_of_volumes_is_trained_saved_and_exported(tmp_path):
    model = resnet()
    data, labels = images(model, 32), np.arange(32) % 5
    name = [each.name for each in model.layers if isinstance(each, layers.Conv3D)][1]
    quantized = quantize_model(model, Recipe.lsq(4, 4).override(name, weight_bits=3), data)
    assert quantized.get_layer(name).kernel_quantizer.num_bits == 3
    quantized.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    losses = quantized.fit(data, labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    quantized.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    expected = quantized.predict(data, verbose=0)
    np.testing.assert_array_equal(loaded.predict(data, verbose=0), expected)
    report = export_tflite(loaded, tmp_path / "m.tflite", verify_data=data)
    assert report.fidelity.is_exact
