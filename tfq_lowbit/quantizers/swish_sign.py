"""The sign with the gradient of a smooth, Swish-like function (BNN+)."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.binary import SignFunction


@keras.saving.register_keras_serializable("tfq_lowbit")
class SwishSign(SignFunction):
    """The sign, whose gradient is that of `SS(x) = 2 s(bx) * (1 + bx * (1 - s(bx))) - 1`.

    Forward: `q(x) = sign(x)`, `sign(0) = +1`.
    Backward: `dq/dx = b * (2 - b x tanh(b x / 2)) / (1 + cosh(b x))`, s the logistic function.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: unused.
        init: unused.
        beta: `b`, positive: the larger, the closer to the sign.

    Raises:
        ValueError: for any other width or range, or a beta that is not positive.

    Example:
        >>> [float(value) for value in SwishSign()(keras.ops.array([-0.3, 0.0, 2.0]))]
        [-1.0, 1.0, 1.0]

    References:
        Darabi, Belbahri, Courbariaux, Partovi Nia, "Regularized Binary Network Training" (BNN+),
        2018, https://arxiv.org/abs/1812.11800
    """

    def __init__(
        self,
        num_bits=1,
        signed=True,
        narrow_range=True,
        axis=None,
        init="lsq",
        beta=5.0,
        **kwargs,
    ):
        super().__init__(num_bits, signed, narrow_range, axis, init, **kwargs)
        if not beta > 0:
            raise ValueError(f"Argument `beta` must be positive. Received: beta={beta!r}")
        self.beta = beta

    def slope(self, distance):
        """Return the derivative of `SS` at `distance`."""
        # With u = exp(-abs(b x)), `1 + cosh(b x) = (1 + u)^2 / 2u`: no overflow far from 0, and
        # from 104 on u is 0.
        scaled = tf.minimum(self.beta * tf.abs(distance), 200.0)
        decay = tf.exp(-scaled)
        slope = (2.0 - scaled * tf.tanh(scaled / 2.0)) * decay
        return self.beta * 2.0 * slope / tf.square(1.0 + decay)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "beta": self.beta}
