"""Trained codes are found in float constants, and nothing else is."""

import numpy as np
import pytest

from tfq_lowbit.export.weight_matching import TrainedWeights, find_weights

INPUTS, CHANNELS, BLOCK = 64, 6, 32


def trained(block_size=None, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(-7, 8, (INPUTS, CHANNELS))
    blocks = 1 if block_size is None else INPUTS // block_size
    steps = random.uniform(0.01, 0.3, (blocks, CHANNELS)).astype(np.float32)
    return TrainedWeights(4, codes, steps, block_size)


def reals(weights):
    """Returns the matrix (inputs, channels) that a file would hold."""
    steps = np.repeat(weights.step_sizes, INPUTS // len(weights.step_sizes), axis=0)
    return weights.codes.astype(np.float32) * steps


@pytest.mark.parametrize("block_size", [None, BLOCK])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_very_steps_are_found_in_either_layout(block_size, axis):
    weights = trained(block_size)
    matrix = reals(weights) if axis else reals(weights).T
    found = find_weights({3: reals(trained(block_size, seed=1)), 7: matrix}, weights)
    assert (found.tensor, found.axis) == (7, axis)
    np.testing.assert_array_equal(found.codes, weights.codes if axis else weights.codes.T)
    np.testing.assert_array_equal(found.scales, weights.step_sizes.T)


@pytest.mark.parametrize("block_size", [None, BLOCK])
def test_factors_of_any_sign_and_zero_go_into_the_scales(block_size):
    weights = trained(block_size)
    factors = np.array([1.5, -1.5, 0, 0.3, -2, 7], np.float32)
    matrix = (reals(weights) * factors).T
    found = find_weights({0: matrix}, weights)
    scales = np.repeat(found.scales, INPUTS // found.scales.shape[1], axis=1)
    np.testing.assert_allclose(found.codes * scales, matrix, rtol=1e-6)
    assert np.all(found.scales > 0) and not found.codes[2].any()


def test_blocks_and_channels_of_zeros_have_the_scale_one():
    weights = trained(BLOCK)
    weights.codes[:BLOCK, 2] = 0
    found = find_weights({0: reals(weights).T * np.float32(3)}, weights)
    assert found.scales[2, 0] == 1 and found.scales[2, 1] != 1


def test_what_is_no_multiple_is_not_found():
    weights = trained()
    matrix = reals(weights).T
    matrix[1, 5] *= np.float32(1.01)
    others = {
        0: matrix,
        1: np.zeros((2, 3), np.float32),
        2: np.zeros(INPUTS * CHANNELS, np.float32),
    }
    assert find_weights(others, weights) is None
