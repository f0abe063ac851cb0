"""Bilinear resizing that rounds as the integer kernel does."""

import keras
import numpy as np
import tensorflow as tf

from tfq_lowbit.quantizers.grid import zero_point_of
from tfq_lowbit.same_bits import reciprocal
from tfq_lowbit.ste import replace_ste

WEIGHT_BITS = 11  # of the fraction between two neighbors


@keras.saving.register_keras_serializable("tfq_lowbit")
class QuantizedResizing(keras.layers.Layer):
    """Bilinear resizing, pixel centers at halves, on codes.

    The integer kernel mixes raw int8 codes with weights of 11 bits, first along rows and then along
    columns, and rounds once, ties up. This layer computes the same values; its gradient is that of
    the plain resizing.

    Args:
        height: of the output.
        width: of the output.

    Call arguments:
        inputs: tensor on `input_grid`, of shape (batch, height, width, channels).
        input_grid: the grid `[step_size, q_min, q_max]`; None computes the plain resizing.

    Example:
        >>> layer = QuantizedResizing(1, 4)
        >>> grid = keras.ops.array([1.0, 0.0, 255.0])
        >>> image = keras.ops.reshape(keras.ops.array([1.0, 3.0]), (1, 1, 2, 1))
        >>> [float(v) for v in layer(image, input_grid=grid)[0, 0, :, 0]]
        [1.0, 2.0, 3.0, 3.0]
    """

    def __init__(self, height, width, **kwargs):
        # Keras would cast the grid to the type of the activations.
        super().__init__(**{"autocast": False, **kwargs})
        self.height, self.width = height, width

    def call(self, inputs, input_grid=None):
        """Return the resized tensor."""
        plain = keras.ops.image.resize(inputs, (self.height, self.width), interpolation="bilinear")
        plain = tf.cast(plain, inputs.dtype)
        if input_grid is None:
            return plain
        step_size, zero_point = input_grid[0], zero_point_of(input_grid[2])
        codes = tf.round(tf.cast(inputs, tf.float32) * reciprocal(step_size)) + zero_point
        codes = resize_codes(codes, (self.height, self.width))
        values = step_size * (tf.cast(codes, tf.float32) - zero_point)
        return replace_ste(plain, tf.stop_gradient(tf.cast(values, plain.dtype)))

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (input_shape[0], self.height, self.width, input_shape[3])

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "height": self.height, "width": self.width}


def resize_codes(codes, size):
    """Return bilinearly resized codes, as XNNPACK computes them.

    `t = (left << 11) + (right - left) * a` in the upper and in the lower row, then
    `((t << 11) + (below - t) * b + 2^21) >> 22`.

    Args:
        codes: integers in a tensor of shape (batch, height, width, channels).
        size: height and width of the output.

    Returns:
        int32 codes.
    """
    codes = tf.cast(codes, tf.int32)
    (top, bottom, below), (left, right, beside) = (
        _neighbors(codes.shape[axis], size[axis - 1]) for axis in (1, 2)
    )
    one = tf.constant(1 << WEIGHT_BITS, tf.int32)
    rows = []
    for row in (top, bottom):
        line = tf.gather(codes, row, axis=1)
        first, second = (tf.gather(line, column, axis=2) for column in (left, right))
        rows.append(first * one + (second - first) * beside[:, None])
    mixed = rows[0] * one + (rows[1] - rows[0]) * below[:, None, None]
    half = tf.constant(1 << (2 * WEIGHT_BITS - 1), tf.int32)
    return tf.bitwise.right_shift(mixed + half, tf.constant(2 * WEIGHT_BITS, tf.int32))


def _neighbors(count, size):
    """Return, for each output place of an axis, its two neighbors and the weight of the second."""
    scale = np.float32(count) / np.float32(size)
    places = np.arange(size, dtype=np.float32) * scale
    places = np.clip(places + (np.float32(0.5) * scale - np.float32(0.5)), 0, np.float32(count - 1))
    first = np.trunc(places).astype(np.int32)
    second = np.minimum(first + 1, count - 1).astype(np.int32)
    weight = np.rint((places - first.astype(np.float32)) * np.float32(1 << WEIGHT_BITS))
    return first, second, weight.astype(np.int32)
