"""The plain definitions where products of packed inputs do not reach."""

import numpy as np
import pytest
import tensorflow as tf

from tests.custom_ops import reference
from tfq_lowbit.ops import plain


def random_integers(shape, low, high, seed=0):
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.float32)


def test_sums_beyond_the_integers_of_float32_are_exact():
    count = 1_200_000
    values = np.full((1, count + 1), 15, np.float32)
    values[0, -1] = 14
    result = plain.dense(tf.constant(values), tf.ones((count + 1, 1)))
    assert result.dtype == tf.float64
    assert result.numpy().item() == 15 * count + 14
    image = plain.convolve(values[:, None, None], tf.ones((1, 1, count + 1, 1)))
    assert image.numpy().item() == 15 * count + 14
    # The integer bias is added before the sum is rounded to float32.
    y = plain.transform(result, 1.0, integer_bias=-15 * count)
    assert y.numpy().item() == 14.0


def test_accumulators_are_float32_below_that():
    assert plain.dense(tf.ones((1, 1000)), tf.ones((1000, 1))).dtype == tf.float32


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_multiplication_is_not_merged_into_the_convolution(jit_compile):
    values = random_integers((2, 6, 6, 32), 0, 1)
    kernel = 2 * random_integers((3, 3, 32, 8), 0, 1, seed=1) - 1
    multiplier = np.random.default_rng(2).standard_normal(8).astype(np.float32)
    acc, _ = reference.convolve(values, kernel)
    run = tf.function(lambda x: plain.convolve(x, kernel) * multiplier, jit_compile=jit_compile)
    np.testing.assert_array_equal(run(values), acc.astype(np.float32) * multiplier)


@pytest.mark.parametrize("padding", plain.PADDINGS)
@pytest.mark.parametrize("groups", [1, 2])
def test_the_gradient_is_that_of_the_convolution(padding, groups):
    values = tf.constant(random_integers((2, 6, 7, 4), -1, 1))
    kernel = tf.constant(random_integers((3, 2, 4 // groups, 6), -1, 1, seed=1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([values, kernel])
        ours = plain.convolve(values, kernel, (2, 1), groups=groups, padding=padding)
        pad_value = 1.0 if padding == "SAME_ONE" else 0.0
        padded = values
        if padding != "VALID":  # of 6 and 7 positions, with steps 2 and 1
            padded = tf.pad(values, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=pad_value)
        parts = zip(tf.split(padded, groups, -1), tf.split(kernel, groups, -1), strict=True)
        theirs = tf.concat([tf.nn.conv2d(*part, (2, 1), "VALID") for part in parts], -1)
    np.testing.assert_array_equal(ours, theirs)
    upstream = tf.constant(random_integers(ours.shape, -3, 3, seed=2))
    for source in (values, kernel):
        np.testing.assert_array_equal(
            tape.gradient(ours, source, upstream), tape.gradient(theirs, source, upstream)
        )


def test_the_gradient_with_a_dilation_is_that_of_a_spread_kernel():
    values = tf.constant(random_integers((2, 7, 9, 2), -1, 1))
    kernel = tf.constant(random_integers((3, 2, 2, 3), -1, 1, seed=1))
    spread = np.zeros((5, 4, 2, 3), np.float32)
    spread[::2, ::3] = kernel
    with tf.GradientTape(persistent=True) as tape:
        wide = tf.constant(spread)
        tape.watch([values, kernel, wide])
        ours = plain.convolve(values, kernel, dilation=(2, 3), padding="VALID")
        theirs = tf.nn.conv2d(values, wide, 1, "VALID")
    np.testing.assert_array_equal(ours, theirs)
    upstream = tf.constant(random_integers(ours.shape, -3, 3, seed=2))
    for gradient, expected in (
        (tape.gradient(ours, values, upstream), tape.gradient(theirs, values, upstream)),
        (tape.gradient(ours, kernel, upstream), tape.gradient(theirs, wide, upstream)[::2, ::3]),
    ):
        np.testing.assert_array_equal(gradient, expected)


def test_the_gradient_of_the_transform_is_that_of_its_formula():
    acc = tf.constant([[-9.0, 2.0], [3.0, 40.0]])
    sums = tf.constant([[5.0], [7.0]])
    parameters = {
        "multiplier": tf.constant([2.0, 3.0]),
        "bias": tf.constant([1.0, 1.0]),
        "lower": tf.constant([-4.0, -4.0]),
        "upper": tf.constant([8.0, 8.0]),
        "sum_multiplier": tf.constant([0.5, 0.25]),
    }
    upstream = tf.constant([[1.0, 10.0], [100.0, 1000.0]])
    with tf.GradientTape() as tape:
        tape.watch([acc, sums, parameters])
        y = plain.transform(acc, window_sum=sums, **parameters)
    np.testing.assert_array_equal(y, [[-4.5, 8.25], [10.5, 26.75]])
    to_acc, to_sums, to = tape.gradient(y, [acc, sums, parameters], upstream)
    np.testing.assert_array_equal(to_acc, [[0.0, 30.0], [200.0, 0.0]])
    np.testing.assert_array_equal(to_sums, [[0.5 + 2.5], [50.0 + 250.0]])
    np.testing.assert_array_equal(to["multiplier"], [-4.0 + 300.0, 20.0 + 8000.0])
    np.testing.assert_array_equal(to["bias"], [101.0, 1010.0])
    np.testing.assert_array_equal(to["lower"], [2.0, 0.0])
    np.testing.assert_array_equal(to["upper"], [0.0, 3000.0])
    np.testing.assert_array_equal(to["sum_multiplier"], [5.0 + 700.0, 50.0 + 7000.0])


def test_the_gradient_passes_an_integer_bias():
    acc = tf.constant([3.0])
    with tf.GradientTape() as tape:
        tape.watch(acc)
        y = plain.transform(acc, 2.0, integer_bias=tf.constant([5]))
    assert y.numpy().tolist() == [16.0]
    assert tape.gradient(y, acc).numpy().tolist() == [2.0]


def test_what_does_not_fit_is_refused():
    image, kernel = tf.ones((1, 4, 4, 6)), tf.ones((3, 3, 6, 4))
    with pytest.raises(ValueError, match="`padding` must be one of .* Received: 'SAME'"):
        plain.convolve(image, kernel, padding="SAME")
    with pytest.raises(ValueError, match="`kernel` must have the shape.*for 6 channels in 2"):
        plain.convolve(image, kernel, groups=2)
    with pytest.raises(ValueError, match="channels_out a multiple of the groups"):
        plain.convolve(image, tf.ones((3, 3, 2, 4)), groups=3)
