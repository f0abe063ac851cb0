"""Rounding to a grid that another layer owns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.wrappers import SnapToGrid

VALUES = np.array([-9.0, -1.0, -1.001, -0.375, 0.0, 0.125, 0.3, 0.75, 0.751, 9.0], np.float32)
GRID = np.array([0.25, -4.0, 3.0], np.float32)


def test_values_go_to_the_nearest_code_half_to_even():
    expected = 0.25 * np.clip(np.rint(VALUES / 0.25), -4, 3)
    np.testing.assert_array_equal(SnapToGrid()(VALUES, GRID), expected)


def test_values_on_the_grid_stay():
    values = np.arange(-4, 4).astype(np.float32) * np.float32(0.1)
    np.testing.assert_array_equal(SnapToGrid()(values, np.array([0.1, -4, 3], "f4")), values)


def test_gradients_pass_inside_the_closed_range_only():
    values, grid = tf.constant(VALUES), tf.constant(GRID)
    with tf.GradientTape() as tape:
        tape.watch((values, grid))
        outputs = SnapToGrid()(values, grid)
    to_values, to_grid = tape.gradient(outputs, (values, grid))
    np.testing.assert_array_equal(to_values, [0, 1, 0, 1, 1, 1, 1, 1, 0, 0])
    assert to_grid is None or not np.any(to_grid)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_type_is_kept(dtype):
    assert SnapToGrid()(tf.cast(VALUES, dtype), GRID).dtype == dtype


def test_a_keras_file_restores_it(tmp_path):
    inputs, grid = keras.Input((10,)), keras.Input(batch_shape=(3,))
    model = keras.Model([inputs, grid], SnapToGrid()(inputs, input_grid=grid))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    arguments = [VALUES[None], GRID]
    np.testing.assert_array_equal(restored(arguments), model(arguments))
