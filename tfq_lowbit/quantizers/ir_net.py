"""Information retention (IR-Net): a gradient that sharpens, and balanced weights."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, positive
from tfq_lowbit.quantizers.binary import BinaryQuantizer, SignFunction, signs
from tfq_lowbit.ste import sign_ste

FIRST_SHARPNESS = 0.1


class AnnealedSlope:
    """The surrogate derivative `k * t * (1 - tanh(t x)^2)` with `k = max(1 / t, 1)`.

    It is close to 1 everywhere at `t` = 0.1, and close to the sign's own at `t` = 10; in between
    `t` grows exponentially while training.

    Args:
        layer: the layer that owns the variable.

    Attributes:
        t: the variable, 0.1 at first.
    """

    def __init__(self, layer):
        self.t = layer.add_weight(
            name="t",
            shape=(),
            initializer=keras.initializers.Constant(FIRST_SHARPNESS),
            trainable=False,
            dtype="float32",
        )

    def __call__(self, values):
        """Return the derivative at `values`."""
        t = tf.convert_to_tensor(self.t)
        return tf.maximum(1.0 / t, 1.0) * t * (1.0 - tf.square(tf.tanh(t * values)))


@keras.saving.register_keras_serializable("tfq_lowbit")
class IRNetSign(SignFunction):
    """The sign, with a gradient that comes closer to its own while training.

    Forward: `q(x) = sign(x)`, `sign(0) = +1`.
    Backward: `dq/dx = k * t * (1 - tanh(t x)^2)`, `k = max(1 / t, 1)`.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: unused.
        init: unused.

    Raises:
        ValueError: for any other width or range.

    Example:
        >>> quantizer = IRNetSign()
        >>> [float(value) for value in quantizer(keras.ops.array([-0.3, 0.0, 2.0]))]
        [-1.0, 1.0, 1.0]
        >>> _ = quantizer.t.assign(10.0)  # as a callback does in the end

    References:
        Qin, Gong, Liu, Shen, Wei, Yu, Song, "Forward and Backward Information Retention for
        Accurate Binary Neural Networks", CVPR 2020, https://arxiv.org/abs/1909.10788
    """

    def scheme_build(self, step_shape):
        """Create `t`."""
        self._slope = AnnealedSlope(self)

    @property
    def t(self):
        """Variable, how sharp the gradient is: a callback sets it, from 0.1 up to 10."""
        return self._slope.t

    def slope(self, distance):
        """Return `k * t * (1 - tanh(t * distance)^2)`."""
        return self._slope(distance)


@keras.saving.register_keras_serializable("tfq_lowbit")
class IRNet(BinaryQuantizer):
    """Weight quantizer that balances the signs, with a power of two as scale.

    Forward: `v = (w - mean(w)) / sd(w)`, `alpha = 2^round(log2(mean(abs(v))))`,
    `q(w) = alpha * sign(v)`, `sign(0) = +1`.
    Backward: `dq/dv = alpha * k * t * (1 - tanh(t v)^2)` with `k = max(1 / t, 1)`, and through the
    standardization; alpha counts as a constant.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: the channel axis, over whose filters mean, deviation and alpha are taken; None takes
            them over the tensor.
        init: unused.

    Raises:
        ValueError: for any other width or range.

    Example:
        >>> [float(value) for value in IRNet()(keras.ops.array([1.0, 2.0, 6.0]))]
        [-1.0, -1.0, 1.0]

    References:
        Qin, Gong, Liu, Shen, Wei, Yu, Song, "Forward and Backward Information Retention for
        Accurate Binary Neural Networks", CVPR 2020, https://arxiv.org/abs/1909.10788
    """

    def scheme_build(self, step_shape):
        """Create `t`."""
        self._slope = AnnealedSlope(self)

    @property
    def t(self):
        """Variable, how sharp the gradient is: a callback sets it, from 0.1 up to 10."""
        return self._slope.t

    def scheme_quantize(self, values):
        """Return `alpha * sign(v)`."""
        standard, is_below = self._standardize(values)
        return self._alpha(standard) * sign_ste(standard, is_below, self._slope)

    def scheme_encode(self, values):
        """Return the codes -1, 1 and alpha."""
        standard, is_below = self._standardize(values)
        return Encoded(signs(is_below), self._alpha(standard))

    def _standardize(self, values):
        mean = self.mean(values)
        centred = values - mean
        # The floor keeps the gradient of a filter of equal weights finite.
        deviation = tf.sqrt(positive(self.mean(tf.square(centred))))
        return centred / deviation, values < mean

    def _alpha(self, standard):
        size = positive(self.mean(tf.abs(tf.stop_gradient(standard))))
        exponent = tf.cast(tf.round(tf.math.log(size) / tf.math.log(2.0)), tf.int32)
        # The bits of a power of two: exact on every device.
        return tf.bitcast(tf.bitwise.left_shift(exponent + 127, 23), tf.float32)
