"""Surrogate gradients: the forward value is exact, the backward one is the chosen one."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import ste

STEP = 0.25  # a power of two: x / s is exact, so borders and ties are hit exactly
Q_MIN, Q_MAX = -4, 3
# On the borders, one float beyond them, far beyond them, on ties, inside.
VALUES = np.array(
    [-1.0, np.nextafter(np.float32(-1), np.float32(-2)), -9.0, 0.75, 0.76, 9.0]
    + [-0.375, -0.125, 0.125, 0.375, 0.0, 0.3],
    np.float32,
)
UPSTREAM = np.linspace(-1.0, 2.0, VALUES.size).astype(np.float32)


def run(function, *arguments):
    """Returns the value and the gradient for each argument, upstream weighted by UPSTREAM."""
    arguments = [tf.constant(argument, tf.float32) for argument in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        outputs = function(*arguments)
    gradients = tape.gradient(outputs, arguments, tf.constant(UPSTREAM))
    return outputs.numpy(), [None if g is None else g.numpy() for g in gradients]


def is_inside(values, q_min=Q_MIN, q_max=Q_MAX):
    return (values >= q_min * STEP) & (values <= q_max * STEP)


def test_round_ste_rounds_half_to_even_and_passes_the_gradient():
    outputs, (gradient,) = run(ste.round_ste, VALUES / STEP)
    np.testing.assert_array_equal(outputs, np.rint(VALUES / STEP))
    np.testing.assert_array_equal(gradient, UPSTREAM)


def test_sign_ste_returns_signs_and_the_gradient_of_the_slope():
    is_below = VALUES < 0.1
    for below in (is_below, ~is_below):  # the forward pass sees nothing but the comparison
        outputs, (gradient,) = run(
            lambda distance: ste.sign_ste(distance, tf.constant(below), lambda x: 3 * x), VALUES
        )
        np.testing.assert_array_equal(outputs, np.where(below, -1, 1))
        np.testing.assert_array_equal(gradient, UPSTREAM * (3 * VALUES))


@pytest.mark.parametrize("shape", [(), (VALUES.size,)])
def test_trained_ternary_ste_trains_both_scales(shape):
    positive, negative = np.full(shape, 2.0), np.full(shape, 0.5)
    threshold = 0.375  # one value lies on it, on each side
    outputs, gradients = run(
        lambda *arguments: ste.trained_ternary_ste(arguments[0], threshold, *arguments[1:]),
        *(VALUES, positive, negative),
    )
    above, below = VALUES > threshold, -threshold > VALUES
    np.testing.assert_array_equal(outputs, np.select([above, below], [2.0, -0.5], 0.0))
    expected = UPSTREAM * np.select([above, below], [2.0, 0.5], 1.0)
    np.testing.assert_array_equal(gradients[0], expected)
    parts = UPSTREAM * above, -UPSTREAM * below
    for found, part in zip(gradients[1:], parts, strict=True):
        np.testing.assert_allclose(found, part if shape else part.sum(), rtol=1e-6)


def test_replace_ste_returns_the_replacement_and_sends_the_gradient_to_the_values():
    outputs, (to_values, to_replacement) = run(ste.replace_ste, VALUES, VALUES + 1)
    np.testing.assert_array_equal(outputs, VALUES + 1)
    np.testing.assert_array_equal(to_values, UPSTREAM)
    np.testing.assert_array_equal(to_replacement, np.zeros_like(UPSTREAM))


def test_clipped_round_ste_passes_gradients_inside_its_closed_range_only():
    outputs, (to_values, to_step) = run(
        lambda x, s: ste.clipped_round_ste(x, s, Q_MIN, Q_MAX), VALUES, STEP
    )
    np.testing.assert_array_equal(outputs, STEP * np.clip(np.rint(VALUES / STEP), Q_MIN, Q_MAX))
    np.testing.assert_array_equal(to_values, UPSTREAM * is_inside(VALUES))
    assert to_step is None


def test_learned_step_ste_equals_its_formula_on_and_beyond_the_borders():
    outputs, (to_values, to_step) = run(
        lambda x, s: ste.learned_step_ste(x, s, Q_MIN, Q_MAX, 0.5), VALUES, STEP
    )
    scaled = VALUES / STEP
    inside = is_inside(VALUES)
    slope = np.where(inside, np.rint(scaled) - scaled, np.clip(scaled, Q_MIN, Q_MAX))
    np.testing.assert_array_equal(outputs, STEP * np.clip(np.rint(scaled), Q_MIN, Q_MAX))
    np.testing.assert_array_equal(to_values, UPSTREAM * inside)
    np.testing.assert_allclose(to_step, 0.5 * np.sum(UPSTREAM * slope), rtol=1e-6)


def test_learned_step_and_offset_ste_equals_its_formula_on_and_beyond_the_borders():
    zero_point, num_steps = 4.0, 7.0
    outputs, (to_values, to_step, to_offset) = run(
        lambda x, s, b: ste.learned_step_and_offset_ste(x, s, b, zero_point, num_steps, 0.5),
        VALUES,
        STEP,
        -1.1,
    )
    scaled = VALUES / STEP
    inside = is_inside(VALUES)
    beyond = np.where(scaled < -zero_point, 0.0, num_steps)
    slope = np.where(inside, np.rint(scaled) - scaled, beyond)
    np.testing.assert_array_equal(outputs, STEP * np.clip(np.rint(scaled), Q_MIN, Q_MAX))
    np.testing.assert_array_equal(to_values, UPSTREAM * inside)
    np.testing.assert_allclose(to_step, 0.5 * np.sum(UPSTREAM * slope), rtol=1e-6)
    np.testing.assert_allclose(to_offset, 0.5 * np.sum(UPSTREAM * ~inside), rtol=1e-6)


@pytest.mark.parametrize("q_min", [0, -3, -4])
def test_clip_value_ste_equals_its_formula_on_and_beyond_the_borders(q_min):
    clip_value, num_steps = 0.75, 3
    values = np.concatenate([VALUES[:-2], [-0.75, np.float32(-1e-30)]]).astype(np.float32)
    outputs, (to_values, to_clip_value) = run(
        lambda x, c: ste.clip_value_ste(x, c, num_steps, q_min), values, clip_value
    )
    above = values >= clip_value
    below = values <= q_min * STEP if q_min < 0 else values < 0
    np.testing.assert_array_equal(outputs, STEP * np.clip(np.rint(values / STEP), q_min, 3))
    np.testing.assert_array_equal(to_values, UPSTREAM * ~(above | below))
    slope = above + q_min / num_steps * below
    np.testing.assert_allclose(to_clip_value, np.sum(UPSTREAM * slope), rtol=1e-6)


@pytest.mark.parametrize("num_steps", [7, 15, 31, 63, 127, 255])
def test_clip_value_ste_knows_its_border_where_the_quotient_rounds_across_it(num_steps):
    clip_values = np.random.default_rng(num_steps).uniform(0.1, 9.0, 50).astype(np.float32)
    for clip_value in clip_values:
        beneath = np.nextafter(clip_value, np.float32(0))
        values, alpha = tf.constant([beneath, clip_value]), tf.constant(clip_value)
        with tf.GradientTape() as tape:
            tape.watch((values, alpha))
            outputs = ste.clip_value_ste(values, alpha, num_steps, 0)
        to_values, to_alpha = tape.gradient(outputs, (values, alpha))
        assert to_values.numpy().tolist() == [1.0, 0.0]
        assert to_alpha.numpy() == 1.0


@pytest.mark.parametrize("shape", [(), (1, 1, 5), (1, 4, 1), (3, 4, 5), (1, 1, 1)])
def test_the_step_gradient_is_summed_over_the_axes_that_share_a_step(shape):
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 4, 5)).astype(np.float32)
    upstream = random.normal(size=values.shape).astype(np.float32)
    steps = random.uniform(0.1, 0.9, size=shape).astype(np.float32)
    scaled = values / steps
    inside = (scaled >= Q_MIN) & (scaled <= Q_MAX)
    slope = upstream * np.where(inside, np.rint(scaled) - scaled, np.clip(scaled, Q_MIN, Q_MAX))
    axes = tuple(axis for axis in range(3) if not shape or shape[axis] == 1)
    expected = slope.sum(axes, keepdims=bool(shape))
    with tf.GradientTape() as tape:
        step_size = tf.constant(steps)
        tape.watch(step_size)
        outputs = ste.learned_step_ste(tf.constant(values), step_size, Q_MIN, Q_MAX, 1.0)
    gradient = tape.gradient(outputs, step_size, tf.constant(upstream)).numpy()
    assert gradient.shape == shape
    # Float32 sums of 60 terms of size 4.
    np.testing.assert_allclose(gradient, expected, atol=2e-5)


def test_short_float_ste_rounds_to_bfloat16_and_passes_the_gradient():
    values = np.geomspace(1e-6, 1e6, VALUES.size).astype(np.float32)
    outputs, (gradient,) = run(ste.short_float_ste, values)
    expected = tf.cast(tf.cast(values, tf.bfloat16), tf.float32)
    np.testing.assert_array_equal(outputs, np.clip(expected, 2.0**-14, 2.0**15))
    np.testing.assert_array_equal(gradient, UPSTREAM)
    compiled = tf.function(ste.short_float_ste, jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.constant(values)), outputs)
