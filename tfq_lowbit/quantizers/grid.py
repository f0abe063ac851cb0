"""The grid of a tensor as a tensor, so that it can travel beside the values.

A grid is the float32 vector `[step_size, q_min, q_max]`. Integer kernels add a bias in units of the
accumulator, `step_in * step_kernel`, and average raw codes, so a layer can only compute what its
integer twin computes if it knows the grid of its input.
"""

import tensorflow as tf

INT8_MAX = 127
INT8_CODES = 256


def pack_grid(step_size, q_min, q_max):
    """Return the grid vector, float32 of shape (3,)."""
    parts = [tf.reshape(tf.cast(part, tf.float32), ()) for part in (step_size, q_min, q_max)]
    return tf.stack(parts)


def step_size_of(grid):
    """Return the step size of a grid vector."""
    return grid[0]


def zero_point_of(q_max):
    """Return the code of the integer tensor that stands for 0 where `q_max` is the largest code.

    `127 - q_max` in int8: the largest code then is the largest int8, and saturation is free. Beyond
    256 codes, in int16, it is 0: the runtime has no other.

    Args:
        q_max: a Python number or a tensor.
    """
    if isinstance(q_max, int | float):
        return INT8_MAX - q_max if q_max < INT8_CODES else 0
    return tf.where(q_max < INT8_CODES, INT8_MAX - q_max, 0.0)
