"""PACT against the formulas of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.quantizers import PACT


def run(quantizer, values, upstream):
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    gradients = tape.gradient(
        outputs, [values, quantizer.alpha.ratio.value], tf.constant(upstream, tf.float32)
    )
    to_alpha = gradients[1] * quantizer.alpha.reference
    return [outputs.numpy(), gradients[0].numpy(), to_alpha.numpy()]


def with_alpha(num_bits, signed, alpha):
    quantizer = PACT(num_bits, signed=signed)
    quantizer.initialize([-1.0, 1.0])
    quantizer.alpha.assign(alpha)
    return quantizer


@pytest.mark.parametrize("num_bits", [2, 3, 4, 8])
@pytest.mark.parametrize("signed", [True, False, None])
def test_gradients_equal_the_closed_form(num_bits, signed):
    random = np.random.default_rng(num_bits)
    alpha = np.float32(1.3)
    edges = [alpha, -alpha, 0.0, 1.2999, -1.2999, 1.3001, -1.3001, -0.0001]
    values = np.concatenate([random.normal(size=300), edges]).astype(np.float32)
    upstream = random.normal(size=values.shape).astype(np.float32)
    top = 2 ** (num_bits - 1) - 1 if signed is not False else 2**num_bits - 1
    low = 0.0 if signed is False else -alpha
    clipped = np.clip(values, low, alpha)
    above = values >= alpha
    below = values < 0 if signed is False else values <= -alpha
    slope = above.astype(float) - (0.0 if signed is False else below)
    expected = [
        np.rint(clipped * (top / alpha)) * alpha / top,
        upstream * ~(above | below),
        np.sum(upstream * slope),
    ]
    found = run(with_alpha(num_bits, signed, alpha), values, upstream)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.75, 1.3, 5.123, 0.0137])
def test_the_borders_belong_where_the_paper_puts_them(alpha):
    alpha = np.float32(alpha)
    beneath = np.nextafter(alpha, np.float32(0))
    # 0 passes its gradient to x, alpha passes it to alpha, and no value to both.
    for value, to_value, to_alpha in [(0.0, 1, 0), (beneath, 1, 0), (alpha, 0, 1), (-alpha, 0, 0)]:
        found = run(with_alpha(4, False, alpha), [value], [1.0])[1:]
        assert [float(part.item()) for part in found] == [to_value, to_alpha]
    for value, to_value, to_alpha in [
        (0.0, 1, 0),
        (-beneath, 1, 0),
        (alpha, 0, 1),
        (-alpha, 0, -1),
    ]:
        found = run(with_alpha(4, True, alpha), [value], [1.0])[1:]
        assert [float(part.item()) for part in found] == [to_value, to_alpha]


@pytest.mark.parametrize("signed", [True, False, None])
def test_alpha_starts_where_the_rule_clips(signed):
    quantizer = PACT(4, signed=signed)
    quantizer.initialize([-2.0, 0.5, 3.0])
    np.testing.assert_allclose(quantizer.alpha, 3.0, rtol=1e-6)


def test_the_penalty_on_alpha_joins_the_loss_and_its_gradient():
    quantizer = PACT(4, signed=False, regularization=0.01)
    model = keras.Sequential([keras.Input((3,)), quantizer])
    quantizer.alpha.assign(3.0)
    with tf.GradientTape() as tape:
        model(np.zeros((1, 3), np.float32))
        loss = tf.add_n(model.losses)
    np.testing.assert_allclose(loss, 0.01 * 9.0, rtol=1e-6)
    to_ratio = tape.gradient(loss, quantizer.alpha.ratio.value)
    np.testing.assert_allclose(to_ratio * quantizer.alpha.reference, 0.06, rtol=1e-6)


def test_without_a_penalty_there_is_no_loss():
    quantizer = PACT(4, signed=False)
    quantizer(np.zeros((1, 3), np.float32))
    assert quantizer.losses == []


def test_a_wide_signed_range_has_one_code_more_below_with_its_own_slope():
    quantizer = PACT(3, signed=True, narrow_range=False)
    quantizer.initialize([-1.0, 1.0])
    quantizer.alpha.assign(0.75)  # a step of 0.25, from -1 to 0.75
    for value, output, to_value, to_alpha in [
        (-9.0, -1.0, 0, -4 / 3),
        (-1.0, -1.0, 0, -4 / 3),
        (-0.99, -1.0, 1, 0),
        (-0.75, -0.75, 1, 0),
        (0.75, 0.75, 0, 1),
    ]:
        found = [part.item() for part in run(quantizer, [value], [1.0])]
        np.testing.assert_allclose(found, [output, to_value, to_alpha], rtol=1e-6)


def test_a_clipping_value_per_channel_is_refused():
    with pytest.raises(ValueError, match=r"`axis` must be None.*-1"):
        PACT(4, axis=-1)
