"""What a quantizer gets, rounded as the integer kernel rounds it: Keras equals the runtime."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tfq_lowbit.export import KERAS_LITERT, Agreement
from tfq_lowbit.export.arithmetic_int8 import requantize
from tfq_lowbit.export.operators import Add, Subtract
from tfq_lowbit.export.program import Grid, Tensor
from tfq_lowbit.wrappers import AxisMean, ChannelScale, MatMul
from tfq_lowbit.wrappers.kernel_rounding import round_as_kernel, scaled_on_grid, sum_on_grid

layers = keras.layers
SCALES = np.random.default_rng(0).uniform(0.01, 3.0, (12, 3)).astype(np.float32)
SCALES[0], SCALES[1] = 1.0, (0.5, 0.5, 1.0)  # ties
SCALES[2] = (0.002, 1.7, 1.0)
EXACT = Agreement()
ALL_PAIRS = np.stack(np.meshgrid(np.arange(256), np.arange(-127, 128)), -1).reshape(-1, 2)


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("operator", [Add, Subtract])
def test_a_sum_is_the_operators_for_all_codes(scales, operator):
    left, right, output = scales
    grids = [Grid(left, -128), Grid(right, 0), Grid(output, 0)]
    tensors = [Tensor("", (None,), grid) for grid in grids]
    codes = ALL_PAIRS.astype(np.float32)
    expected = operator("", *tensors).compute(tf.constant(codes[:, 0] - 128), codes[:, 1])
    values = [codes[:, 0] * left, codes[:, 1] * right]
    packed = [np.array([scale, -127, 255], np.float32) for scale in (left, right)]
    total = sum_on_grid(*zip(values, packed, strict=True), output, operator.sign)
    found = np.clip(np.rint(np.asarray(total) / output), -128, 127)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(10))
def test_integers_are_rounded_as_the_kernel_does(seed):
    random = np.random.default_rng(seed)
    channels = 100
    left, right, step = (random.uniform(0.001, 0.5, size) for size in (1, channels, 1))
    left, right, step = (each.astype(np.float32) for each in (left, right, step * 10))
    sums = random.integers(-40_000, 40_000, (5000, channels)).astype(np.float32)
    # As Keras has them: another order of the same factors.
    values = (sums * left) * right
    found = np.asarray(scaled_on_grid(values, left, right, step)) / step
    multiplier = (left * right) / step
    expected = requantize(tf.constant(sums), multiplier, 0, -(2**31), 2**31)
    np.testing.assert_array_equal(np.rint(found), expected)
    assert np.any(np.rint(values / step) != expected)


def test_a_bound_that_is_no_integer_stays():
    values, unit = np.array([6.0, 1.4, 0.7], np.float32), np.float32(0.7)
    found = scaled_on_grid(values, np.float32(1), unit, 0.125, is_bounded=True)
    np.testing.assert_array_equal(found, [6.0, 1.375, 0.75])
    np.testing.assert_array_equal(scaled_on_grid(values, np.float32(1), unit, 0.125)[:1], [6.25])


def test_without_a_unit_values_are_rounded_as_they_are():
    values = np.array([6.0, 0.3, -1.7], np.float32)
    found = round_as_kernel(values, {"accumulate": tf.zeros((2, 3))}, [0.125, -128.0, 127.0])
    np.testing.assert_array_equal(found, [6.0, 0.25, -1.75])


COUNT, WIDTH, SIDE = 32, 8192, 24


def vectors(merge, *behind, width=WIDTH):
    inputs = [keras.Input((width,), name=name) for name in ("left", "right")]
    x = merge(name="merge")(inputs)
    for layer in behind:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(2, name="dense")(x))


def image(*stages):
    inputs = keras.Input((SIDE, SIDE, 16))
    x = inputs
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, x)


def conv(filters=48, **options):
    return layers.Conv2D(filters, 3, padding="same", **options)


def both(merge, *branches):
    return lambda x: merge([branch(x) for branch in branches])


def normalization():
    random = keras.initializers.RandomNormal(0.3, 1.0, seed=3)
    spread = keras.initializers.RandomUniform(0.3, 2.0, seed=4)
    return layers.BatchNormalization(
        beta_initializer=random,
        gamma_initializer=random,
        moving_mean_initializer=random,
        moving_variance_initializer=spread,
    )


def heads(x):
    rows = layers.Reshape((SIDE * SIDE, 16))
    left, right = rows(conv(16)(x)), rows(conv(16)(x))
    return MatMul(transpose_right=True, scale=0.37)([left, right])


NETWORKS = {
    "sum": lambda: vectors(layers.Add),
    "rectified sum": lambda: vectors(layers.Add, layers.ReLU()),
    "difference": lambda: vectors(layers.Subtract),
    "sum and linear": lambda: vectors(layers.Add, layers.Activation("linear")),
    "mean of two": lambda: vectors(layers.Average),
    "product": lambda: vectors(layers.Multiply, layers.ReLU()),
    "convolution": lambda: image(conv()),
    "normalized": lambda: image(conv(use_bias=False), normalization(), layers.ReLU()),
    "normalized with a bias": lambda: image(conv(bias_initializer="normal"), normalization()),
    "bounded": lambda: image(conv(), normalization(), layers.ReLU(6)),
    "pooled": lambda: image(conv(), normalization(), layers.ReLU(), layers.MaxPooling2D(2)),
    "depthwise": lambda: image(layers.DepthwiseConv2D(3), normalization()),
    "transposed": lambda: image(layers.Conv2DTranspose(16, 2, strides=2)),
    "dense": lambda: image(layers.Dense(64), layers.ReLU()),
    "several axes": lambda: image(
        layers.EinsumDense("bhwc,cde->bhwde", (None, None, 6, 8), bias_axes="de"), layers.Flatten()
    ),
    "alone": lambda: image(layers.AveragePooling2D(2), normalization()),
    "scaled": lambda: image(conv(), ChannelScale("uniform")),
    "scaled alone": lambda: image(layers.AveragePooling2D(2), ChannelScale("uniform")),
    "product of products": lambda: image(heads),
    "mean": lambda: image(conv(512), layers.ReLU(), layers.GlobalAveragePooling2D()),
    "mean of signed codes": lambda: image(conv(512), layers.GlobalAveragePooling2D()),
    "mean over channels": lambda: image(
        conv(7), layers.ReLU(), AxisMean(-1, keepdims=True), conv(3)
    ),
    "joined": lambda: image(
        both(layers.Concatenate(), conv(), lambda x: layers.ReLU()(normalization()(conv(8)(x))))
    ),
    "joined with what has a grid": lambda: image(
        conv(), layers.ReLU(), both(layers.Concatenate(), conv(24), lambda x: x)
    ),
    "joined sums": lambda: image(
        both(layers.Concatenate(axis=1), *[both(layers.Add(), conv(8), conv(8))] * 2)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("bits", [8, 4])
def test_keras_and_the_runtime_round_alike(name, bits, tmp_path):
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    model = NETWORKS[name]()
    scales = (1.0, 0.37)[: len(model.inputs)]
    data = [
        random.normal(size=(COUNT, *each.shape[1:])).astype(np.float32) * scale
        for each, scale in zip(model.inputs, scales, strict=True)
    ]
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(bits, 8), data)
    path = tmp_path / "model.tflite"
    tfq.export_tflite(quantized, path)
    found = tfq.verify(quantized, path, data, per_layer=True)
    for pairs in (*found.layers.values(), *found.outputs.values()):
        assert pairs.get(KERAS_LITERT, EXACT).is_exact, str(found)


@pytest.mark.parametrize("name", ["normalized", "alone", "rectified sum", "mean", "joined sums"])
def test_every_way_of_running_rounds_alike(name):
    keras.utils.set_random_seed(1)
    random, model = np.random.default_rng(1), NETWORKS[name]()
    data = [random.normal(size=(COUNT, *each.shape[1:])).astype("float32") for each in model.inputs]
    data = data if len(data) > 1 else data[0]
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    eager = quantized(data, training=False)
    for jit_compile in (False, True):
        quantized.compile(jit_compile=jit_compile)
        found = quantized.predict(data, verbose=0, batch_size=COUNT)
        np.testing.assert_array_equal(found, eager)


def test_a_bounded_sum_is_left_to_the_quantizer(tmp_path):
    model = vectors(layers.Add, layers.ReLU(6), width=64)
    data = [
        np.random.default_rng(seed).normal(0, 3, (50, 64)).astype(np.float32) for seed in (0, 1)
    ]
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    path = tmp_path / "model.tflite"
    tfq.export_tflite(quantized, path)
    assert tfq.verify(quantized, path, data).equal_fraction > 0.99


def test_a_sum_trains_as_before(tmp_path):
    model = vectors(layers.Add, layers.ReLU(), width=64)
    data = [np.random.default_rng(seed).normal(size=(8, 64)).astype(np.float32) for seed in (0, 1)]
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        quantized.predict(data, verbose=0), loaded.predict(data, verbose=0)
    )
    loaded.compile("sgd", "mse")
    before = np.asarray(loaded.get_layer("dense").layer.kernel)
    loaded.fit(data, np.ones((8, 2), np.float32), verbose=0)
    assert np.any(np.asarray(loaded.get_layer("dense").layer.kernel) != before)
