"""Slices of known size."""

import keras
import numpy as np

from tfq_lowbit.wrappers import StaticSlice


def test_it_slices_every_axis_but_the_batch():
    values = np.arange(2 * 7 * 6, dtype=np.float32).reshape(2, 7, 6)
    layer = StaticSlice((1, 2), (3, 4), (2, 1))
    np.testing.assert_array_equal(layer(values), values[:, 1:6:2, 2:6])
    assert layer.compute_output_shape((None, 7, 6)) == (None, 3, 4)


def test_it_is_saved_and_loaded(tmp_path):
    inputs = keras.Input((7, 6))
    model = keras.Model(inputs, StaticSlice((1, 0), (2, 6))(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    values = np.random.default_rng(0).normal(size=(3, 7, 6)).astype(np.float32)
    np.testing.assert_array_equal(loaded(values), values[:, 1:3])
