"""Batch normalization that evaluates as the integer kernel will."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.wrappers import FoldedBatchNormalization, batch_norm_affine

CHANNELS = 6
# Gamma of both signs, 0 and very small; beta and mean of any size.
STATE = {
    "gamma": np.array([1.0, -0.7, 0.0, 3.0, -1e-3, 0.2], np.float32),
    "beta": np.array([0.3, -1.1, 0.4, 0.0, 2.0, -0.5], np.float32),
    "moving_mean": np.array([0.1, -2.0, 0.7, 0.0, 1.0, 5.0], np.float32),
    "moving_variance": np.array([1.0, 0.1, 2.0, 0.0, 4.0, 9.0], np.float32),
}
VALUES = np.random.default_rng(0).normal(size=(4, 3, 2, CHANNELS)).astype(np.float32)
STEP = np.linspace(0.01, 0.06, CHANNELS, dtype=np.float32)
# The product of both is STEP, exactly.
SCALES = np.stack([np.full(CHANNELS, 0.5, np.float32), 2 * STEP])
OPTIONS = [
    {},
    {"scale": False},
    {"center": False},
    {"scale": False, "center": False},
    {"epsilon": 0.1, "momentum": 0.5},
]

each = pytest.mark.parametrize("options", OPTIONS, ids=str)


def build(cls, options):
    layer = cls(**options)
    layer.build(VALUES.shape)
    for name, value in STATE.items():
        weight = getattr(layer, name)
        if weight is not None:
            weight.assign(value)
    return layer


def pair(options):
    layers = FoldedBatchNormalization, keras.layers.BatchNormalization
    return [build(cls, options) for cls in layers]


@each
@pytest.mark.parametrize("scales", [None, SCALES], ids=["no scales", "scales"])
def test_training_equals_keras(options, scales):
    folded, plain = pair(options)
    for _ in range(2):
        outputs = folded(VALUES, accumulator_scales=scales, training=True)
        np.testing.assert_array_equal(outputs, plain(VALUES, training=True))
    for one, other in zip(folded.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@each
@pytest.mark.parametrize("training", [False, None])
def test_evaluation_without_a_step_equals_keras(options, training):
    folded, plain = pair(options)
    np.testing.assert_array_equal(folded(VALUES, training=training), plain(VALUES))


@each
def test_evaluation_with_a_step_shifts_by_a_whole_number_of_units(options):
    folded, plain = pair(options)
    multiplier, shift = (part.numpy() for part in batch_norm_affine(folded))
    unit = np.abs(multiplier) * STEP
    outputs = folded(VALUES, accumulator_scales=SCALES).numpy()
    # Besides the rounding of the shift, float32 arithmetic on values of the size of the shift.
    allowed = 0.5 * unit + 1e-5 * (1 + np.abs(shift) + np.abs(multiplier) * 5)
    assert np.all(np.abs(outputs - plain(VALUES).numpy()) <= allowed)
    added = folded(np.zeros_like(VALUES), accumulator_scales=SCALES).numpy()
    rounded = np.rint(np.divide(shift, unit, where=unit > 0, out=np.zeros_like(shift))) * unit
    expected = np.where(unit > 0, rounded, shift)
    np.testing.assert_array_equal(added, np.broadcast_to(expected, added.shape))


@each
def test_the_affine_form_is_the_inference_formula(options):
    folded, plain = pair(options)
    gamma = STATE["gamma"] if folded.scale else 1.0
    beta = STATE["beta"] if folded.center else 0.0
    expected = gamma / np.sqrt(STATE["moving_variance"].astype(float) + folded.epsilon)
    multiplier, shift = batch_norm_affine(folded)
    np.testing.assert_allclose(multiplier, expected, rtol=1e-6)
    np.testing.assert_allclose(shift, beta - STATE["moving_mean"] * expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(plain(VALUES), VALUES * multiplier + shift, rtol=1e-4, atol=1e-4)


@each
def test_what_is_not_rounded_has_the_bits_of_keras(options):
    folded, plain = pair(options)
    multiplier, shift = batch_norm_affine(folded, rounds_shift=False)
    np.testing.assert_array_equal(plain(VALUES), VALUES * multiplier + shift)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_affine_form_has_the_same_bits_in_a_graph(jit_compile):
    layer = FoldedBatchNormalization()
    layer.build((None, 10_000))
    random = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(random.uniform(0.1, 3.0, weight.shape))
    compiled = tf.function(lambda: batch_norm_affine(layer), jit_compile=jit_compile)
    for found, expected in zip(compiled(), batch_norm_affine(layer), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_dead_channel_is_its_constant_exactly():
    folded, _ = pair({})
    outputs = folded(VALUES, accumulator_scales=SCALES).numpy()
    dead = STATE["gamma"] == 0
    np.testing.assert_array_equal(outputs[..., dead], np.full((4, 3, 2, 1), 0.4, np.float32))


@pytest.mark.parametrize("gamma", [1e-20, 1e-30, 1e-36, 1e-38, 1e-44])
def test_an_almost_dead_channel_stays_finite(gamma):
    folded, plain = pair({})
    folded.gamma.assign(np.full(CHANNELS, gamma))
    plain.gamma.assign(np.full(CHANNELS, gamma))
    outputs = folded(VALUES, accumulator_scales=SCALES).numpy()
    np.testing.assert_allclose(outputs, plain(VALUES), rtol=1e-5, atol=1e-6)


def test_a_frozen_layer_infers_in_training():
    folded, plain = pair({})
    folded.trainable = plain.trainable = False
    np.testing.assert_array_equal(folded(VALUES, training=True), plain(VALUES, training=True))
    np.testing.assert_array_equal(folded.moving_mean, STATE["moving_mean"])


def test_a_grid_stands_for_a_kernel_of_one_code():
    folded, _ = pair({})
    grid = np.array([0.05, 0.0, 255.0], np.float32)
    scales = np.full((2, CHANNELS), [[0.05], [1 / 127]], np.float32)
    expected = folded(VALUES, accumulator_scales=scales)
    np.testing.assert_array_equal(folded(VALUES, input_grid=grid), expected)
    run = tf.function(lambda values, grid: folded(values, input_grid=grid))
    np.testing.assert_array_equal(run(VALUES, grid), expected)


def test_a_keras_file_restores_it_exactly(tmp_path):
    inputs, scales = keras.Input(VALUES.shape[1:]), keras.Input(batch_shape=(2, CHANNELS))
    layer = FoldedBatchNormalization(epsilon=0.01, return_accumulator_scales=True)
    model = keras.Model([inputs, scales], layer(inputs, accumulator_scales=scales))
    for name, value in STATE.items():
        getattr(layer, name).assign(value)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(restored([VALUES, SCALES]), model([VALUES, SCALES]), strict=True):
        np.testing.assert_array_equal(one, other)


@each
def test_the_scales_behind_it_have_its_factor(options):
    folded = build(FoldedBatchNormalization, {**options, "return_accumulator_scales": True})
    size = np.abs(batch_norm_affine(folded)[0])
    _, scales = folded(VALUES, accumulator_scales=SCALES)
    np.testing.assert_array_equal(scales, [SCALES[0], SCALES[1] * size])
    _, scales = folded(VALUES, input_grid=np.array([0.05, 0.0, 255.0], np.float32))
    single = np.float32(1 / 127)
    np.testing.assert_array_equal(scales, [np.full(CHANNELS, np.float32(0.05)), single * size])
    for unknown in (folded(VALUES), folded(VALUES, accumulator_scales=SCALES, training=True)):
        np.testing.assert_array_equal(unknown[1], np.zeros((2, CHANNELS)))
    symbolic = folded(keras.Input(VALUES.shape[1:]))
    assert [each.shape for each in symbolic] == [(None, *VALUES.shape[1:]), (2, CHANNELS)]
