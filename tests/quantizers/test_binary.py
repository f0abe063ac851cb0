"""What binary quantizers share, and the gradients of those that are plain signs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import quantizers

VALUES = np.array([-1e30, -3, -1.01, -1, -0.7, -0.2, -0.0, 0, 1e-8, 0.3, 1, 1.01, 4], np.float32)
UPSTREAM = np.linspace(-2, 3, VALUES.size).astype(np.float32)


def gradient(quantizer, values, upstream=UPSTREAM, variables=()):
    """Returns the outputs, and the gradients of the values and of some variables."""
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    gradients = tape.gradient(outputs, [values, *variables], tf.constant(upstream))
    return outputs.numpy(), *(part.numpy() for part in gradients)


def swish_slope(x, beta):
    s = 1 / (1 + np.exp(-beta * x))
    return 2 * beta * s * (1 - s) * (2 + beta * x * (1 - 2 * s))


def annealed_slope(x, t):
    return max(1 / t, 1) * t * (1 - np.tanh(t * x) ** 2)


def annealed(t):
    quantizer = quantizers.IRNetSign()
    quantizer.build(VALUES.shape)
    quantizer.t.assign(t)
    return quantizer


# Quantizer and the derivative of its paper, in float64.
SLOPES = {
    "ste_sign": (quantizers.SteSign(), lambda x: abs(x) <= 1),
    "ste_sign, narrow": (quantizers.SteSign(clip_value=0.5), lambda x: abs(x) <= 0.5),
    "approx_sign": (
        quantizers.ApproxSign(),
        lambda x: np.where(x < 0, 2 + 2 * x, 2 - 2 * x) * ((-1 <= x) & (x < 1)),
    ),
    "swish_sign": (quantizers.SwishSign(), lambda x: swish_slope(x, 5.0)),
    "swish_sign, soft": (quantizers.SwishSign(beta=0.5), lambda x: swish_slope(x, 0.5)),
    "ir_net at first": (annealed(0.1), lambda x: annealed_slope(x, 0.1)),
    "ir_net at last": (annealed(10.0), lambda x: annealed_slope(x, 10.0)),
    "r_sign": (
        quantizers.RSign(axis=None),
        lambda x: np.maximum(2 - 2 * abs(x), 0),
    ),
}


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.filterwarnings("ignore:overflow")  # the closed form of NumPy, far from 0
def test_the_sign_is_exact_and_its_gradient_the_papers(name):
    quantizer, slope = SLOPES[name]
    outputs, to_values = gradient(quantizer, VALUES)
    np.testing.assert_array_equal(outputs, np.where(VALUES < 0, -1, 1))
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(slope(VALUES.astype(np.float64))) * UPSTREAM
    np.testing.assert_allclose(to_values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SLOPES)
def test_a_surrogate_gradient_is_finite_everywhere(name):
    quantizer, _ = SLOPES[name]
    largest = np.finfo(np.float32).max
    values = np.array([-largest, -1e10, 1e10, largest], np.float32)
    _, to_values = gradient(quantizer, values, np.ones(4, np.float32))
    np.testing.assert_array_equal(to_values, np.zeros(4))


SIGNS = [
    row for row in quantizers.INPUT_SCHEMES.values() if issubclass(row, quantizers.SignFunction)
]


@pytest.mark.parametrize("cls", SIGNS, ids=lambda cls: cls.__name__)
def test_thresholds_and_levels_say_what_a_sign_function_computes(cls):
    quantizer = cls()
    values = np.random.default_rng(0).normal(0.4, 1, (64, 5)).astype(np.float32)
    quantizer.initialize(values)
    if quantizer.has_channel_thresholds:
        quantizer.alpha.assign([0.5, -0.5, 0, 1, 0.1])
    values[:5] = quantizer.thresholds()
    thresholds, (scale, offset) = quantizer.thresholds(), quantizer.levels()
    for part in (thresholds, scale, offset):
        assert part.dtype == tf.float32
    assert thresholds.shape in [(), (5,)] and (scale.shape, offset.shape) == ((), ())
    codes = np.where(values < thresholds.numpy(), -1, 1)
    np.testing.assert_array_equal(quantizer.encode(values).codes, codes)
    expected = codes.astype(np.float32) * scale.numpy() + offset.numpy()
    np.testing.assert_array_equal(quantizer(values), expected)
    assert cls.has_offset == (float(offset) != 0)


@pytest.mark.parametrize("cls", [quantizers.SteSign, quantizers.XNOR, quantizers.AdaBin])
def test_a_binary_quantizer_has_no_other_range(cls):
    for argument in ("signed", "narrow_range"):
        with pytest.raises(ValueError, match=f"{cls.__name__} has the codes -1 .*{argument}=False"):
            cls(**{argument: False})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: quantizers.SteSign(clip_value=0), "`clip_value` must be positive.*=0"),
        (lambda: quantizers.SwishSign(beta=-1.0), "`beta` must be positive.*=-1.0"),
        (lambda: quantizers.RSign(axis=1), "`axis` of RSign must be -1 or None.*axis=1"),
        (lambda: quantizers.AdaBinSign(axis=-1), "one pair of levels.*axis=-1"),
    ],
)
def test_a_bad_argument_is_refused_by_name_and_value(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_the_thresholds_of_rsign_are_trained_by_channel():
    quantizer = quantizers.RSign()
    quantizer.build((None, 3))
    quantizer.alpha.assign([0.5, -0.5, 0.0])
    values = np.random.default_rng(0).normal(0, 1, (20, 3)).astype(np.float32)
    upstream = np.random.default_rng(1).normal(0, 1, (20, 3)).astype(np.float32)
    outputs, to_values, to_alpha = gradient(quantizer, values, upstream, [quantizer.alpha])
    distance = values - quantizer.alpha.numpy()
    np.testing.assert_array_equal(outputs, np.where(distance < 0, -1, 1))
    expected = upstream * np.maximum(2 - 2 * abs(distance), 0)
    np.testing.assert_allclose(to_values, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(to_alpha, -expected.sum(axis=0), rtol=1e-5)


def test_a_changed_sharpness_needs_no_new_trace():
    quantizer = annealed(0.1)

    @tf.function
    def slope(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = quantizer(values)
        return tape.gradient(outputs, values)

    for t in (0.1, 3.0):
        quantizer.t.assign(t)
        found = slope(keras.ops.array([0.5]))
        np.testing.assert_allclose(found, [annealed_slope(0.5, t)], rtol=1e-5)
    assert slope.experimental_get_tracing_count() == 1
