"""Biases in units of the accumulator.

An integer kernel adds its bias to the int32 accumulator, whose unit is
`step_in * step_kernel` (a channel). In evaluation a quantized model adds the same rounded bias, so
that it computes what will be shipped.
"""

import tensorflow as tf

from tfq_lowbit.ste import round_ste

# A smaller unit (a dead channel's, whose gamma decayed) counts as 0: `bias / unit` would overflow.
SMALLEST_UNIT = 1e-30


def bias_codes(bias, unit):
    """Return `round(bias / unit)`, 0 where a unit is 0.

    Args:
        bias: float32 of shape (channels,).
        unit: float32 of shape (channels,), not negative.

    Returns:
        Integer-valued float32 of shape (channels,), with a straight-through gradient.
    """
    return round_ste(tf.math.divide_no_nan(bias, tf.where(unit > SMALLEST_UNIT, unit, 0.0)))


def round_bias(bias, unit):
    """Return the multiple of `unit` nearest to `bias`, and `bias` itself where a unit is 0."""
    return tf.where(unit > SMALLEST_UNIT, bias_codes(bias, unit) * unit, bias)
