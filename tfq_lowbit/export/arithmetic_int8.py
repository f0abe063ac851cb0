"""How LiteRT computes with int8 activations: XNNPACK's kernels, one rounding in float32.

Every operator with int8 activations that is written is one that the default resolver gives to
XNNPACK, or one that moves codes. (The builtin kernels round twice, which adds up to half an
accumulator step.) The functions are those of `arithmetic_int16`; `Storage` names the module.
"""

import math

import numpy as np
import tensorflow as tf

LOW, HIGH = -128, 127

BIAS_TYPE = "INT32"
# A channel whose multiplier s_in * s_w / s_out is smaller contributes next to nothing: its scale is
# lifted to this, so that its bias, in units of the accumulator, cannot overflow: 256 output steps,
# which saturate whatever the zero point, are 2^26 units, half of what int4 accumulators hold.
SMALLEST_MULTIPLIER = 2.0**-18
MAX_BIAS_STEPS = 256.0
# Beyond the distance of any two codes, and below the runtime's limit of 256: an output that varies
# by next to nothing has a step so fine that a single unit of the accumulator passes over all codes.
SATURATING_MULTIPLIER = 255.75


# A sum of any size saturates.
MAX_STEPS = float("inf")


def bound_code(value, scale, zero_point):
    """Return the code at which a fused activation clamps."""
    code = np.float32(value) / np.float32(scale) + np.float32(zero_point)
    return int(np.rint(np.clip(code, LOW, HIGH)))


def requantize(sums, multiplier, zero_point, low, high):
    """Return `clip(rint(float32(sum) * multiplier) + zero_point)`.

    Args:
        sums: integers in a float tensor.
        multiplier: float32, scalar or by channel.
        zero_point: of the output.
        low: smallest output code.
        high: largest output code.

    Returns:
        float32 codes.
    """
    if sums.dtype == tf.float32:
        # In a graph, TensorFlow's optimizer would move the multiplier into the filter of a
        # convolution without a bias, which rounds otherwise. It does not look through integers.
        sums = tf.cast(sums, tf.int32)
    scaled = tf.cast(sums, tf.float32) * tf.constant(multiplier, tf.float32)
    return tf.clip_by_value(tf.round(scaled) + float(zero_point), float(low), float(high))


def scale_sums(sums, scale_in, scales, grid, bounds, is_dense=False):
    """Return codes of the sums of a convolution or dense layer.

    The multiplier is `float32(float32(scale_in * scale) / scale_out)`.

    Args:
        sums: integers in a float tensor, channels last.
        scale_in: float32 scale of the input.
        scales: float32 scales of the filter.
        grid: of the output.
        bounds: smallest and largest code.
        is_dense: whether the operator is FULLY_CONNECTED.
    """
    del is_dense
    return requantize(sums, scale_in * scales / grid.scale, grid.zero_point, *bounds)


def scale_matmul(sums, left, right, grid):
    """Return codes of the sums of a product of two tensors with these scales."""
    return requantize(sums, left * right / grid.scale, grid.zero_point, LOW, HIGH)


def scale_products(products, multiplier, grid, bounds):
    """Return codes of products of codes; the multiplier is float32."""
    return requantize(products, multiplier, grid.zero_point, *bounds)


def add(terms, grid, bounds, is_same_shape=True):
    """Return codes of a sum: 21-bit multipliers, one rounding, ties up.

    `m_j = rint(s_j / s_out * 2^shift)` with `shift = 20 - exponent(max(s_j) / s_out)`.

    Args:
        terms: triples of codes less their zero point, their scale, and 1 or -1.
        grid: of the output.
        bounds: smallest and largest code.
        is_same_shape: whether none is broadcast.
    """
    del is_same_shape
    ratios = [float(scale / grid.scale) for _, scale, _ in terms]
    shift = 20 - (math.frexp(max(ratios))[1] - 1)
    total = tf.constant(1 << (shift - 1), tf.int64)
    for (codes, _, sign), ratio in zip(terms, ratios, strict=True):
        total += tf.cast(codes, tf.int64) * (sign * int(np.rint(ratio * 2.0**shift)))
    shifted = tf.bitwise.right_shift(total, tf.constant(shift, tf.int64))
    codes = tf.clip_by_value(shifted + grid.zero_point, LOW, HIGH)
    return tf.cast(tf.clip_by_value(codes, *bounds), tf.float32)


def mean(total, count, source, grid):
    """Return codes of a mean: `rint(float32(sum) * c + Z)`, all in float32.

    `c = (s_in / s_out) * (1 / n)`, `Z = z_out - float32(n * z_in) * c`.

    Args:
        total: sums of raw codes.
        count: how many make a sum.
        source: grid of the input.
        grid: of the output.
    """
    factor = (source.scale / grid.scale) * (np.float32(1) / np.float32(count))
    offset = np.float32(grid.zero_point) - np.float32(count * source.zero_point) * factor
    scaled = tf.cast(total, tf.float32) * factor + offset
    return tf.clip_by_value(tf.round(scaled), LOW, HIGH)


def quantize(values, grid):
    """Return codes of reals: `clip(rint(x * (1 / s)) + z)`."""
    scaled = tf.round(values * (np.float32(1) / grid.scale))
    return tf.clip_by_value(scaled + float(grid.zero_point), LOW, HIGH)
