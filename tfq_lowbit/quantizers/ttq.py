"""Trained ternary quantization (TTQ)."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, Quantizer, positive
from tfq_lowbit.quantizers.relative import RelativeVariable
from tfq_lowbit.ste import trained_ternary_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class TTQ(Quantizer):
    """Weight quantizer with the values `-negative`, 0 and `positive`, both scales trained.

    Forward: `delta = t * max(abs(w))`, `q(w) = positive` where `w > delta`, `-negative` where
    `w < -delta`, else 0. Both scales start as the mean of the magnitudes above delta.
    Backward: `dq/dw = positive`, `negative` and 1 in these three places; `dq/dpositive = 1` in the
    first, `dq/dnegative = -1` in the second. The optimizer sees the scales as multiples of the
    first ones (`RelativeVariable`).

    With two scales the values lie on no grid: such a kernel trains and evaluates, but has no
    integer form. `symmetric=True` trains one scale for both signs.

    Args:
        num_bits: must be 2.
        signed: must be True.
        narrow_range: must be True: the codes are -1, 0, 1.
        axis: the channel axis for scales and threshold a channel, None (the paper's) for those of
            a tensor.
        init: unused, kept for a uniform signature.
        threshold: `t`, from 0 to below 1.
        symmetric: whether both signs share a scale, so that the kernel can be exported.

    Raises:
        ValueError: for any other width, range or threshold; from `encode`, with two scales.

    Example:
        >>> quantizer = TTQ(symmetric=True)
        >>> quantizer.initialize([-2.0, 0.05, 1.0])
        >>> [float(value) for value in quantizer(keras.ops.array([-2.0, 0.05, 1.0]))]
        [-1.5, 0.0, 1.5]

    References:
        Zhu, Han, Mao, Dally, "Trained Ternary Quantization", ICLR 2017,
        https://arxiv.org/abs/1612.01064
    """

    def __init__(
        self,
        num_bits=2,
        signed=True,
        narrow_range=True,
        axis=None,
        init="lsq",
        threshold=0.05,
        symmetric=False,
        **kwargs,
    ):
        if num_bits != 2 or not signed or not narrow_range:
            raise ValueError(
                "TTQ has the codes -1, 0 and 1: `num_bits` must be 2, `signed` and `narrow_range` "
                f"True. Received: num_bits={num_bits!r}, signed={signed!r}, "
                f"narrow_range={narrow_range!r}"
            )
        if not 0 <= threshold < 1:
            raise ValueError(
                f"Argument `threshold` must be from 0 to below 1. Received: threshold={threshold!r}"
            )
        super().__init__(2, True, True, axis, init, **kwargs)
        self.threshold = threshold
        self.symmetric = symmetric

    def scheme_build(self, step_shape):
        """Create the trained scales."""
        self.positive = RelativeVariable(self, "positive", step_shape)
        self.negative = self.positive
        if not self.symmetric:
            self.negative = RelativeVariable(self, "negative", step_shape)

    def scheme_initialize(self, values):
        """Set both scales to the mean of the magnitudes above the threshold."""
        magnitude = tf.abs(values)
        delta = self.threshold * tf.reduce_max(magnitude, axis=0)
        is_large = tf.cast(magnitude > delta, tf.float32)
        count = tf.maximum(tf.reduce_sum(is_large, axis=0), 1.0)
        mean = tf.reduce_sum(magnitude * is_large, axis=0) / count
        mean = tf.where(mean > 0.0, mean, 1.0)
        self.positive.assign(mean)
        if not self.symmetric:
            self.negative.assign(mean)

    def scheme_quantize(self, values):
        """Return the ternary values, with the gradients of the scales."""
        return trained_ternary_ste(values, self._delta(values), *self._scales())

    def scheme_encode(self, values):
        """Return the codes -1, 0, 1 and the scale."""
        if not self.symmetric:
            raise ValueError(
                f"Quantizer {self.name!r} (TTQ) has one scale for each sign, so that its values "
                "are on no integer grid. Train it with TTQ(symmetric=True) to export it."
            )
        delta = self._delta(values)
        codes = tf.cast(values > delta, tf.float32) - tf.cast(values < -delta, tf.float32)
        return Encoded(codes, self._scales()[0])

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "symmetric": self.symmetric,
        }

    def _scales(self):
        return positive(self.positive.value), positive(self.negative.value)

    def _delta(self, values):
        channels = self.channel_axes(len(values.shape))
        others = [axis for axis in range(len(values.shape)) if axis not in channels]
        largest = tf.reduce_max(tf.abs(values), axis=others, keepdims=bool(channels))
        return self.threshold * tf.stop_gradient(largest)
