"""Average pooling that rounds as the integer kernel does."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.grid import zero_point_of
from tfq_lowbit.same_bits import reciprocal
from tfq_lowbit.ste import replace_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class QuantizedAveragePooling2D(keras.layers.AveragePooling2D):
    """Average pooling on codes.

    The integer kernel averages raw int8 codes, keeps their grid, and rounds half away from zero:
    `y = (sum + n // 2) / n` for a positive sum, `(sum - n // 2) / n` otherwise, in C division,
    where n counts the cells that are not padding. This layer computes the same values; its
    gradient is that of the plain average.

    Call arguments:
        inputs: tensor on `input_grid`.
        input_grid: the grid `[step_size, q_min, q_max]`; None computes the plain average.

    Example:
        >>> layer = QuantizedAveragePooling2D(2)
        >>> grid = keras.ops.array([1.0, 0.0, 255.0])
        >>> image = keras.ops.reshape(keras.ops.array([1.0, 1.0, 2.0, 1.0]), (1, 2, 2, 1))
        >>> float(layer(image, input_grid=grid)[0, 0, 0, 0])
        1.0
    """

    def __init__(self, pool_size=2, **kwargs):
        # Keras would cast the grid to the type of the activations.
        super().__init__(pool_size, **{"autocast": False, **kwargs})

    def call(self, inputs, input_grid=None):
        """Return the pooled tensor."""
        average = super().call(tf.cast(inputs, self.compute_dtype))
        if input_grid is None:
            return average
        step_size, zero_point = input_grid[0], zero_point_of(input_grid[2])
        # Codes first: they average exactly whatever the type of the inputs.
        codes = tf.round(tf.cast(inputs, tf.float32) * reciprocal(step_size)) + zero_point
        count = self._count_cells(inputs)
        total = tf.cast(tf.round(super().call(codes) * count), tf.int32)
        count = tf.cast(count, tf.int32)
        rounded = tf.sign(total) * ((tf.abs(total) + count // 2) // count)
        values = step_size * (tf.cast(rounded, tf.float32) - zero_point)
        return replace_ste(average, tf.stop_gradient(tf.cast(values, average.dtype)))

    def _count_cells(self, inputs):
        """Return how many cells are averaged at each place, float32 of shape (1, h, w, 1)."""
        ones = tf.ones_like(inputs[:1, :, :, :1], dtype=tf.float32)
        window = tf.ones((*self.pool_size, 1, 1))
        return tf.nn.conv2d(ones, window, self.strides, self.padding.upper())
