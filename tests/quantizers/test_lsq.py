"""LSQ against the formulas of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.quantizers import LSQ

# Float32 sums of some hundred terms.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def run(quantizer, values, upstream):
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    gradients = tape.gradient(
        outputs, [values, quantizer.step_size.ratio.value], tf.constant(upstream, tf.float32)
    )
    # The optimizer sees the ratio to a reference: its gradient is that of the step divided by it.
    to_step = gradients[1] * quantizer.step_size.reference
    return [outputs.numpy(), gradients[0].numpy(), to_step.numpy()]


def closed_form(values, step, q_min, q_max, upstream, scale, axes):
    scaled = values / step
    inside = (scaled >= q_min) & (scaled <= q_max)
    slope = np.where(inside, np.rint(scaled) - scaled, np.clip(scaled, q_min, q_max))
    to_step = scale * np.sum(upstream * slope, axis=axes, keepdims=np.ndim(step) > 0)
    return step * np.clip(np.rint(scaled), q_min, q_max), upstream * inside, to_step


@pytest.mark.parametrize("num_bits", [2, 3, 8])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("narrow_range", [True, False])
@pytest.mark.parametrize("axis", [None, -1])
def test_gradients_equal_the_closed_form_with_its_scale(num_bits, signed, narrow_range, axis):
    random = np.random.default_rng(num_bits)
    values = random.normal(size=(3, 3, 8, 5)).astype(np.float32)
    upstream = random.normal(size=values.shape).astype(np.float32)
    quantizer = LSQ(num_bits, signed=signed, narrow_range=narrow_range, axis=axis)
    quantizer.initialize(values)
    shape = () if axis is None else (1, 1, 1, 5)
    assert quantizer.step_size.shape == shape
    steps = random.uniform(0.05, 0.6, shape).astype(np.float32)
    quantizer.step_size.assign(steps)
    shared = values.size if axis is None else values.size // 5
    scale = 1 / np.sqrt(shared * quantizer.q_max)
    axes = None if axis is None else (0, 1, 2)
    expected = closed_form(values, steps, quantizer.q_min, quantizer.q_max, upstream, scale, axes)
    for found, wanted in zip(run(quantizer, values, upstream), expected, strict=True):
        np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_the_range_is_closed_as_in_the_papers_code():
    # The paper's formula leaves the border out, its code (a clamp, then a round) has it inside.
    quantizer = LSQ(3, num_features=1)
    quantizer.initialize([1.0])
    quantizer.step_size.assign(0.5)
    values = [-2.0, -2.001, -9.0, 1.5, 1.501, 9.0, 0.25, 0.75]
    outputs, to_values, _ = run(quantizer, values, np.ones(8))
    assert outputs.tolist() == [-2.0, -2.0, -2.0, 1.5, 1.5, 1.5, 0.0, 1.0]
    assert to_values.tolist() == [1, 0, 0, 1, 0, 0, 1, 1]
    slopes = [0, -4, -4, 0, 3, 3, -0.5, 0.5]
    for value, slope in zip(values, slopes, strict=True):
        np.testing.assert_allclose(run(quantizer, [value], [1.0])[2], slope / np.sqrt(3))


@pytest.mark.parametrize("axis", [None, -1])
def test_features_of_an_activation_are_counted_without_the_batch(axis):
    values = np.ones((7, 5, 6, 4), np.float32)
    quantizer = LSQ(4, axis=axis, is_activation=True)
    expected = 5 * 6 * (4 if axis is None else 1)
    assert quantizer.count_features(tf.constant(values)) == expected

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 4))])
    def count(values):
        return quantizer.count_features(values)

    assert float(count(values)) == expected


@pytest.mark.parametrize(("axis", "expected"), [(None, 72), (-1, 18), ((2, 3), 9), (-2, 36)])
def test_weights_are_counted_per_step_size(axis, expected):
    assert LSQ(4, axis=axis).count_features(tf.ones((3, 3, 2, 4))) == expected


def test_a_given_count_is_taken():
    assert LSQ(4, num_features=10).count_features(tf.ones((3, 4))) == 10


@pytest.mark.parametrize("axis", [None, -1, (2, 3)])
def test_the_first_step_is_twice_the_mean_magnitude_over_the_root_of_q_max(axis):
    values = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
    quantizer = LSQ(4, axis=axis)
    quantizer.initialize(values)
    axes = {None: None, -1: (0, 1, 2), (2, 3): (0, 1)}[axis]
    expected = 2 * np.mean(np.abs(values), axis=axes, keepdims=axis is not None) / np.sqrt(7)
    np.testing.assert_allclose(quantizer.step_size, expected, rtol=1e-6)


def test_the_scale_holds_for_a_range_whose_sign_the_data_decides():
    values = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    upstream = np.ones_like(values)
    decided = LSQ(4, signed=None, is_activation=True)
    given = LSQ(4, signed=True, is_activation=True)
    for quantizer in (decided, given):
        quantizer.initialize(values)
    for found, wanted in zip(
        run(decided, values, upstream), run(given, values, upstream), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_training_the_step_lowers_the_quantization_error():
    values = tf.constant(np.random.default_rng(0).normal(size=(1000,)), tf.float32)
    quantizer = LSQ(3, num_features=1000)
    quantizer.initialize(values * 4.0)
    optimizer = keras.optimizers.SGD(0.5)
    errors = []
    for _ in range(30):
        with tf.GradientTape() as tape:
            error = tf.reduce_sum(tf.square(quantizer(values) - values)) / 10.0
        errors.append(float(error))
        variables = quantizer.trainable_variables
        optimizer.apply(tape.gradient(error, variables), variables)
    assert errors[-1] < 0.5 * errors[0]
