import numpy as np
import pytest

from tests.quantizers.test_binary import gradient
from tfq_lowbit import quantizers

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(0, 0.7, (3, 3, 4, 5)).astype(np.float32)
UPSTREAM = RANDOM.normal(0, 1, KERNEL.shape).astype(np.float32)


@pytest.mark.parametrize("axis", [None, 3])
def test_alpha_is_the_mean_magnitude(axis):
    axes = (0, 1, 2) if axis else (0, 1, 2, 3)
    alpha = abs(KERNEL.astype(np.float64)).mean(axis=axes, keepdims=True).astype(np.float32)
    quantizer = quantizers.XNOR(axis=axis)
    np.testing.assert_array_equal(quantizer(KERNEL), np.where(KERNEL < 0, -alpha, alpha))


@pytest.mark.parametrize("axis", [None, 3])
def test_the_gradient_goes_through_sign_and_alpha(axis):
    axes = (0, 1, 2) if axis else (0, 1, 2, 3)
    magnitude, sign = abs(KERNEL), np.sign(KERNEL)
    alpha = magnitude.mean(axis=axes, keepdims=True)
    through_sign = UPSTREAM * alpha * (magnitude <= 1)
    count = magnitude.size / alpha.size
    through_alpha = sign * (UPSTREAM * sign).sum(axis=axes, keepdims=True) / count
    _, found = gradient(quantizers.XNOR(axis=axis), KERNEL, UPSTREAM)
    np.testing.assert_allclose(found, through_sign + through_alpha, rtol=1e-4, atol=1e-6)
    _, found = gradient(quantizers.XNOR(axis=axis, has_fixed_scale=True), KERNEL, UPSTREAM)
    np.testing.assert_allclose(found, through_sign, rtol=1e-5, atol=1e-7)


def test_a_filter_of_zeros_has_a_tiny_positive_alpha():
    encoded = quantizers.XNOR().encode(np.zeros((3, 2), np.float32))
    assert encoded.step_size.numpy() == np.float32(1e-8)
    assert np.all(encoded.codes == 1)
