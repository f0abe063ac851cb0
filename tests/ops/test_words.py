"""Packing in a graph equals the specification in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import packing
from tfq_lowbit.ops import words

CHANNELS = (1, 31, 32, 33, 64, 65)
WAYS = (lambda function: function, tf.function, lambda f: tf.function(f, jit_compile=True))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_signs(way, channels):
    values = np.random.default_rng(0).choice([-1.0, 1.0], (2, 3, channels)).astype(np.float32)
    packed = packing.pack_signs(values)
    np.testing.assert_array_equal(way(words.pack_signs)(tf.constant(values)), packed)
    unpack = way(lambda w: words.unpack_signs(w, channels))
    np.testing.assert_array_equal(unpack(tf.constant(packed)), values)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("num_planes", [1, 2, 4])
@pytest.mark.parametrize("channels", CHANNELS)
def test_planes(way, channels, num_planes):
    codes = np.random.default_rng(0).integers(0, 2**num_planes, (3, channels))
    packed = packing.pack_planes(codes, num_planes)
    pack = way(lambda c: words.pack_planes(c, num_planes))
    np.testing.assert_array_equal(pack(tf.constant(codes, tf.float32)), packed)
    unpack = way(lambda w: words.unpack_planes(w, channels, num_planes))
    np.testing.assert_array_equal(unpack(tf.constant(packed)), codes)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(3, 3, 5, 4), (1, 1, 8, 1), (33, 3)])
@pytest.mark.parametrize("choices", [(-1, 1), (-1, 0, 1)])
def test_filters(way, shape, choices):
    kernel = np.random.default_rng(0).choice(choices, shape)
    unpack = way(lambda bits: words.unpack_filter(bits, shape))
    bits = packing.pack_filter(kernel)
    np.testing.assert_array_equal(unpack(tf.constant(bits)), kernel)
    if bits.ndim == 2:
        packed = way(words.pack_filter)(tf.constant(kernel, tf.float32))
        np.testing.assert_array_equal(packed, bits)


def test_unknown_sizes_keep_the_number_of_channels():
    spec = tf.TensorSpec((None, None, 33), tf.float32)
    function = tf.function(words.pack_signs, input_signature=[spec]).get_concrete_function()
    assert function.outputs[0].shape.as_list() == [None, None, 2]
    spec = tf.TensorSpec((None, None, 2), tf.int32)
    function = tf.function(lambda w: words.unpack_signs(w, 33), input_signature=[spec])
    assert function.get_concrete_function().outputs[0].shape.as_list() == [None, None, 33]
