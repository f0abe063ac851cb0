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


def test_the_scales_behind_it_have_its_factor():
    layer = ChannelScale(return_accumulator_scales=True)
    x = np.ones((1, 3), np.float32)
    layer.build(x.shape)
    layer.gamma.assign(GAMMA)
    size, step = np.abs(GAMMA), np.float32(0.1)
    outputs, scales = layer(x, accumulator_scales=np.array([[0.5] * 3, [2.0] * 3], np.float32))
    np.testing.assert_array_equal(outputs, x * GAMMA)
    np.testing.assert_array_equal(scales, [[0.5] * 3, 2.0 * size])
    _, scales = layer(x, input_grid=np.array([step, 0.0, 255.0], np.float32))
    np.testing.assert_array_equal(scales, [[step] * 3, np.float32(1 / 127) * size])
    np.testing.assert_array_equal(layer(x)[1], np.zeros((2, 3)))
    assert [each.shape for each in layer(keras.Input((3,)))] == [(None, 3), (2, 3)]


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
