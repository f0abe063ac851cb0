"""The initialisation rules against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.calibration import RULES, get_rule

# Float32 means of some hundred values.
RELATIVE = 1e-5
RANGES = [(-8, 7), (-7, 7), (0, 15), (-2, 1), (0, 3), (-128, 127)]


def sample(q_min, shape=(487, 3)):
    values = np.random.default_rng(1).normal(size=shape) * [0.1, 1.0, 30.0][: shape[1]]
    return (values if q_min < 0 else np.abs(values)).astype(np.float32)


def squared_error(values, step_size, q_min, q_max):
    codes = np.clip(np.rint(values / step_size), q_min, q_max)
    return np.mean((values - step_size * codes) ** 2, axis=0)


@pytest.mark.parametrize(("q_min", "q_max"), RANGES)
def test_lsq_takes_twice_the_mean_magnitude_over_the_root_of_the_largest_code(q_min, q_max):
    values = sample(q_min)
    expected = 2 * np.abs(values).mean(0) / np.sqrt(q_max)
    np.testing.assert_allclose(get_rule("lsq")(values, q_min, q_max), expected, rtol=RELATIVE)


@pytest.mark.parametrize(("q_min", "q_max"), RANGES)
def test_min_max_takes_the_smallest_step_that_clips_nothing(q_min, q_max):
    values = sample(q_min)
    steps = get_rule("min_max")(values, q_min, q_max).numpy()
    expected = values.max(0) / q_max
    if q_min < 0:
        expected = np.maximum(expected, values.min(0) / q_min)
    np.testing.assert_allclose(steps, expected, rtol=RELATIVE)


@pytest.mark.parametrize("size", [1, 2, 10, 1500, 2501])
def test_percentile_clips_at_most_a_thousandth_of_the_magnitudes(size):
    values = np.random.default_rng(2).normal(size=(size, 2)).astype(np.float32)
    steps = get_rule("percentile")(values, -8, 7).numpy()
    expected = np.percentile(np.abs(values), 99.9, axis=0, method="higher") / 7
    np.testing.assert_allclose(steps, expected, rtol=RELATIVE)


def test_percentile_of_a_tensor_that_is_mostly_zero_falls_back_to_the_largest_value():
    values = np.zeros((5000, 1), np.float32)
    values[17] = 3.0
    np.testing.assert_allclose(get_rule("percentile")(values, 0, 15), [0.2], rtol=RELATIVE)


@pytest.mark.parametrize(("q_min", "q_max"), RANGES)
def test_mse_finds_the_candidate_of_least_squared_error(q_min, q_max):
    values = sample(q_min)
    steps = get_rule("mse")(values, q_min, q_max).numpy()
    widest = get_rule("min_max")(values, q_min, q_max).numpy()
    candidates = [widest * fraction for fraction in np.linspace(1.0, 0.05, 100)]
    least = np.min([squared_error(values, step, q_min, q_max) for step in candidates], axis=0)
    reached = squared_error(values, steps, q_min, q_max)
    assert np.all(reached <= least * (1 + 1e-4))
    assert np.all(reached <= squared_error(values, widest, q_min, q_max))


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("q_min", [-8, 0])
def test_a_channel_of_zeros_gets_a_range_of_one(name, q_min):
    values = sample(q_min)
    values[:, 1] = 0.0
    steps = get_rule(name)(values, q_min, 7).numpy()
    assert steps.shape == (3,)
    assert steps[1] == np.float32(1) / np.float32(7)
    assert np.all(steps[[0, 2]] > 1e-3)


@pytest.mark.parametrize("name", sorted(RULES))
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_rule_runs_in_a_graph_with_a_range_that_is_only_known_there(name, jit_compile):
    rule = tf.function(get_rule(name), jit_compile=jit_compile)
    for q_min, q_max in [(-8.0, 7.0), (-0.0, 15.0)]:
        values = sample(q_min, (487, 1))
        inside = rule(tf.constant(values), tf.constant(q_min), tf.constant(q_max))
        np.testing.assert_allclose(inside, get_rule(name)(values, q_min, q_max), rtol=RELATIVE)


def test_an_unknown_rule_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"`init` must be one of .*'percentile'.*'median'"):
        get_rule("median")
