import numpy as np
import pytest

from tests.quantizers.test_binary import annealed_slope, gradient
from tfq_lowbit import quantizers

RANDOM = np.random.default_rng(0)
KERNEL = (RANDOM.normal(0, 0.1, (3, 3, 4, 5)) + np.linspace(-1, 1, 5)).astype(np.float32)
UPSTREAM = RANDOM.normal(0, 1, KERNEL.shape).astype(np.float32)


def standardize(kernel, axes):
    kernel = kernel.astype(np.float64)
    centred = kernel - kernel.mean(axis=axes, keepdims=True)
    return centred / kernel.std(axis=axes, keepdims=True)


@pytest.mark.parametrize("axis", [None, 3])
def test_the_signs_are_balanced_and_the_scale_is_a_power_of_two(axis):
    axes = (0, 1, 2) if axis else (0, 1, 2, 3)
    standard = standardize(KERNEL, axes)
    alpha = 2.0 ** np.round(np.log2(abs(standard).mean(axis=axes, keepdims=True)))
    quantizer = quantizers.IRNet(axis=axis)
    np.testing.assert_array_equal(quantizer(KERNEL), np.where(standard < 0, -alpha, alpha))
    if axis:
        codes = quantizer.encode(KERNEL).codes.numpy()
        assert abs(codes.mean(axis=(0, 1, 2))).max() < 0.35
        assert abs(np.where(KERNEL < 0, -1, 1).mean(axis=(0, 1, 2))).max() == 1


def test_the_scale_follows_the_spread_of_the_weights():
    heavy = np.zeros(256, np.float32)
    heavy[:8], heavy[8:16] = 8.0, -8.0  # deviation 2, mean magnitude a quarter of it
    assert quantizers.IRNet().encode(heavy).step_size.numpy() == 2.0**-2


@pytest.mark.parametrize("t", [0.1, 1.0, 10.0])
def test_the_gradient_goes_through_the_standardization(t):
    quantizer = quantizers.IRNet(axis=3)
    quantizer.build(KERNEL.shape)
    quantizer.t.assign(t)
    outputs, found = gradient(quantizer, KERNEL, UPSTREAM)
    standard = standardize(KERNEL, (0, 1, 2))
    to_standard = UPSTREAM * abs(outputs) * annealed_slope(standard, t)
    # The derivative of (w - mean) / sd, as that of batch normalization.
    mean = to_standard.mean(axis=(0, 1, 2))
    along = (to_standard * standard).mean(axis=(0, 1, 2))
    expected = (to_standard - mean - standard * along) / KERNEL.std(axis=(0, 1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_equal_weights_give_finite_gradients():
    outputs, found = gradient(quantizers.IRNet(), np.full(9, 0.5, np.float32), np.ones(9, "f4"))
    assert np.isfinite(found).all() and np.all(outputs > 0)
