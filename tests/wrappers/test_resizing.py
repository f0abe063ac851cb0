"""Bilinear resizing on codes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.wrappers import QuantizedResizing, resize_codes

# Of the exact value, in codes: half a code by rounding, and weights of 11 bits.
LARGEST_ERROR = 0.5 + 2 * 255 / 2**12

GRIDS = [(0.037, 0, 255), (0.25, 0, 15), (0.037, -128, 127), (0.1, 0, 3)]
SIZES = [(4, 12), (7, 13), (3, 2), (1, 1), (9, 6)]


def on_grid(grid, shape=(2, 4, 6, 3), seed=0):
    step, q_min, q_max = grid
    codes = np.random.default_rng(seed).integers(q_min, q_max + 1, shape)
    return np.float32(step) * codes.astype(np.float32)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", SIZES)
def test_values_stay_on_the_grid_and_near_the_plain_resizing(grid, size):
    values = on_grid(grid)
    layer = QuantizedResizing(*size)
    plain = layer(values).numpy()
    expected = keras.layers.Resizing(*size)(values)
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    resized = layer(values, input_grid=tf.constant(grid)).numpy()
    codes = resized / np.float32(grid[0])
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-4)
    assert np.rint(codes).min() >= grid[1] and np.rint(codes).max() <= grid[2]
    assert np.abs(resized - plain).max() <= grid[0] * LARGEST_ERROR


def test_ties_go_up():
    row = np.array([-3, -2, 0, 1], np.float32).reshape(1, 1, 4, 1)
    doubled = resize_codes(tf.constant(row), (1, 2)).numpy().ravel()
    np.testing.assert_array_equal(doubled, [-2, 1])  # of -2.5 and 0.5


def test_the_gradient_is_that_of_the_plain_resizing():
    values, grid = tf.constant(on_grid(GRIDS[0])), tf.constant(GRIDS[0])
    layer = QuantizedResizing(7, 5)
    gradients = []
    for given in (grid, None):
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(layer(values, input_grid=given) * tf.range(5.0)[:, None])
        gradients.append(tape.gradient(loss, values))
    np.testing.assert_array_equal(*gradients)


def test_it_is_saved_and_compiles():
    layer = QuantizedResizing(7, 5, name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.height, again.width, again.name) == (7, 5, "mine")
    values, grid = on_grid(GRIDS[0]), tf.constant(GRIDS[0])
    compiled = tf.function(lambda x: again(x, input_grid=grid), jit_compile=True)(values)
    np.testing.assert_array_equal(compiled, layer(values, input_grid=grid))
