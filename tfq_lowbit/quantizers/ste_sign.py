"""The sign with the straight-through gradient."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.binary import SignFunction


@keras.saving.register_keras_serializable("tfq_lowbit")
class SteSign(SignFunction):
    """The sign, through which gradients pass where the value is small.

    Forward: `q(x) = sign(x)`, `sign(0) = +1`.
    Backward: `dq/dx = 1` where `abs(x) <= clip_value`, else 0.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: unused.
        init: unused.
        clip_value: the largest magnitude through which gradients pass, positive.

    Raises:
        ValueError: for any other width or range, or a clip value that is not positive.

    Example:
        >>> [float(value) for value in SteSign()(keras.ops.array([-0.3, 0.0, 2.0]))]
        [-1.0, 1.0, 1.0]

    References:
        Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks", NeurIPS 2016,
        https://arxiv.org/abs/1602.02830
    """

    def __init__(
        self,
        num_bits=1,
        signed=True,
        narrow_range=True,
        axis=None,
        init="lsq",
        clip_value=1.0,
        **kwargs,
    ):
        super().__init__(num_bits, signed, narrow_range, axis, init, **kwargs)
        if not clip_value > 0:
            raise ValueError(
                f"Argument `clip_value` must be positive. Received: clip_value={clip_value!r}"
            )
        self.clip_value = clip_value

    def slope(self, distance):
        """Return 1 where `abs(distance) <= clip_value`, else 0."""
        return tf.cast(tf.abs(distance) <= self.clip_value, tf.float32)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "clip_value": self.clip_value}
