"""The sum of two tensors of codes, rounded as the integer kernel rounds it."""

import tensorflow as tf

from tfq_lowbit.quantizers.grid import step_size_of

# The larger of the two multipliers has 21 bits.
MULTIPLIER_BITS = 20


def sum_on_grid(operands, grids, step_size, sign=1):
    """Return `x_1 + x_2`, or `x_1 - x_2`, as multiples of a step.

    XNNPACK's ADD multiplies the codes by integers and shifts once, ties up:
    `y = step * ((c_1 * m_1 + sign * c_2 * m_2 + 2^(k-1)) >> k)` with
    `m_j = rint(s_j / step * 2^k)` and `k = 20 - floor(log2(max(s_1, s_2) / step))`. A multiplier is
    off by up to 2^-21 of itself, so that about one code in 100,000 is another than that of the sum
    of the reals.

    Args:
        operands: two tensors of shapes that broadcast.
        grids: their grids `[step_size, q_min, q_max]`.
        step_size: float32 scalar, of the result.
        sign: of the second operand, 1 or -1.

    Returns:
        A float32 tensor, not clipped.
    """
    steps = [step_size_of(grid) for grid in grids]
    ratios = [step / step_size for step in steps]
    # The exponent of a float32 stands above its 23 bits of fraction, that of a float64 above 52.
    exponent = tf.bitwise.right_shift(tf.bitcast(tf.maximum(*ratios), tf.int32), 23) - 127
    shift = MULTIPLIER_BITS - exponent
    total = tf.constant(0.5, tf.float64)
    for operand, step, ratio, factor in zip(operands, steps, ratios, (1, sign), strict=True):
        codes = tf.round(tf.cast(operand, tf.float32) * (1.0 / step))
        multiplier = tf.round(tf.cast(ratio, tf.float64) * _power_of_two(shift))
        # A power of two divides exactly, and the sums stay below 2^53.
        total += factor * tf.cast(codes, tf.float64) * (multiplier * _power_of_two(-shift))
    return tf.cast(tf.floor(total), tf.float32) * step_size


def _power_of_two(exponent):
    """Return `2^exponent` as float64, exactly."""
    biased = tf.cast(exponent, tf.int64) + 1023
    return tf.bitcast(tf.bitwise.left_shift(biased, tf.constant(52, tf.int64)), tf.float64)
