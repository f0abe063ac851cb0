"""Blocks of inputs have step sizes of their own, which float16 and bfloat16 hold exactly."""

import numpy as np
import pytest

from tfq_lowbit import quantizers
from tfq_lowbit.quantizers import BlockwiseLSQ

AXES = {(64, 5): (-1,), (5, 64): (0,), (4, 16, 2, 3): (2, 3), (2, 3, 64): (0, 1)}


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def as_matrix(values, axes):
    """Returns values as (inputs, channels)."""
    axes = [axis % values.ndim for axis in axes]
    count = int(np.prod([values.shape[axis] for axis in axes]))
    last = range(values.ndim - len(axes), values.ndim)
    return np.moveaxis(values, axes, last).reshape(-1, count)


@pytest.mark.parametrize("shape", AXES)
def test_each_block_is_quantized_by_its_own_step(shape):
    axes, values = AXES[shape], draw(shape)
    quantizer = BlockwiseLSQ(4, axis=axes)
    quantizer.initialize(values)
    matrix, made = as_matrix(values, axes), as_matrix(quantizer(values).numpy(), axes)
    steps = quantizer.step_sizes().numpy()
    assert steps.shape == (2, 1, matrix.shape[1])
    for block, channel in np.ndindex(2, matrix.shape[1]):
        rows = slice(32 * block, 32 * block + 32)
        step = steps[block, 0, channel]
        expected = np.clip(np.rint(matrix[rows, channel] * (1 / step)), -7, 7) * step
        np.testing.assert_array_equal(made[rows, channel], expected)
        alone = quantizers.LSQ(4, narrow_range=True, init="mse")
        alone.initialize(matrix[rows, channel])
        np.testing.assert_allclose(step, alone.step_size.numpy(), rtol=2.0**-8)


def test_steps_have_eight_significant_bits_in_the_range_of_float16():
    quantizer = BlockwiseLSQ(4, init="min_max")
    quantizer.initialize(np.geomspace(1e-9, 1e7, 32 * 50)[:, None])
    steps = quantizer.step_sizes().numpy()
    np.testing.assert_array_equal(steps.astype(np.float16).astype(np.float32), steps)
    assert np.all(steps.view(np.uint32) & 0xFFFF == 0)
    assert steps.min() == 2.0**-14 and steps.max() == 2.0**15


def test_an_outlier_costs_its_block_and_no_other():
    values = draw((256, 4))
    values[17] = 30.0
    errors = {}
    for name, quantizer in {
        "channel": quantizers.LSQ(4, narrow_range=True, axis=-1, init="mse"),
        "blocks": BlockwiseLSQ(4),
    }.items():
        quantizer.initialize(values)
        errors[name] = np.mean((quantizer(values).numpy() - values)[32:] ** 2)
    assert errors["blocks"] < errors["channel"] / 4


MISTAKES = {
    "no multiple of 32": (lambda: BlockwiseLSQ(4, block_size=48), "multiple of 32.*block_size=48"),
    "not positive": (lambda: BlockwiseLSQ(4, block_size=0), "positive multiple.*block_size=0"),
    "no integer": (lambda: BlockwiseLSQ(4, block_size=32.0), r"block_size=32\.0"),
    "a bool": (lambda: BlockwiseLSQ(4, block_size=True), "block_size=True"),
    "no channels": (lambda: BlockwiseLSQ(4, axis=None), "axis=None"),
    "too wide": (lambda: BlockwiseLSQ(8), "num_bits=8"),
    "a part of a block": (
        lambda: BlockwiseLSQ(4).initialize(draw((48, 2))),
        "whole blocks.*48 inputs, block_size=32",
    ),
    "a scheme without blocks": (
        lambda: quantizers.kernel_quantizer("dorefa", 4, -1, block_size=32),
        r"`weight_quantizer` must be one of \['lsq'\]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake):
    call, words = MISTAKES[mistake]
    with pytest.raises(ValueError, match=words):
        call()
