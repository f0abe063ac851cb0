"""A learned factor for each channel: values, config, save and load."""

import keras
import numpy as np

from tfq_lowbit.wrappers import ChannelScale

GAMMA = np.array([0.5, -2.0, 0.0], np.float32)


def test_each_channel_is_multiplied_by_its_factor():
    layer = ChannelScale()
    x = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_array_equal(layer(x), x)
    layer.gamma.assign(GAMMA)
    np.testing.assert_array_equal(layer(x), x * GAMMA)


def test_a_step_and_a_grid_change_nothing():
    layer = ChannelScale()
    x = np.ones((1, 3), np.float32)
    grid = np.array([0.1, 0.0, 255.0], np.float32)
    np.testing.assert_array_equal(layer(x, accumulator_step=GAMMA, input_grid=grid), x)


def test_it_is_saved_and_loaded(tmp_path):
    inputs = keras.Input((4, 3))
    scale = ChannelScale(regularizer="l2", constraint="non_neg", name="scale")
    model = keras.Model(inputs, scale(inputs))
    scale.gamma.assign(GAMMA)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").get_layer("scale")
    np.testing.assert_array_equal(loaded.gamma, GAMMA)
    assert loaded.get_config() == scale.get_config()


def test_half_precision_in_half_precision_out(mixed_float16):
    assert ChannelScale()(np.ones((1, 3), np.float16)).dtype == "float16"
