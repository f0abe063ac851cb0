"""LSQ+ against the formulas of the paper, the offset snapped to the grid."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.calibration import get_rule
from tfq_lowbit.quantizers import LSQPlus

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def run(quantizer, values, upstream):
    values = tf.constant(values, tf.float32)
    numbers = [quantizer.step_size, quantizer.offset]
    variables = [number.ratio.value for number in numbers]
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = quantizer(values)
    gradients = tape.gradient(outputs, [values, *variables], tf.constant(upstream, tf.float32))
    to_numbers = [
        gradient * number.reference for gradient, number in zip(gradients[1:], numbers, strict=True)
    ]
    return [outputs.numpy(), gradients[0].numpy(), *(each.numpy() for each in to_numbers)]


@pytest.mark.parametrize("num_bits", [2, 4, 8])
@pytest.mark.parametrize("offset", [-0.61, 0.0, 0.4, -50.0])
def test_gradients_equal_the_closed_form(num_bits, offset):
    random = np.random.default_rng(num_bits)
    values = random.normal(size=(16, 9)).astype(np.float32)
    upstream = random.normal(size=values.shape).astype(np.float32)
    top = 2**num_bits - 1
    step = np.float32(1.7 / top)
    quantizer = LSQPlus(num_bits)
    quantizer.initialize(values)
    quantizer.step_size.assign(step)
    quantizer.offset.assign(offset)

    # The paper's formulas, with beta replaced by the multiple of s nearest to it.
    beta = -step * np.clip(np.rint(-np.float32(offset) / step), 0, top)
    scaled = (values - beta) / step
    inside = (scaled >= 0) & (scaled <= top)
    scale = 1 / np.sqrt(9 * top)
    slope = np.where(inside, np.rint(scaled) - scaled, np.where(scaled < 0, 0, top))
    expected = [
        step * np.clip(np.rint(scaled), 0, top) + beta,
        upstream * inside,
        scale * np.sum(upstream * slope),
        scale * np.sum(upstream * ~inside),
    ]
    for found, wanted in zip(run(quantizer, values, upstream), expected, strict=True):
        np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_the_range_is_closed():
    quantizer = LSQPlus(2, num_features=1)
    quantizer.initialize([1.0])
    quantizer.step_size.assign(0.5)
    quantizer.offset.assign(-0.5)
    values = [-0.5, -0.501, -9.0, 1.0, 1.001, 9.0, 0.25]
    slopes = [0, 0, 0, 0, 3, 3, -0.5]
    outside = [0, 1, 1, 0, 1, 1, 0]
    for value, slope, is_outside in zip(values, slopes, outside, strict=True):
        _, to_value, to_step, to_offset = run(quantizer, [value], [1.0])
        assert to_value == 1 - is_outside
        np.testing.assert_allclose(to_step, slope / np.sqrt(3), rtol=1e-6)
        np.testing.assert_allclose(to_offset, is_outside / np.sqrt(3), rtol=1e-6)


@pytest.mark.parametrize("low", [-0.3, 0.5])
@pytest.mark.parametrize("init", ["mse", "min_max"])
def test_the_offset_starts_at_the_minimum_and_the_step_by_the_rule(low, init):
    values = np.random.default_rng(0).uniform(low, 2.0, 500).astype(np.float32)
    quantizer = LSQPlus(4, init=init)
    quantizer.initialize(values)
    offset = min(values.min(), 0.0)
    np.testing.assert_array_equal(quantizer.offset, offset)
    shifted = (values - np.float32(offset)).reshape(-1, 1)
    np.testing.assert_allclose(
        quantizer.step_size, get_rule(init)(shifted, 0, 15).numpy()[0], rtol=1e-6
    )


def test_a_small_negative_tail_costs_few_codes():
    quantizer = LSQPlus(4)
    quantizer.initialize(np.linspace(-0.2, 3.0, 1000))
    assert -2 <= float(quantizer.q_min) < 0
    assert float(quantizer.q_max) - float(quantizer.q_min) == 15


@pytest.mark.parametrize("options", [{"signed": True}, {"narrow_range": True}, {"axis": -1}])
def test_what_the_offset_replaces_is_refused(options):
    with pytest.raises(ValueError, match="leave out `signed`, `narrow_range` and `axis`"):
        LSQPlus(4, **options)
