import numpy as np
import pytest

from tests.quantizers.test_binary import gradient
from tfq_lowbit import quantizers

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(0, 1, (3, 3, 4, 5)).astype(np.float32)
UPSTREAM = RANDOM.normal(0, 1, KERNEL.shape).astype(np.float32)


def test_two_scales_are_trained():
    quantizer = quantizers.TTQ(threshold=0.2)
    quantizer.initialize(KERNEL)
    quantizer.positive.assign(1.5, reference=1.0)
    quantizer.negative.assign(0.5, reference=1.0)
    delta = 0.2 * abs(KERNEL).max()
    above, below = delta < KERNEL, -delta > KERNEL
    variables = [quantizer.positive.ratio, quantizer.negative.ratio]
    outputs, to_values, to_positive, to_negative = gradient(quantizer, KERNEL, UPSTREAM, variables)
    np.testing.assert_array_equal(outputs, np.select([above, below], [1.5, -0.5], 0))
    np.testing.assert_allclose(to_values, UPSTREAM * np.select([above, below], [1.5, 0.5], 1.0))
    np.testing.assert_allclose(to_positive, UPSTREAM[above].sum(), rtol=1e-4)
    np.testing.assert_allclose(to_negative, -UPSTREAM[below].sum(), rtol=1e-4)


def test_one_scale_has_the_gradients_of_both_signs():
    quantizer = quantizers.TTQ(symmetric=True, axis=3)
    quantizer.initialize(KERNEL)
    assert len(quantizer.trainable_variables) == 1
    first = quantizer.positive.numpy()
    delta = 0.05 * abs(KERNEL).max(axis=(0, 1, 2))
    signs = np.sign(KERNEL) * (abs(KERNEL) > delta)
    outputs, _, to_ratio = gradient(quantizer, KERNEL, UPSTREAM, [quantizer.positive.ratio])
    np.testing.assert_array_equal(outputs, signs * first)
    expected = (UPSTREAM * signs).sum(axis=(0, 1, 2), keepdims=True) / first
    np.testing.assert_allclose(to_ratio, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("axis", [None, 3])
def test_the_scales_start_as_the_mean_of_the_large_magnitudes(axis):
    quantizer = quantizers.TTQ(axis=axis, threshold=0.3)
    quantizer.initialize(KERNEL)
    rows = abs(KERNEL).reshape(-1, 5 if axis else 1)
    expected = [row[row > np.float32(0.3) * row.max()].mean() for row in rows.T]
    for scale in (quantizer.positive, quantizer.negative):
        np.testing.assert_allclose(scale.numpy().ravel(), expected, rtol=1e-5)


def test_weights_of_zero_leave_the_scales_positive():
    quantizer = quantizers.TTQ(symmetric=True)
    quantizer.initialize(np.zeros(4))
    assert float(quantizer.positive.numpy()) == 1.0
    np.testing.assert_array_equal(quantizer(np.zeros(4, np.float32)), np.zeros(4))


def test_two_scales_have_no_codes_and_the_error_says_the_way_out():
    quantizer = quantizers.TTQ(name="mine")
    quantizer.initialize(KERNEL)
    with pytest.raises(ValueError, match=r"'mine' \(TTQ\).*no integer grid.*symmetric=True"):
        quantizer.encode(KERNEL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_bits": 3}, "num_bits=3"),
        ({"signed": False}, "signed=False"),
        ({"narrow_range": False}, "narrow_range=False"),
        ({"threshold": 1.0}, "`threshold`.*=1.0"),
    ],
)
def test_a_bad_argument_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        quantizers.TTQ(**arguments)
