"""Biases in units of the accumulator.

An integer kernel adds its bias to the int32 accumulator, whose unit is
`step_in * step_kernel` (a channel). In evaluation a quantized model adds the same rounded bias, so
that it computes what will be shipped.

The unit travels beside a tensor as its two factors, because the kernel has the product with what
folds into it in the scale of its filter: *accumulator scales* are float32 of shape (2, *channels),
the scale of the input and that of the kernel.
"""

import tensorflow as tf

from tfq_lowbit.same_bits import range_step
from tfq_lowbit.ste import round_ste

# The kernel code of a factor by channel that stands alone. The largest, for the finest bias.
STANDALONE_CODE = 127
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


def unit_of(scales):
    """Return the unit of an accumulator, float32 of shape (channels,), from its two scales."""
    return scales[0] * scales[1]


def pack_scales(step_in, step_kernel):
    """Return accumulator scales.

    Args:
        step_in: float32 scalar, the step size of the input.
        step_kernel: float32 of the shape of the channels.
    """
    return tf.stack([tf.fill(tf.shape(step_kernel), step_in), step_kernel])


def fold_scale(scales, multiplier):
    """Return the accumulator scales behind a factor for each channel."""
    return tf.stack([scales[0], scales[1] * tf.abs(multiplier)])


def standalone_scales(step_in, channels: tuple):
    """Return those of a factor that stands alone: a kernel whose single code is 127."""
    return pack_scales(step_in, range_step(tf.ones(channels), STANDALONE_CODE))


def unknown_scales(channels: tuple):
    """Return those of an accumulator that is not known: a unit of 0."""
    return tf.zeros((2, *channels))
