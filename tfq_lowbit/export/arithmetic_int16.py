"""How LiteRT computes with int16 activations: its builtin kernels, in fixed point.

XNNPACK takes no operator with int16 activations. All zero points are 0. A positive factor is
`mantissa * 2^(exponent - 31)` with 31 bits. The functions are those of `arithmetic_int8`.
"""

import math

import numpy as np
import tensorflow as tf

LOW, HIGH = -(2**15), 2**15 - 1

BIAS_TYPE = "INT64"
# As in `arithmetic_int8`: 2^17 output steps saturate, and are 2^45 units of the accumulator; the
# kernels take sums below 2^47.
SMALLEST_MULTIPLIER = 2.0**-28
MAX_BIAS_STEPS = 2.0**17
# No multiplier that the kernels take passes over all codes.
SATURATING_MULTIPLIER = float("inf")
# Results are int32 before they saturate.
MAX_STEPS = 2.0**31
SHIFT_OF_ADD = 15
# QUANTIZE from float, and ADD, round whole blocks of so many values otherwise than what is left.
BLOCK_OF_QUANTIZE, BLOCK_OF_ADD = 8, 16


def bound_code(value, scale, zero_point):
    """Return the code at which a fused activation clamps: halves are rounded away from zero."""
    code = np.clip(np.float64(np.float32(value) / np.float32(scale)), LOW, HIGH)
    return zero_point + int(np.trunc(code + np.copysign(0.5, code)))


def fixed_point(factor):
    """Return `(mantissa, exponent)` of a factor that is not negative."""
    fraction, exponent = math.frexp(factor)
    mantissa = math.floor(fraction * 2.0**31 + 0.5)
    if mantissa == 2**31:
        mantissa, exponent = 2**30, exponent + 1
    return (mantissa, exponent) if exponent >= -31 else (0, 0)


def multiply_twice_rounded(values, mantissa, exponent):
    """Return `values * mantissa * 2^(exponent - 31)`, rounded to 2^-exponent and to an integer.

    The first rounding sends halves up, the second away from zero.

    Args:
        values: int64, below 2^31 when shifted to the left by a positive exponent.
        mantissa: int, 31 bits.
        exponent: int.
    """
    shifted = values * (1 << max(exponent, 0))
    high = _shift(shifted * mantissa + 2**30, 31)
    right = max(-exponent, 0)
    mask = (1 << right) - 1
    rest = tf.bitwise.bitwise_and(high, tf.constant(mask, tf.int64))
    threshold = (mask >> 1) + tf.cast(high < 0, tf.int64)
    return _shift(high, right) + tf.cast(rest > threshold, tf.int64)


def scale_sums(sums, scale_in, scales, grid, bounds, is_dense=False):
    """Return codes of the sums of a convolution or dense layer, which is computed otherwise.

    With `m = scale_in * scale / scale_out` in float64, dense layers take
    `round(float64(sum) * m)`, halves away from zero. The others reduce the factor to 16 bits:
    `r = (mantissa + 2^15) >> 16`, `(sum * r + 2^(t-1)) >> t` with `t = 15 - exponent`.
    """
    multiplier = np.float64(scale_in) * np.float64(scales) / np.float64(grid.scale)
    sums = tf.cast(sums, tf.int64)
    if is_dense:
        codes = _round_away(tf.cast(sums, tf.float64) * multiplier)
    else:
        codes = _multiply_reduced(sums, multiplier)
    return _clipped(codes, bounds)


def scale_matmul(sums, left, right, grid):
    """Return codes of the sums of a product of two tensors with these scales."""
    multiplier = np.float64(left * right) / np.float64(grid.scale)
    return _clipped(_multiply_reduced(tf.cast(sums, tf.int64), multiplier), (LOW, HIGH))


def scale_products(products, multiplier, grid, bounds):
    """Return codes of products of codes; the multiplier is float32."""
    del grid
    factor = fixed_point(float(multiplier))
    return _clipped(multiply_twice_rounded(tf.cast(products, tf.int64), *factor), bounds)


def add(terms, grid, bounds, is_same_shape=True):
    """Return codes of a sum of two: each is rounded in units of `2^-15 * 2 * max(s_1, s_2)`.

    A sum of equal shapes rounds its terms once in whole blocks of 16 codes, all others twice: the
    last codes of a batch may round otherwise than the same codes before.
    """
    widest = float(np.float32(2) * max(scale for _, scale, _ in terms))
    total, block = tf.constant(0, tf.int64), tf.constant(0, tf.int64)
    for codes, scale, sign in terms:
        codes = tf.cast(codes, tf.int64)
        mantissa, exponent = fixed_point(float(scale) / widest)
        shifted = codes * (1 << SHIFT_OF_ADD)
        total += sign * multiply_twice_rounded(shifted, mantissa, exponent)
        left = SHIFT_OF_ADD + exponent
        shifted = codes * (1 << left) if left >= 0 else _shift(codes, -left)
        block += sign * _shift(shifted * mantissa + 2**30, 31)
    if is_same_shape and terms[1][2] > 0:
        total = tf.where(_in_blocks(total, BLOCK_OF_ADD), block, total)
    factor = fixed_point(widest / float(np.float32(1 << SHIFT_OF_ADD) * grid.scale))
    return _clipped(multiply_twice_rounded(total, *factor), bounds)


def mean(total, count, source, grid):
    """Return codes of a mean: the factor `s_in / s_out` is divided by the count in integers."""
    mantissa, exponent = fixed_point(float(source.scale) / float(grid.scale))
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    factor = (mantissa << shift) // count, exponent - shift
    return _clipped(multiply_twice_rounded(tf.cast(total, tf.int64), *factor), (LOW, HIGH))


def quantize(values, grid):
    """Return codes of reals.

    Of whole blocks of eight `rint(x * (1 / s))`, of the rest `round(x / s)` in float64, halves away
    from zero: the last values of a batch may round otherwise than the same values before.
    """
    block = tf.cast(tf.round(values * (np.float32(1) / grid.scale)), tf.float64)
    rest = _round_away(tf.cast(values, tf.float64) / np.float64(grid.scale))
    codes = tf.where(_in_blocks(values, BLOCK_OF_QUANTIZE), block, rest)
    # The conversion to an integer makes the smallest one of what is beyond.
    codes = tf.where(tf.abs(codes) < 2.0**31, codes, -(2.0**31))
    return _clipped(codes, (LOW, HIGH))


def convert(codes, source, grid):
    """Return the codes of `grid` for codes of `source`, of which either may be of int8."""
    factor = fixed_point(float(source.scale) / float(grid.scale))
    centered = tf.cast(codes, tf.int64) - source.zero_point
    codes = multiply_twice_rounded(centered, *factor) + grid.zero_point
    return _clipped(codes, (grid.storage.low, grid.storage.high))


def _multiply_reduced(sums, multipliers):
    """Return `sums * multipliers` by channel, the factors reduced to 16 bits, one rounding."""
    factors = [fixed_point(float(each)) for each in np.ravel(multipliers)]
    reduced = [min((mantissa + 2**15) >> 16, 2**15 - 1) for mantissa, _ in factors]
    shifts = np.array([15 - exponent for _, exponent in factors], np.int64)
    half = tf.constant(np.int64(1) << (shifts - 1), tf.int64)
    products = sums * tf.constant(reduced, tf.int64) + half
    return tf.bitwise.right_shift(products, tf.constant(shifts, tf.int64))


def _in_blocks(values, block):
    """Return where the values of whole blocks are, in the order of memory."""
    count = tf.size(values)
    return tf.reshape(tf.range(count) < count - count % block, tf.shape(values))


def _shift(values, count):
    return tf.bitwise.right_shift(values, tf.constant(count, tf.int64))


def _round_away(values):
    """Round to the nearest integer, halves away from zero."""
    size = tf.abs(values)
    whole = tf.floor(size)
    return tf.sign(values) * tf.where(size - whole >= 0.5, whole + 1, whole)


def _clipped(codes, bounds):
    low, high = (tf.cast(bound, codes.dtype) for bound in bounds)
    return tf.cast(tf.clip_by_value(codes, low, high), tf.float32)
