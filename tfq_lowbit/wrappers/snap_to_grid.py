"""Rounding to a grid that another layer owns."""

import keras
import tensorflow as tf

from tfq_lowbit.ste import clipped_round_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class SnapToGrid(keras.layers.Layer):
    """Rounds a tensor to the grid of the tensor it was made from.

    Stands behind a layer whose integer kernel keeps the grid of its input but whose float
    arithmetic leaves it (ReLU with a maximum: 6 may lie between two codes).

    Call arguments:
        inputs: tensor of any shape.
        input_grid: the grid `[step_size, q_min, q_max]`.

    Example:
        >>> layer = SnapToGrid()
        >>> [
        ...     float(v)
        ...     for v in layer(keras.ops.array([0.4, 9.0]), keras.ops.array([0.5, 0.0, 15.0]))
        ... ]
        [0.5, 7.5]
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})

    def call(self, inputs, input_grid):
        """Return the nearest grid values."""
        values = tf.cast(inputs, tf.float32)
        values = clipped_round_ste(values, input_grid[0], input_grid[1], input_grid[2])
        return tf.cast(values, inputs.dtype)
