"""DoReFa weights and activations against the formulas of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.quantizers import DoReFaActivations, DoReFaWeights
from tfq_lowbit.wrappers import QuantizeActivation


def gradient_of(quantizer, values, upstream):
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    return tape.gradient(outputs, values, tf.constant(upstream, tf.float32)).numpy()


def draw(shape=(6, 7)):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("num_bits", range(2, 9))
def test_weights_equal_the_papers_formula(num_bits):
    values = draw()
    top = 2**num_bits - 1
    squashed = np.tanh(values)
    unit = squashed / (2 * np.abs(squashed).max()) + 0.5
    quantizer = DoReFaWeights(num_bits)
    np.testing.assert_allclose(quantizer(values), 2 * np.rint(top * unit) / top - 1, atol=1e-6)
    codes = quantizer.encode(values).codes.numpy()
    assert np.all(codes % 2 == 1)  # 2^b levels, none of them 0
    assert (codes.min(), codes.max()) <= (-top, top) and np.abs(codes).max() == top


@pytest.mark.parametrize("num_bits", range(2, 9))
def test_narrow_weights_have_the_levels_around_zero(num_bits):
    values = draw()
    top = 2 ** (num_bits - 1) - 1
    squashed = np.tanh(values)
    expected = np.rint(top * squashed / np.abs(squashed).max()) / top
    quantizer = DoReFaWeights(num_bits, narrow_range=True)
    np.testing.assert_allclose(quantizer(values), expected, atol=1e-6)


@pytest.mark.parametrize("narrow_range", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_weight_gradients_go_through_tanh_and_the_maximum(narrow_range, scale):
    values, upstream = draw(), draw()[::-1].copy()
    quantizer = DoReFaWeights(4, narrow_range=narrow_range)
    quantizer(values)
    quantizer.scale.assign(scale)
    squashed = np.tanh(values.astype(np.float64))
    largest = np.abs(squashed).max()
    to_squashed = scale * upstream / largest
    place = np.unravel_index(np.abs(squashed).argmax(), squashed.shape)
    to_largest = -scale * np.sum(upstream * squashed) / largest**2
    to_squashed[place] += to_largest * np.sign(squashed[place])
    expected = to_squashed * (1 - squashed**2)
    np.testing.assert_allclose(
        gradient_of(quantizer, values, upstream), expected, rtol=1e-4, atol=1e-5
    )


def test_weight_gradients_equal_the_numeric_ones_of_the_unrounded_function():
    values, upstream = draw((3, 3)), draw((3, 3))[::-1].copy()
    squash = lambda w: np.tanh(w) / np.abs(np.tanh(w)).max()  # noqa: E731
    expected = np.zeros((3, 3))
    for place in np.ndindex(3, 3):
        nudge = np.zeros((3, 3))
        nudge[place] = 1e-5
        wide = values.astype(np.float64)
        expected[place] = np.sum(upstream * (squash(wide + nudge) - squash(wide - nudge))) / 2e-5
    np.testing.assert_allclose(
        gradient_of(DoReFaWeights(3), values, upstream), expected, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("narrow_range", [True, False])
def test_all_zero_weights_are_finite_with_finite_gradients(narrow_range):
    quantizer = DoReFaWeights(4, narrow_range=narrow_range, keep_scale=True)
    values = np.zeros((3, 2), np.float32)
    quantizer.initialize(values)
    assert np.all(np.isfinite(quantizer(values)))
    assert np.all(np.isfinite(gradient_of(quantizer, values, np.ones((3, 2)))))


def test_a_kept_scale_is_the_least_squares_fit_and_set_once():
    values = 0.01 * draw()
    quantizer = DoReFaWeights(4, narrow_range=True, keep_scale=True)
    quantizer.initialize(values)
    unit = quantizer.encode(values).codes.numpy() / 7
    fitted = np.sum(values * unit) / np.sum(unit * unit)
    np.testing.assert_allclose(quantizer.scale, fitted, rtol=1e-5)
    assert quantizer.trainable_variables == []


def test_the_papers_scale_is_one():
    quantizer = DoReFaWeights(4)
    quantizer.initialize(0.01 * draw())
    assert quantizer.scale.numpy() == 1.0


@pytest.mark.parametrize("options", [{"signed": False}, {"axis": -1}])
def test_unsigned_or_per_channel_weights_are_refused(options):
    with pytest.raises(ValueError, match="leave out `signed` and `axis`"):
        DoReFaWeights(4, **options)


@pytest.mark.parametrize("num_bits", range(2, 9))
def test_activations_equal_the_papers_formula(num_bits):
    values = 2 * draw()
    top = 2**num_bits - 1
    expected = np.rint(top * np.clip(values, 0, 1)) / top
    np.testing.assert_allclose(DoReFaActivations(num_bits)(values), expected, atol=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_activation_gradients_are_one_in_the_closed_range(signed):
    quantizer = DoReFaActivations(2, signed=signed, clip_value=0.75)
    values = [0.75, 0.751, 9.0, 0.0, 0.3, -0.001, -0.75, -0.751]
    expected = [1, 0, 0, 1, 1, 1, 1, 0] if signed else [1, 0, 0, 1, 1, 0, 0, 0]
    upstream = np.linspace(1.0, 2.0, 8, dtype=np.float32)
    found = gradient_of(quantizer, values, upstream)
    np.testing.assert_array_equal(found, upstream * expected)


@pytest.mark.parametrize("signed", [True, False, None])
def test_a_range_that_is_not_given_comes_from_data_once(signed):
    quantizer = DoReFaActivations(4, signed=signed, clip_value=None)
    quantizer.initialize([-1.0, 0.5, 2.5])
    np.testing.assert_allclose(quantizer.range, 2.5, rtol=1e-6)
    assert quantizer.trainable_variables == []


def test_a_given_range_ignores_data():
    quantizer = DoReFaActivations(4, clip_value=6.0)
    quantizer.initialize([0.0, 100.0])
    assert quantizer.range.numpy() == 6.0


def test_a_given_range_holds_in_a_model_that_is_built_by_fit():
    layer = QuantizeActivation(DoReFaActivations(4, clip_value=6.0))
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3), np.float32), np.ones((4, 1), np.float32), verbose=0)
    assert layer.quantizer.range.numpy() == 6.0


def test_activations_per_channel_are_refused():
    with pytest.raises(ValueError, match=r"`axis` must be None.*-1"):
        DoReFaActivations(4, axis=-1)
