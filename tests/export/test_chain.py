"""Thresholds and folded transforms: what stands between an accumulator and the next quantizer."""

import numpy as np
import pytest

from tfq_lowbit.export.chain import INT32_MIN, Chain, find_thresholds
from tfq_lowbit.model import Clamp

RELU, RELU6 = Clamp(0.0, None), Clamp(0.0, 6.0)
REACH = 577  # odd: what three rows of three pixels of 64 channels reach, and one more
CHANNELS = 400
ALL = np.arange(-REACH, REACH + 1)[:, None]  # every accumulator that can occur
# Codes are compared in units of an output step, of which the largest accumulators make thousands.
FOLD_TOLERANCE = 1e-6
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def factors(random, channels=CHANNELS):
    """Returns multipliers of every kind: random, negative, zero, tiny, huge."""
    values = random.normal(0, 0.05, channels)
    values[::7] = 0.0
    values[1::11] *= 1e-9
    values[2::13] *= 1e9
    values[3::17] = 1e-42  # below what float32 holds as a normal number
    values[4::19] = 0.25
    return values.astype(np.float32)


def shifts(random, channels=CHANNELS):
    values = random.normal(0, 3, channels)
    values[::3] = 0.0
    values[1::5] *= 1e6
    values[4::19] = -2.0  # with a multiplier of 0.25: zero at an integer
    return values.astype(np.float32)


# By name: the steps behind an accumulator.
CHAINS = {
    "scale": lambda r: [(factors(r), shifts(r))],
    "batch norm": lambda r: [(factors(r), shifts(r)), (factors(r), shifts(r))],
    "batch norm, relu": lambda r: [(factors(r), shifts(r)), (factors(r), shifts(r)), RELU],
    "relu, batch norm": lambda r: [(factors(r), shifts(r)), RELU, (factors(r), shifts(r))],
    "relu6, batch norm, relu": lambda r: [
        (factors(r), shifts(r)),
        RELU6,
        (factors(r), shifts(r)),
        RELU,
    ],
    "relu, norm, relu6, norm": lambda r: [
        (factors(r), shifts(r)),
        RELU,
        (factors(r), shifts(r)),
        RELU6,
        (factors(r), shifts(r)),
    ],
}
THRESHOLDS = {
    "zero": lambda r: np.float32(0),
    "one": lambda r: np.float32(0.37),
    "one a channel": lambda r: shifts(r),
}


def chain_of(steps, channels=CHANNELS):
    chain = Chain(channels)
    for step in steps:
        if isinstance(step, Clamp):
            chain.clamp(step)
        else:
            chain.scale(*step)
    return chain


def by_hand(steps, integers):
    """Returns the float32 values, one operation after the other."""
    y = integers.astype(np.float32)
    for step in steps:
        if isinstance(step, Clamp):
            y = np.maximum(y, np.float32(step.lower))
            y = y if step.upper is None else np.minimum(y, np.float32(step.upper))
        else:
            y = (y * step[0]).astype(np.float32)
            y = (y + step[1]).astype(np.float32)
    return y


@pytest.mark.parametrize("steps", CHAINS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_threshold_is_the_sign_at_every_accumulator_that_occurs(steps, threshold, seed):
    random = np.random.default_rng(seed)
    steps, threshold = CHAINS[steps](random), THRESHOLDS[threshold](random)
    reach = np.full(CHANNELS, REACH)
    integers, flips = find_thresholds(chain_of(steps), -reach, reach, threshold)
    expected = by_hand(steps, np.broadcast_to(ALL, (len(ALL), CHANNELS))) < threshold
    np.testing.assert_array_equal((integers > ALL) ^ flips, expected)
    if isinstance(steps[-1], Clamp) and np.all(threshold == 0):
        assert not expected.any()  # a ReLU is never negative
        return
    # The draw has channels of every kind.
    kinds = {(bool(flip), bool(each == INT32_MIN)) for flip, each in zip(flips, integers)}
    assert len(kinds) == 4


def test_the_reach_may_differ_by_channel():
    reach = np.array([0, 1, 2, 9])
    chain = chain_of([(np.float32(1), np.float32(-1.5))], channels=4)
    integers, flips = find_thresholds(chain, -reach, reach, np.float32(0))
    assert integers.tolist() == [INT32_MIN, INT32_MIN, 2, 2]
    assert flips.tolist() == [True, True, False, False]


@pytest.mark.parametrize("steps", CHAINS)
@pytest.mark.parametrize("seed", range(3))
def test_a_folded_chain_is_the_chain(steps, seed):
    steps = CHAINS[steps](np.random.default_rng(seed))
    chain = chain_of(steps)
    affine = chain.fold()
    folded = np.clip(ALL, affine.lower, affine.upper) * affine.multiplier + affine.bias
    folded = np.clip(folded, affine.last.lower, affine.last.upper)
    expected = by_hand(steps, np.broadcast_to(ALL, folded.shape)).astype(np.float64)
    # Rounding is as large as the largest of the terms that cancelled: the products of the factors.
    size = np.abs(ALL).max() + 0.0
    for step in steps:
        if not isinstance(step, Clamp):
            size = size * np.abs(step[0].astype(np.float64)) + np.abs(step[1])
    assert np.all(np.abs(folded - expected) <= FOLD_TOLERANCE * size + SMALLEST_NORMAL)


def test_an_activation_at_the_end_stays_apart():
    chain = chain_of([(np.float32(1), np.float32(0)), RELU], channels=1)
    affine = chain.fold()
    assert affine.last == RELU and affine.lower[0] == -np.inf
    chain.scale(np.float32(-2), np.float32(1))
    affine = chain.fold()
    assert affine.last == Clamp(None, None)
    assert (affine.lower[0], affine.upper[0]) == (0.0, np.inf)
    assert (affine.multiplier[0], affine.bias[0]) == (-2.0, 1.0)
