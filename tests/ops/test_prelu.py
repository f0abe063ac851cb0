"""Parametric ReLU on int8 codes, compiled and plain."""

import numpy as np
import pytest

from tests.ops.cases import WAYS
from tfq_lowbit import ops


def parameters(channels, seed=0):
    generator = np.random.default_rng(seed)
    draw = generator.standard_normal((4, channels)).astype(np.float32)
    knee = generator.integers(-20, 20, channels).astype(np.int32)
    return knee, draw[0], 10 * draw[1], draw[2], 10 * draw[3]


def expected_codes(x, knee, above_multiplier, above_bias, below_multiplier, below_bias, low, high):
    above = x.astype(np.float32) * above_multiplier + above_bias
    below = x.astype(np.float32) * below_multiplier + below_bias
    y = np.where(x > knee, above, below)
    return np.clip(np.where(np.isnan(y), low, np.rint(y)), low, high).astype(np.int8)


def all_codes(channels):
    return np.repeat(np.arange(-128, 128, dtype=np.int8)[:, None], channels, axis=1)


@pytest.mark.parametrize("channels", [1, 15, 16, 17, 64, 65])
@pytest.mark.parametrize("limits", [(-128, 127), (-5, 100)])
def test_every_code(kernels, channels, limits):
    x, given = all_codes(channels), parameters(channels)
    result = ops.prelu(x, *given, *limits)
    np.testing.assert_array_equal(result, expected_codes(x, *given, *limits))


def test_a_tie_is_rounded_to_even_and_a_nan_is_the_lowest_code(kernels):
    x = np.array([[1, 3, 1]], np.int8)
    result = ops.prelu(x, 0, [0.5, 0.5, np.nan], 0.0, 1.0, 0.0, low=-7)
    assert result.numpy().tolist() == [[0, 2, -7]]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same(kernels, way):
    x, given = all_codes(33).reshape(4, 8, 8, 33), parameters(33)
    result = way(lambda x: ops.prelu(x, *given), x)
    np.testing.assert_array_equal(result, expected_codes(x, *given, -128, 127))


def test_one_value_serves_all_channels(kernels):
    x = all_codes(3)
    result = ops.prelu(x, 0, 1.0, 0.0, 0.5, 0.0)
    np.testing.assert_array_equal(
        result, expected_codes(x, 0, *np.float32([1, 0, 0.5, 0]), -128, 127)
    )


def test_a_range_that_is_not_int8_is_refused(kernels):
    for limits in ((1, 0), (-129, 0), (0, 128)):
        with pytest.raises(ValueError, match="`low` and `high` must lie within int8"):
            ops.prelu(all_codes(1), 0, 1.0, 0.0, 1.0, 0.0, *limits)
