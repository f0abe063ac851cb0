"""Which operator a layer becomes where there is a choice."""

import keras
import numpy as np
import pytest

from tfq_lowbit.export.layers.kernel_forms import kernel_form

layers = keras.layers
BY_CHANNEL = {
    "image": (layers.Conv2D(6, (3, 2), groups=6, name="a"), (5, 5, 6)),
    "image, two outputs a channel": (layers.Conv2D(12, 3, groups=6, strides=2), (5, 5, 6)),
    "sequence": (layers.Conv1D(12, 3, groups=6, dilation_rate=2), (7, 6)),
}
OTHERS = {
    "one group": (layers.Conv2D(6, 3), (5, 5, 6)),
    "one channel": (layers.Conv2D(6, 3), (5, 5, 1)),
    "two channels a group": (layers.Conv2D(6, 3, groups=3), (5, 5, 6)),
    "unequal strides": (layers.Conv2D(6, 2, groups=6, strides=(1, 2)), (5, 5, 6)),
}


@pytest.mark.parametrize("name", BY_CHANNEL)
def test_groups_of_one_channel_are_a_depthwise_convolution(name):
    layer, shape = BY_CHANNEL[name]
    layer.build((None, *shape))
    form = kernel_form(layer, 8, len(shape) + 1)
    assert form.spec.operator == "DEPTHWISE_CONV_2D"
    codes = np.arange(np.prod(layer.kernel.shape)).reshape(layer.kernel.shape)
    stored = form.to_operator(codes)
    assert stored.shape[-2:] == (6, layer.filters // 6)
    np.testing.assert_array_equal(form.spec.to_layer(stored), codes)


def test_the_depth_of_a_window_lies_in_the_channels():
    layer = layers.Conv3D(6, (2, 3, 4), groups=3, strides=(1, 2, 3), dilation_rate=1)
    layer.build((None, 5, 5, 7, 9))
    form = kernel_form(layer, 8, 5)
    codes = np.arange(np.prod(layer.kernel.shape)).reshape(layer.kernel.shape)
    stored = form.to_operator(codes)
    assert stored.shape == (3, 4, 2 * 3, 6)
    np.testing.assert_array_equal(stored[1, 2, 3 + 1], codes[1, 1, 2, 1])
    np.testing.assert_array_equal(form.spec.to_layer(stored), codes)
    assert form.spec.operator == "CONV_2D" and form.spec.strides == (2, 3)
    assert form.view_output((None, 4, 2, 2, 6)) == (None, 2, 2, 6)


def test_the_depth_of_a_transposed_window_is_reversed():
    layer = layers.Conv3DTranspose(6, (2, 1, 4), strides=(1, 2, 3))
    layer.build((None, 5, 5, 7, 3))
    form = kernel_form(layer, 8, 5)
    codes = np.arange(np.prod(layer.kernel.shape)).reshape(layer.kernel.shape)
    stored = form.to_operator(codes)
    assert stored.shape == (2, 4, 2 * 3, 6)  # no row is missing within the stride
    np.testing.assert_array_equal(stored[0, 2, 3 + 1, 5], codes[0, 0, 2, 5, 1])
    np.testing.assert_array_equal(stored[0, 2, 1, 5], codes[1, 0, 2, 5, 1])
    assert not stored[1].any()
    np.testing.assert_array_equal(form.spec.to_layer(stored), codes)
    assert form.spec.operator == "TRANSPOSE_CONV" and form.spec.strides == (2, 3)


@pytest.mark.parametrize("name", OTHERS)
def test_other_convolutions_stay_what_they_are(name):
    layer, shape = OTHERS[name]
    layer.build((None, *shape))
    assert kernel_form(layer, 8, len(shape) + 1).spec.operator == "CONV_2D"
