"""A slice of known size."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfq_lowbit")
class StaticSlice(keras.layers.Layer):
    """Returns `x[:, begin : begin + size * stride : stride, ...]`, axis by axis.

    Args:
        begin: the first index of each axis but the batch.
        size: how many elements are taken of each.
        strides: how far apart they lie; None for neighbors.

    Example:
        >>> layer = StaticSlice((1,), (2,))
        >>> [float(v) for v in layer(keras.ops.array([[0.0, 1.0, 2.0, 3.0]]))[0]]
        [1.0, 2.0]
    """

    def __init__(self, begin, size, strides=None, **kwargs):
        super().__init__(**kwargs)
        self.begin, self.size = tuple(begin), tuple(size)
        self.strides = tuple(strides or [1] * len(self.begin))

    def call(self, inputs):
        """Return the slice."""
        axes = zip(self.begin, self.size, self.strides, strict=True)
        windows = [
            slice(begin, begin + (size - 1) * stride + 1, stride) for begin, size, stride in axes
        ]
        return tf.convert_to_tensor(inputs)[(slice(None), *windows)]

    def compute_output_shape(self, input_shape):
        """Return the shape of the slice."""
        return (input_shape[0], *self.size)

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "begin": self.begin,
            "size": self.size,
            "strides": self.strides,
        }
