import numpy as np
import pytest

from tests.quantizers.test_binary import gradient
from tfq_lowbit import quantizers

RANDOM = np.random.default_rng(0)
KERNEL = (RANDOM.normal(0, 0.3, (3, 3, 4, 5)) + np.linspace(-1, 1, 5)).astype(np.float32)
UPSTREAM = RANDOM.normal(0, 1, KERNEL.shape).astype(np.float32)


def levels(kernel, axes):
    kernel = kernel.astype(np.float64)
    return kernel.std(axis=axes, keepdims=True), kernel.mean(axis=axes, keepdims=True)


@pytest.mark.parametrize("axis", [None, 3])
def test_the_levels_of_weights_lie_a_deviation_from_their_mean(axis):
    alpha, beta = levels(KERNEL, (0, 1, 2) if axis else (0, 1, 2, 3))
    encoded = quantizers.AdaBin(axis=axis).encode(KERNEL)
    np.testing.assert_array_equal(encoded.codes, np.where(beta > KERNEL, -1, 1))
    np.testing.assert_allclose(encoded.step_size, alpha.reshape(encoded.step_size.shape), rtol=1e-6)
    np.testing.assert_allclose(encoded.offset, beta.reshape(encoded.offset.shape), rtol=1e-6)


def test_the_gradient_of_weights_goes_through_signs_and_levels():
    axes = (0, 1, 2)
    alpha, beta = levels(KERNEL, axes)
    u = (KERNEL - beta) / alpha
    sign, inside = np.where(u < 0, -1, 1), abs(u) <= 1
    mean = lambda values: values.mean(axis=axes, keepdims=True)  # noqa: E731
    # q = alpha * sign(u) + beta; dalpha/dw = u / n, dbeta/dw = 1 / n.
    to_u = UPSTREAM * alpha * inside
    to_alpha = mean(UPSTREAM * sign) - mean(to_u * u) / alpha
    to_beta = mean(UPSTREAM) - mean(to_u) / alpha
    _, found = gradient(quantizers.AdaBin(axis=3), KERNEL, UPSTREAM)
    np.testing.assert_allclose(found, to_u / alpha + to_alpha * u + to_beta, rtol=1e-4, atol=1e-5)


def trained(alpha, beta):
    quantizer = quantizers.AdaBinSign()
    quantizer.initialize([0.0, 1.0, 3.0, 4.0])
    quantizer.alpha.assign(alpha, reference=1.0)
    quantizer.beta.assign(beta, reference=1.0)
    return quantizer


def test_the_levels_of_inputs_start_at_the_mean_and_the_mean_distance():
    quantizer = quantizers.AdaBinSign()
    quantizer.initialize([0.0, 1.0, 3.0, 4.0])
    assert [float(level) for level in quantizer.levels()] == [1.5, 2.0]
    quantizer.initialize(np.full(4, 3.0))
    assert [float(level) for level in quantizer.levels()] == [1.0, 3.0]


def test_the_levels_of_inputs_are_trained():
    alpha, beta = 0.75, -0.25
    quantizer = trained(alpha, beta)
    values = np.linspace(-2, 2, 33, dtype=np.float32)
    upstream = RANDOM.normal(0, 1, 33).astype(np.float32)
    variables = [quantizer.alpha.ratio, quantizer.beta.ratio]
    outputs, to_values, to_alpha, to_beta = gradient(quantizer, values, upstream, variables)
    u = (values - beta) / alpha
    sign, inside = np.where(u < 0, -1, 1), abs(u) <= 1
    np.testing.assert_array_equal(outputs, alpha * sign + beta)
    np.testing.assert_allclose(to_values, upstream * inside, rtol=1e-6)
    np.testing.assert_allclose(to_alpha, (upstream * (sign - u * inside)).sum(), rtol=1e-4)
    np.testing.assert_allclose(to_beta, (upstream * ~inside).sum(), rtol=1e-4, atol=1e-5)


def test_equal_weights_give_finite_gradients():
    outputs, found = gradient(quantizers.AdaBin(), np.full(9, 0.5, "f4"), np.ones(9, "f4"))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(outputs, 0.5, rtol=1e-3)
