"""Values become words, compiled and plain."""

import numpy as np
import pytest
import tensorflow as tf

from tests.custom_ops import reference
from tests.ops.cases import WAYS
from tfq_lowbit import ops

CHANNELS = (1, 7, 31, 32, 33, 64, 65, 200)


def random_floats(*shape):
    """Returns values of which many are 0, some negative, and a few special."""
    generator = np.random.default_rng(0)
    values = np.rint(generator.standard_normal(shape)).astype(np.float32)
    flat = values.reshape(-1)
    special = (np.inf, -np.inf, np.nan, -0.0, np.finfo(np.float32).tiny)
    flat[: len(special)] = special[: flat.size]
    return values


def random_int8(*shape):
    return np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)


def expected_words(x, thresholds):
    return reference.pack(np.where(x < thresholds, -1.0, 1.0))


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("thresholds", ["none", "one", "one a channel"])
def test_float_values(kernels, channels, thresholds):
    x = random_floats(3, 5, channels)
    given = {"none": 0.0, "one": 1.0, "one a channel": random_floats(channels)}[thresholds]
    words = ops.bitpack(x) if thresholds == "none" else ops.bitpack(x, given)
    np.testing.assert_array_equal(words, expected_words(x, given))


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("thresholds", ["none", "one", "one a channel"])
def test_int8_values(kernels, channels, thresholds):
    x = random_int8(3, 5, channels)
    by_channel = np.random.default_rng(1).integers(-200, 200, channels).astype(np.int32)
    given = {"none": 0, "one": 128, "one a channel": by_channel}[thresholds]
    words = ops.bitpack(x) if thresholds == "none" else ops.bitpack(x, given)
    np.testing.assert_array_equal(words, expected_words(x.astype(np.int32), given))


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("num_planes", [2, 3, 4])
@pytest.mark.parametrize("lowest", [-128, -3, 120])
def test_codes(kernels, channels, num_planes, lowest):
    x = random_int8(3, 5, channels)
    x[0] = np.clip(x[0] % 8 + lowest, -128, 127)
    codes = np.clip(x.astype(np.int32) - lowest, 0, 2**num_planes - 1)
    words = ops.bitpack(x, num_planes=num_planes, lowest=lowest)
    np.testing.assert_array_equal(words, reference.pack_planes(codes, num_planes))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same(kernels, way):
    x = random_floats(3, 4, 5, 33)
    np.testing.assert_array_equal(way(ops.bitpack, x), expected_words(x, 0.0))
    x = random_int8(3, 4, 5, 33)
    codes = np.clip(x.astype(np.int32) + 3, 0, 3)
    words = way(lambda x: ops.bitpack(x, num_planes=2, lowest=-3), x)
    np.testing.assert_array_equal(words, reference.pack_planes(codes, 2))


@pytest.mark.parametrize("shape", [(0, 40), (40,), (2, 0, 40)])
def test_any_rank_and_emptiness(kernels, shape):
    x = random_floats(*shape)
    words = ops.bitpack(x)
    assert words.shape == (*shape[:-1], 2)
    np.testing.assert_array_equal(words, expected_words(x, 0.0))


def test_shapes_are_inferred_as_far_as_they_are_known(kernels):
    spec = tf.TensorSpec((None, 7, 33), tf.int8)
    function = tf.function(lambda x: ops.bitpack(x, num_planes=3), input_signature=[spec])
    assert function.get_concrete_function().outputs[0].shape.as_list() == [None, 7, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros(4, np.float64)}, "`x` must be float32 or int8 for 1 planes.*float64"),
        ({"num_planes": 5}, "`num_planes` must be 1 to 4. Received: 5"),
        ({"num_planes": 2}, "`x` must be int8 for 2 planes. Received: float32"),
        ({"thresholds": [1.0, 2.0]}, r"one a channel of 4. Received the shape: \(2,\)"),
        (
            {"x": np.zeros(4, np.int8), "num_planes": 2, "thresholds": 1},
            "`thresholds` must not be given with more than one plane",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kernels, arguments, message):
    with pytest.raises(ValueError, match=message):
        ops.bitpack(**{"x": np.zeros(4, np.float32)} | arguments)
