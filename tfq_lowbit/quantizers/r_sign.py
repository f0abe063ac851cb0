"""The sign with a learned threshold a channel (ReActNet)."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.approx_sign import triangle
from tfq_lowbit.quantizers.binary import SignFunction


@keras.saving.register_keras_serializable("tfq_lowbit")
class RSign(SignFunction):
    """The sign of inputs against a threshold that is trained for each channel.

    Forward: `q(x) = sign(x - alpha)`, `sign(0) = +1`, alpha 0 at first.
    Backward: with `z = x - alpha`: `dq/dx = 2 + 2z` on `[-1, 0)`, `2 - 2z` on `[0, 1)`, else 0;
    `dq/dalpha = -dq/dx`.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: the last axis, -1, or None for one threshold a tensor.
        init: unused.

    Raises:
        ValueError: for any other width, range or axis.

    Example:
        >>> quantizer = RSign()
        >>> quantizer.build((None, 2))
        >>> _ = quantizer.alpha.assign([0.5, -0.5])
        >>> quantizer(keras.ops.array([[0.0, 0.0]])).numpy()
        array([[-1.,  1.]], dtype=float32)

    References:
        Liu, Shen, Savvides, Cheng, "ReActNet: Towards Precise Binary Neural Network with
        Generalized Activation Functions", ECCV 2020, https://arxiv.org/abs/2003.03488
    """

    has_channel_thresholds = True

    def __init__(self, num_bits=1, signed=True, narrow_range=True, axis=-1, init="lsq", **kwargs):
        if axis not in (-1, None):
            raise ValueError(
                f"Argument `axis` of RSign must be -1 or None. Received: axis={axis!r}"
            )
        super().__init__(num_bits, signed, narrow_range, axis, init, **kwargs)

    def scheme_build(self, step_shape):
        """Create the thresholds."""
        self.alpha = self.add_weight(
            name="alpha",
            shape=tuple(step_shape[-1:]),
            initializer="zeros",
            dtype="float32",
        )

    def thresholds(self):
        """Return alpha, float32 of shape (channels,), or () for one a tensor."""
        return tf.convert_to_tensor(self.alpha)

    def slope(self, distance):
        """Return `2 - 2 * abs(distance)`, 0 where that is negative."""
        return triangle(distance)
