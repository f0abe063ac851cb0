"""Maximum of packed values, compiled and plain."""

import numpy as np
import pytest
import tensorflow as tf

from tests.custom_ops import reference
from tests.ops.cases import WAYS
from tfq_lowbit import ops


def random_values(*shape):
    return np.random.default_rng(0).choice([-1.0, -1.0, -1.0, 1.0], shape)


def expected_words(values, kernel_size, strides, padding):
    pad_value = None if padding == "VALID" else -np.inf
    windows = reference.windows(values, kernel_size, strides, pad_value=pad_value)
    return reference.pack(windows.max(axis=(3, 4)))


@pytest.mark.parametrize("channels", [1, 32, 33, 100])
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize(
    ("image", "kernel_size", "strides"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((6, 7), (2, 2), (2, 2)),
        ((7, 6), (3, 3), (2, 2)),
        ((7, 9), (3, 2), (1, 3)),
    ],
)
def test_the_maximum(kernels, image, kernel_size, strides, padding, channels):
    values = random_values(2, *image, channels)
    result = ops.bmaxpool(reference.pack(values), kernel_size, strides, padding)
    expected = expected_words(values, kernel_size, strides, padding)
    assert result.dtype == tf.int32
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same(kernels, way):
    values = random_values(2, 7, 6, 40)
    result = way(lambda x: ops.bmaxpool(x, (3, 3), (2, 2), "SAME"), reference.pack(values))
    np.testing.assert_array_equal(result, expected_words(values, (3, 3), (2, 2), "SAME"))


def test_shapes_are_inferred_as_far_as_they_are_known(kernels):
    spec = tf.TensorSpec((None, None, 7, 2), tf.int32)
    function = tf.function(lambda x: ops.bmaxpool(x, (3, 3), (2, 2)), input_signature=[spec])
    assert function.get_concrete_function().outputs[0].shape.as_list() == [None, None, 3, 2]


def test_another_padding_is_refused(kernels):
    with pytest.raises(ValueError, match="`padding` must be VALID or SAME. Received: 'SAME_ONE'"):
        ops.bmaxpool(tf.zeros((1, 4, 4, 1), tf.int32), (2, 2), (2, 2), "SAME_ONE")


@pytest.mark.parametrize("wrong", [{"kernel_size": (0, 2)}, {"strides": (2, 0)}])
def test_a_window_without_size_is_refused(kernels, wrong):
    arguments = {"kernel_size": (2, 2), "strides": (2, 2)} | wrong
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        ops.bmaxpool(tf.zeros((1, 4, 4, 1), tf.int32), **arguments)
