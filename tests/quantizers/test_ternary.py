"""TWN against the formulas of the paper."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.quantizers import TWN


def closed_form(values):
    magnitude = np.abs(values)
    large = magnitude > 0.7 * magnitude.mean()
    return magnitude[large].mean() * np.sign(values) * large


def test_values_equal_the_papers_formula():
    values = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(TWN()(values), closed_form(values), rtol=1e-5)


def test_each_channel_has_its_own_threshold_and_alpha():
    values = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype(np.float32)
    values *= np.array([1, 10, 0.1, 3, 7], np.float32)
    outputs = TWN(axis=-1)(values).numpy()
    for channel in range(5):
        expected = closed_form(values[..., channel])
        np.testing.assert_allclose(outputs[..., channel], expected, rtol=1e-5)


def test_a_value_on_the_threshold_is_zero():
    quantizer = TWN()
    border = np.float32(0.7)
    above = np.nextafter(border, np.float32(1))
    values = np.array([0.0, 2.0, border, -2.0, -border, above, -above, 0.0], np.float32)
    values[-1] = 8.0 - np.abs(values).sum()  # a mean magnitude of 1
    assert tf.reduce_mean(tf.abs(values)) == 1.0
    assert quantizer.encode(values).codes.numpy().tolist() == [0, 1, 0, -1, 0, 1, -1, 1]


def test_the_gradient_goes_straight_through():
    values = tf.constant(np.random.default_rng(0).normal(size=(4, 5)), tf.float32)
    upstream = tf.constant(np.random.default_rng(1).normal(size=(4, 5)), tf.float32)
    quantizer = TWN(axis=-1)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    np.testing.assert_array_equal(tape.gradient(outputs, values, upstream), upstream)


@pytest.mark.parametrize("axis", [None, -1])
def test_all_zero_weights_give_zeros(axis):
    values = np.zeros((4, 3), np.float32)
    quantizer = TWN(axis=axis)
    np.testing.assert_array_equal(quantizer(values), values)
    np.testing.assert_array_equal(quantizer.encode(values).codes, values)


@pytest.mark.parametrize(
    "options", [{"num_bits": 3}, {"signed": False}, {"signed": None}, {"narrow_range": False}]
)
def test_any_other_range_is_refused(options):
    with pytest.raises(ValueError, match="codes -1, 0 and 1"):
        TWN(**options)
