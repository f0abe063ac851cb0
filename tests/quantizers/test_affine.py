"""Uniform affine fake quantization."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.quantizers import UniformAffine


def gradient_of(quantizer, values):
    values = tf.constant(values, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    return tape.gradient(outputs, values).numpy()


@pytest.mark.parametrize("signed", [True, False])
def test_the_gradient_is_one_in_the_closed_range_and_zero_beyond(signed):
    quantizer = UniformAffine(4, signed=signed)
    quantizer.initialize([1.0])
    quantizer.step_size.assign(0.5)
    lower, upper = (-4.0, 3.5) if signed else (0.0, 7.5)
    values = [lower, lower - 1e-3, -99.0, upper, upper + 1e-3, 99.0, 0.25, 1.1]
    assert gradient_of(quantizer, values).tolist() == [1, 0, 0, 1, 0, 0, 1, 1]


def test_training_does_not_move_the_step():
    quantizer = UniformAffine(4)
    quantizer.initialize([-1.0, 2.0])
    assert quantizer.trainable_variables == []


@pytest.mark.parametrize("num_bits", [2, 4, 8])
@pytest.mark.parametrize("data", [[-0.3, 1.7], [0.4, 2.0], [-5.0, -1.0], [0.0, 0.0]])
def test_an_asymmetric_grid_covers_the_data_and_zero(num_bits, data):
    quantizer = UniformAffine(num_bits, asymmetric=True)
    quantizer.initialize(data)
    low, high = min(data[0], 0.0), max(data[1], 0.0)
    top = 2**num_bits - 1
    step = max((high - low) / top, 1e-8)
    np.testing.assert_allclose(quantizer.step_size, step, rtol=1e-6)
    zero_point = float(quantizer.zero_point.numpy())
    assert zero_point == np.rint(-low / step)
    assert (float(quantizer.q_min), float(quantizer.q_max)) == (-zero_point, top - zero_point)
    inside = np.linspace(low, high, 50).astype(np.float32)
    # The zero point is rounded: up to half a step is clipped on one side.
    assert np.max(np.abs(quantizer(inside).numpy() - inside)) <= 0.5001 * step + 1e-9


def test_an_asymmetric_gradient_follows_the_shifted_range():
    quantizer = UniformAffine(2, asymmetric=True)
    quantizer.initialize([-1.0, 2.0])
    assert gradient_of(quantizer, [-1.0, -1.01, 2.0, 2.01]).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("unit", [1.0, -1.0, 0.5, 0.017, 123.0])
@pytest.mark.parametrize("asymmetric", [True, False])
@pytest.mark.parametrize("num_bits", [2, 3, 8])
def test_a_unit_is_a_whole_number_of_steps(unit, asymmetric, num_bits):
    free = UniformAffine(num_bits, asymmetric=asymmetric)
    snapped = UniformAffine(num_bits, asymmetric=asymmetric, unit=unit)
    data = np.linspace(-1.0, 0.992, 100, dtype=np.float32)
    free.initialize(data)
    snapped.initialize(data)
    step, free_step = snapped.step_size.numpy(), free.step_size.numpy()
    count = abs(unit) / step
    assert count > 0.999
    np.testing.assert_allclose(count, np.rint(count), rtol=1e-5)
    if abs(unit) >= free_step:
        assert step >= free_step * 0.999
        # Never more steps given up than rounding the count down takes.
        assert np.rint(count) >= np.floor(abs(unit) / free_step)


def test_a_unit_that_already_is_a_whole_number_of_steps_changes_nothing():
    for count in range(1, 128, 6):
        quantizer = UniformAffine(8, unit=0.7)
        quantizer.initialize([0.7 / count * 127])
        np.testing.assert_allclose(quantizer.step_size, 0.7 / count, rtol=1e-5)


def test_a_unit_of_zero_asks_for_nothing():
    quantizer = UniformAffine(4, unit=0.0)
    quantizer.initialize([-1.0, 0.7])
    np.testing.assert_allclose(quantizer.step_size, 0.125)


def test_an_asymmetric_grid_per_channel_is_refused():
    with pytest.raises(ValueError, match=r"`asymmetric` needs `axis=None`.*axis=-1"):
        UniformAffine(4, asymmetric=True, axis=-1)
