"""The integer arithmetic of LiteRT's kernels, in TensorFlow.

Accumulators are integers held in a float type wide enough to be exact. Two requantizations exist:
XNNPACK's (one rounding, in float32) for everything that the default resolver delegates, and the
builtin kernels' fixed-point one (two roundings) for what it leaves to them.
"""

import math

import numpy as np
import tensorflow as tf

INT8_MIN, INT8_MAX = -128, 127
# Integers up to these sizes are exact, whatever the order of summation.
FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


def accumulator_type(bound):
    """Return the float type in which sums of magnitude up to `bound` are exact."""
    return tf.float32 if bound < FLOAT32_EXACT else tf.float64


def requantize_once(accumulator, multiplier, zero_point, low, high):
    """XNNPACK's requantization: `clip(rint(float32(acc) * multiplier) + zero_point)`.

    Args:
        accumulator: integers in a float tensor.
        multiplier: float32, `float32(float32(s_in * s_w) / s_out)`, scalar or by channel.
        zero_point: of the output.
        low: smallest output code.
        high: largest output code.

    Returns:
        float32 codes.
    """
    scaled = tf.cast(accumulator, tf.float32) * tf.constant(multiplier, tf.float32)
    return tf.clip_by_value(tf.round(scaled) + float(zero_point), float(low), float(high))


def quantize_multiplier(multiplier):
    """Split a double into the 31-bit mantissa and exponent of the builtin kernels.

    Returns:
        `(q, e)` with `multiplier ~ q * 2^(e - 31)` and `2^30 <= q < 2^31`.
    """
    if multiplier == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(multiplier)
    mantissa = math.floor(fraction * 2**31 + 0.5)
    if mantissa == 2**31:
        mantissa, exponent = mantissa // 2, exponent + 1
    return (mantissa, exponent) if exponent >= -31 else (0, 0)


def requantize_twice(accumulator, multipliers, zero_point, low, high, ties_up=True):
    """The builtin kernels' requantization: a rounding 32-bit high product, then a rounding shift.

    Args:
        accumulator: integers in a float tensor, channels last.
        multipliers: one double for each channel.
        zero_point: of the output.
        low: smallest output code.
        high: largest output code.
        ties_up: whether ties of the shift go up (vector code) or away from zero (scalar code).

    Returns:
        float32 codes.
    """
    pairs = [quantize_multiplier(float(multiplier)) for multiplier in multipliers]
    mantissa = tf.constant([q for q, _ in pairs], tf.int64)
    left = tf.constant([max(e, 0) for _, e in pairs], tf.int64)
    right = tf.constant([max(-e, 0) for _, e in pairs], tf.int64)
    shifted = tf.bitwise.left_shift(tf.cast(accumulator, tf.int64), left)
    product = tf.bitwise.right_shift(shifted * mantissa + 2**30, tf.constant(31, tf.int64))
    half = tf.bitwise.right_shift(tf.bitwise.left_shift(tf.ones_like(right), right), 1)
    if not ties_up:
        half = tf.where(right > 0, half - tf.cast(product < 0, tf.int64), half)
    rounded = tf.bitwise.right_shift(product + half, right)
    return tf.cast(tf.clip_by_value(rounded + zero_point, low, high), tf.float32)


def fused_bounds(activation, scale, zero_point):
    """Return the codes between which a fused activation of a delegated operator clamps."""
    lower, upper = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}[
        activation
    ]

    def code(bound):
        value = np.float32(bound) / np.float32(scale) + np.float32(zero_point)
        return int(np.rint(np.clip(value, INT8_MIN, INT8_MAX)))

    return code(lower), code(upper)
