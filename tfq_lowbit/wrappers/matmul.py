"""Products of two tensors, and masks of what they score."""

import keras
import numpy as np
import tensorflow as tf

# What a masked score becomes: exp(-12) of a probability is far below a code of 1/256, unless every
# allowed score lies below -6, and the codes above still tell scores apart.
MASKED_SCORE = -12.0


@keras.saving.register_keras_serializable("tfq_lowbit")
class MatMul(keras.layers.Layer):
    """`scale * left @ right` over the last two axes, the others one batch.

    Args:
        transpose_right: multiply with `right` transposed.
        scale: a positive number.

    Example:
        >>> layer = MatMul(transpose_right=True, scale=0.5)
        >>> pair = [keras.ops.ones((1, 2, 3)), keras.ops.ones((1, 4, 3))]
        >>> layer(pair).shape, float(layer(pair)[0, 0, 0])
        (TensorShape([1, 2, 4]), 1.5)
    """

    def __init__(self, transpose_right=False, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.transpose_right, self.scale = transpose_right, float(scale)

    def call(self, inputs):
        """Return the product of a pair of tensors."""
        left, right = inputs
        if self.transpose_right:
            right = keras.ops.swapaxes(right, -1, -2)
        product = keras.ops.matmul(left, right)
        return product if self.scale == 1.0 else product * self.scale

    def compute_output_shape(self, input_shape):
        """Return the shape of the product."""
        left, right = input_shape
        return (*left[:-1], right[-2] if self.transpose_right else right[-1])

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "transpose_right": self.transpose_right,
            "scale": self.scale,
        }


@keras.saving.register_keras_serializable("tfq_lowbit")
class CausalMask(keras.layers.Layer):
    """Bounds the scores of later steps by a low number, so that a softmax gives them 0.

    `y[..., i, j] = min(x[..., i, j], MASKED_SCORE)` where `j > i`, else `x[..., i, j]`.

    Example:
        >>> CausalMask()(keras.ops.zeros((1, 2, 2)))[0].numpy().tolist()
        [[0.0, -12.0], [0.0, 0.0]]
    """

    def call(self, inputs):
        """Return the scores, masked."""
        bounds = tf.constant(self.bounds(inputs.shape), inputs.dtype)
        return tf.minimum(inputs, bounds)

    def bounds(self, shape):
        """Return the upper bounds of scores of a shape, infinite where they are allowed."""
        num_queries, num_keys = shape[-2:]
        is_later = np.arange(num_keys) > np.arange(num_queries)[:, None]
        return np.where(is_later, MASKED_SCORE, np.inf).astype(np.float32)

    def compute_output_shape(self, input_shape):
        """Return the shape of the scores."""
        return input_shape
