"""The sign with the triangular gradient of Bi-Real Net."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.binary import SignFunction


@keras.saving.register_keras_serializable("tfq_lowbit")
class ApproxSign(SignFunction):
    """The sign, whose gradient is that of a piecewise quadratic function.

    Forward: `q(x) = sign(x)`, `sign(0) = +1`.
    Backward: `dq/dx = 2 + 2x` on `[-1, 0)`, `2 - 2x` on `[0, 1)`, else 0.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: unused.
        init: unused.

    Raises:
        ValueError: for any other width or range.

    Example:
        >>> [float(value) for value in ApproxSign()(keras.ops.array([-0.3, 0.0, 2.0]))]
        [-1.0, 1.0, 1.0]

    References:
        Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net: Enhancing the Performance of 1-bit CNNs With
        Improved Representational Capability and Advanced Training Algorithm", ECCV 2018,
        https://arxiv.org/abs/1808.00278
    """

    def slope(self, distance):
        """Return `2 - 2 * abs(distance)`, 0 where that is negative."""
        return triangle(distance)


def triangle(distance):
    """Return `2 - 2 * abs(distance)`, 0 where that is negative."""
    return tf.maximum(2.0 - 2.0 * tf.abs(distance), 0.0)
