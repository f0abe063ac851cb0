"""Average pooling on codes, against an integer reference written from the layer's docstring."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.wrappers import QuantizedAveragePooling2D

WINDOWS = [
    {"pool_size": 2},
    {"pool_size": 3},
    {"pool_size": (2, 3), "strides": 1},
    {"pool_size": 3, "strides": 2},
    {"pool_size": (7, 8)},
]
# Step sizes that are no power of two and one that is; ranges of 2, 4 and 8 bits, both signs.
GRIDS = [
    (0.037, 0, 255),
    (0.25, 0, 15),
    (0.1, 0, 3),
    (0.037, -128, 127),
    (0.013, -7, 7),
    (0.31, -37, 218),
]

each_window = pytest.mark.parametrize("window", WINDOWS, ids=str)
each_padding = pytest.mark.parametrize("padding", ["valid", "same"])


def offsets(size, window, stride, padding):
    """Returns (first cell, past the last cell) of each place along one axis, cut at the edges."""
    if padding == "valid":
        count, before = (size - window) // stride + 1, 0
    else:
        count = -(-size // stride)
        before = max((count - 1) * stride + window - size, 0) // 2
    starts = [place * stride - before for place in range(count)]
    return [(max(start, 0), min(start + window, size)) for start in starts]


def integer_reference(codes, q_max, layer):
    """Averages raw int8 codes with C's truncating division, half away from zero."""
    zero_point = 127 - q_max
    raw = codes + zero_point
    assert raw.min() >= -128 and raw.max() <= 127
    sides = [
        offsets(codes.shape[axis + 1], layer.pool_size[axis], layer.strides[axis], layer.padding)
        for axis in (0, 1)
    ]
    outputs = np.zeros((len(codes), len(sides[0]), len(sides[1]), codes.shape[3]), int)
    for place in np.ndindex(outputs.shape):
        image, row, column, channel = place
        (top, bottom), (left, right) = sides[0][row], sides[1][column]
        cells = raw[image, top:bottom, left:right, channel]
        total, count = int(cells.sum()), cells.size
        if total > 0:
            outputs[place] = (total + count // 2) // count
        else:
            outputs[place] = -((-total + count // 2) // count)
    return outputs - zero_point


def draw_codes(q_min, q_max, shape=(2, 7, 8, 3)):
    codes = np.random.default_rng(0).integers(q_min, q_max + 1, shape)
    codes[0, :2, :2] = q_max
    codes[0, 2:4, :2] = q_min
    return codes


@each_window
@each_padding
@pytest.mark.parametrize(("step", "q_min", "q_max"), GRIDS)
def test_values_equal_the_integer_reference(window, padding, step, q_min, q_max):
    layer = QuantizedAveragePooling2D(**window, padding=padding)
    codes = draw_codes(q_min, q_max)
    step = np.float32(step)
    grid = np.array([step, q_min, q_max], np.float32)
    outputs = layer(codes.astype(np.float32) * step, input_grid=grid).numpy()
    expected = integer_reference(codes, q_max, layer)
    assert q_min <= expected.min() and expected.max() <= q_max
    np.testing.assert_array_equal(outputs, expected.astype(np.float32) * step)


@each_window
@each_padding
def test_the_gradient_is_that_of_plain_average_pooling(window, padding):
    quantized = QuantizedAveragePooling2D(**window, padding=padding)
    plain = keras.layers.AveragePooling2D(**window, padding=padding)
    grid = tf.constant([0.1, 0.0, 15.0])
    values = tf.constant(draw_codes(0, 15) * 0.1, tf.float32)
    upstream = tf.random.normal(plain(values).shape, seed=1)
    gradients = []
    for layer in (lambda x: quantized(x, input_grid=grid), plain):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values)
        gradients.append(tape.gradient(outputs, values, upstream).numpy())
    np.testing.assert_array_equal(*gradients)
    assert np.any(gradients[0] != 0)


@each_padding
def test_without_a_grid_it_is_plain_average_pooling(padding):
    values = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype(np.float32)
    quantized = QuantizedAveragePooling2D(3, padding=padding)(values)
    plain = keras.layers.AveragePooling2D(3, padding=padding)(values)
    np.testing.assert_array_equal(quantized, plain)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_with_unknown_sizes_gives_the_same_bits(jit_compile):
    layer = QuantizedAveragePooling2D(3, strides=2, padding="same")
    shape = (2, 7, 8, 3) if jit_compile else (None, None, None, 3)
    signature = [tf.TensorSpec(shape), tf.TensorSpec((3,))]
    run = tf.function(
        lambda values, grid: layer(values, input_grid=grid),
        input_signature=signature,
        jit_compile=jit_compile,
    )
    values = draw_codes(0, 255).astype(np.float32) * np.float32(0.037)
    grid = np.array([0.037, 0, 255], np.float32)
    np.testing.assert_array_equal(run(values, grid), layer(values, input_grid=grid))


def test_a_keras_file_restores_it_exactly(tmp_path):
    inputs, grid = keras.Input((7, 8, 3)), keras.Input(batch_shape=(3,))
    layer = QuantizedAveragePooling2D(2, padding="same")
    model = keras.Model([inputs, grid], layer(inputs, input_grid=grid))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    arguments = [draw_codes(0, 15).astype(np.float32) * 0.1, np.array([0.1, 0, 15], np.float32)]
    np.testing.assert_array_equal(restored(arguments), model(arguments))
    assert restored.layers[-1].get_config() == layer.get_config()
