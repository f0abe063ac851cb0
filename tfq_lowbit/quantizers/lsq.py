"""Learned step size quantization (LSQ)."""

import math

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Quantizer, encode_on_grid
from tfq_lowbit.quantizers.relative import RelativeVariable
from tfq_lowbit.ste import learned_step_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class LSQ(Quantizer):
    """Quantizer whose step size is trained with the weights.

    Forward: `q(v) = s * clip(round(v / s), q_min, q_max)`.
    Backward: `dq/dv = 1` inside the range, else 0; `dq/ds = round(v / s) - v / s` inside,
    `q_min` below and `q_max` above. The gradient of `s` is scaled by `g = 1 / sqrt(N * q_max)`,
    where N is the number of weights (per step size), or of features of an activation (the
    size of a sample). The first step is `2 * mean(abs(v)) / sqrt(q_max)`. The optimizer sees the
    step as a multiple of the first (`RelativeVariable`).

    Args:
        num_bits: width of the codes, 2 to 8, or 16 for activations.
        signed: see `Quantizer`.
        narrow_range: see `Quantizer`.
        axis: see `Quantizer`.
        init: rule for the first step size, the paper's "lsq" by default.
        num_features: N; None counts the values that share a step size, without the batch axis
            for activations.
        is_activation: whether axis 0 of the input is the batch.

    Raises:
        ValueError: for a width out of range or an unknown rule.

    Example:
        >>> quantizer = LSQ(num_bits=2, signed=False, is_activation=True)
        >>> quantizer.initialize([[0.5, 1.0, 1.5, 2.0]])
        >>> round(float(quantizer.step_size.numpy()), 4)
        1.4434

    References:
        Esser, McKinstry, Bablani, Appuswamy, Modha, "Learned Step Size Quantization",
        ICLR 2020, https://arxiv.org/abs/1902.08153
    """

    def __init__(
        self,
        num_bits=8,
        signed=True,
        narrow_range=False,
        axis=None,
        init="lsq",
        num_features=None,
        is_activation=False,
        **kwargs,
    ):
        super().__init__(num_bits, signed, narrow_range, axis, init, **kwargs)
        self.num_features = num_features
        self.is_activation = is_activation

    def scheme_build(self, step_shape):
        """Create the trained step size."""
        self.step_size = RelativeVariable(self, "step_size", step_shape)

    def scheme_initialize(self, values):
        """Set the step size by the rule."""
        self.step_size.assign(self.initial_step(values, self.step_size.shape))

    def scheme_quantize(self, values):
        """Return the nearest grid values, with LSQ's gradients."""
        return learned_step_ste(
            values,
            self.step_size.value,
            self.q_min,
            self.q_max,
            self.gradient_scale(values),
        )

    def scheme_encode(self, values):
        """Return the nearest codes."""
        return encode_on_grid(values, self.step_size.value, self.q_min, self.q_max)

    def gradient_scale(self, values):
        """Return `g = 1 / sqrt(N * q_max)` for the tensor `values`."""
        return (self.count_features(values) * self.q_max) ** -0.5

    def count_features(self, values):
        """Return N as a float, or as a tensor where the shape is only known at run time."""
        if self.num_features is not None:
            return float(self.num_features)
        sizes = values.shape[1:] if self.is_activation else values.shape
        count = sizes.num_elements()
        channels = math.prod(values.shape[axis] for axis in self.channel_axes(len(values.shape)))
        if count is None:
            batch = tf.shape(values)[0] if self.is_activation else 1
            return tf.cast(tf.size(values) / (batch * channels), tf.float32)
        return float(count) / channels

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "num_features": self.num_features,
            "is_activation": self.is_activation,
        }
