"""Ternary weight networks (TWN)."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, Quantizer
from tfq_lowbit.ste import replace_ste

THRESHOLD_FACTOR = 0.7


@keras.saving.register_keras_serializable("tfq_lowbit")
class TWN(Quantizer):
    """Weight quantizer with the values `-alpha`, 0 and `alpha`, computed from the weights.

    Forward: `delta = 0.7 * mean(abs(w))`, `alpha = mean(abs(w)) over abs(w) > delta`,
    `q(w) = alpha * sign(w)` where `abs(w) > delta`, else 0.
    Backward: `dq/dw = 1`.

    Args:
        num_bits: must be 2.
        signed: must be True.
        narrow_range: must be True: the codes are -1, 0, 1.
        axis: the channel axis for one alpha a channel, None for one a tensor.
        init: unused, kept for a uniform signature.

    Raises:
        ValueError: for any other width or range.

    Example:
        >>> quantizer = TWN()
        >>> [float(value) for value in quantizer(keras.ops.array([-2.0, 0.1, 1.0]))]
        [-1.5, 0.0, 1.5]

    References:
        Li, Zhang, Liu, "Ternary Weight Networks", 2016, https://arxiv.org/abs/1605.04711
    """

    def __init__(self, num_bits=2, signed=True, narrow_range=True, axis=None, init="lsq", **kwargs):
        if num_bits != 2 or not signed or not narrow_range:
            raise ValueError(
                "TWN has the codes -1, 0 and 1: `num_bits` must be 2, `signed` and `narrow_range` "
                f"True. Received: num_bits={num_bits!r}, signed={signed!r}, "
                f"narrow_range={narrow_range!r}"
            )
        super().__init__(2, True, True, axis, init, **kwargs)

    def scheme_build(self, step_shape):
        """Create nothing: threshold and alpha follow the weights."""

    def scheme_initialize(self, values):
        """Set nothing: threshold and alpha follow the weights."""

    def scheme_quantize(self, values):
        """Return the ternary values, straight through."""
        encoded = self.scheme_encode(values)
        return replace_ste(values, tf.stop_gradient(encoded.codes * encoded.step_size))

    def scheme_encode(self, values):
        """Return the codes -1, 0, 1 and alpha."""
        rank = len(values.shape)
        channels = self.channel_axes(rank)
        axes = [axis for axis in range(rank) if axis not in channels]
        keep = bool(channels)
        magnitude = tf.abs(values)
        threshold = THRESHOLD_FACTOR * tf.reduce_mean(magnitude, axis=axes, keepdims=keep)
        is_large = tf.cast(magnitude > threshold, tf.float32)
        total = tf.reduce_sum(magnitude * is_large, axis=axes, keepdims=keep)
        count = tf.reduce_sum(is_large, axis=axes, keepdims=keep)
        return Encoded(tf.sign(values) * is_large, total / tf.maximum(count, 1.0))
