"""Arithmetic with the same bits in eager mode, in a graph and under XLA.

TensorFlow's optimizers take `x * (1 / s)` for `x / s`, a division by a constant for a product, two
products for one, a product and a sum for a fused multiply-add. Each changes last bits, and codes
that lie in the middle between two: one in a million of a kernel's.
"""

import tensorflow as tf


def rounded(values):
    """Return values unchanged, but keep them from being merged with the operation that follows.

    By the smaller of a value and the largest of its type, which no optimizer looks through.
    """
    values = tf.convert_to_tensor(values)
    return tf.minimum(values, values.dtype.max)


def reciprocal(values):
    """Return `1 / x` of positive numbers, rounded before it multiplies anything.

    Not of a constant 1: the graph optimizer takes that for an operation of its own, which on some
    processors is an approximation.
    """
    return rounded(tf.sign(values) / values)


def range_step(clip_value, num_steps):
    """Return the step size `clip_value / num_steps`, by the reciprocal of `num_steps`."""
    return clip_value * reciprocal(tf.cast(num_steps, tf.float32))
