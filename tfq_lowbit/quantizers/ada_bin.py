"""Two adaptive levels (AdaBin): their centre and distance follow weights, and are learned."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, positive
from tfq_lowbit.quantizers.binary import BinaryQuantizer, SignFunction, signs
from tfq_lowbit.quantizers.relative import RelativeVariable
from tfq_lowbit.ste import sign_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class AdaBin(BinaryQuantizer):
    """Weight quantizer with the levels `beta - alpha` and `beta + alpha`.

    Forward: `beta = mean(w)`, `alpha = sd(w)`, `q(w) = alpha * sign(w - beta) + beta`,
    `sign(0) = +1`.
    Backward: with `u = (w - beta) / alpha`, `dsign/du = 1{abs(u) <= 1}`, and through alpha and
    beta.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: the channel axis for levels a channel, None for one pair a tensor.
        init: unused.

    Raises:
        ValueError: for any other width or range.

    Example:
        >>> [float(value) for value in AdaBin()(keras.ops.array([-6.0, 8.0, 0.0, 2.0]))]
        [-4.0, 6.0, -4.0, 6.0]

    References:
        Tu, Chen, Ren, Wang, "AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets",
        ECCV 2022, https://arxiv.org/abs/2208.08084
    """

    has_offset = True

    def scheme_quantize(self, values):
        """Return `alpha * sign(values - beta) + beta`."""
        alpha, beta = self._levels(values)
        return alpha * sign_ste((values - beta) / alpha, values < beta, _window) + beta

    def scheme_encode(self, values):
        """Return the codes -1, 1, alpha and beta."""
        alpha, beta = self._levels(values)
        return Encoded(signs(values < beta), alpha, beta)

    def _levels(self, values):
        beta = self.mean(values)
        # The floor keeps the gradient of a filter of equal weights finite.
        return tf.sqrt(positive(self.mean(tf.square(values - beta)))), beta


@keras.saving.register_keras_serializable("tfq_lowbit")
class AdaBinSign(SignFunction):
    """Input quantizer with two trained levels, `beta - alpha` and `beta + alpha`.

    Forward: `q(x) = alpha * sign((x - beta) / alpha) + beta`, `sign(0) = +1`. From the first data
    `beta = mean(x)` and `alpha = mean(abs(x - beta))`.
    Backward: with `u = (x - beta) / alpha` and `m = 1{abs(u) <= 1}`: `dq/dx = m`,
    `dq/dbeta = 1 - m`, `dq/dalpha = sign(u) - m * u`. The optimizer sees alpha as a multiple of the
    first, and beta in units of it (`RelativeVariable`).

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: must be None: one pair of levels a tensor.
        init: unused.

    Raises:
        ValueError: for any other width or range, or an axis.

    Example:
        >>> quantizer = AdaBinSign()
        >>> quantizer.initialize([0.0, 1.0, 3.0, 4.0])
        >>> [float(value) for value in quantizer(keras.ops.array([0.0, 9.0]))]
        [0.5, 3.5]

    References:
        Tu, Chen, Ren, Wang, "AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets",
        ECCV 2022, https://arxiv.org/abs/2208.08084
    """

    has_offset = True
    needs_data = True

    def __init__(self, num_bits=1, signed=True, narrow_range=True, axis=None, init="lsq", **kwargs):
        if axis is not None:
            raise ValueError(
                "AdaBinSign has one pair of levels a tensor: `axis` must be None. Received: "
                f"axis={axis!r}"
            )
        super().__init__(num_bits, signed, narrow_range, None, init, **kwargs)

    def scheme_build(self, step_shape):
        """Create alpha and beta."""
        self.alpha = RelativeVariable(self, "alpha", step_shape)
        self.beta = RelativeVariable(self, "beta", step_shape, is_positive=False)
        self.beta.assign(0.0)

    def scheme_initialize(self, values):
        """Set beta to the mean and alpha to the mean distance from it."""
        beta = self.mean(values)
        alpha = self.mean(tf.abs(values - beta))
        alpha = tf.where(alpha > 0.0, alpha, 1.0)
        self.alpha.assign(alpha)
        self.beta.assign(beta, reference=alpha)

    def thresholds(self):
        """Return beta."""
        return self.beta.value

    def levels(self):
        """Return alpha and beta."""
        return positive(self.alpha.value), self.beta.value

    def scheme_quantize(self, values):
        """Return the nearer level, with the gradients of both."""
        alpha, beta = self.levels()
        return alpha * sign_ste((values - beta) / alpha, values < beta, _window) + beta

    def scheme_encode(self, values):
        """Return the codes -1, 1, alpha and beta."""
        alpha, beta = self.levels()
        return Encoded(signs(values < beta), alpha, beta)


def _window(values):
    return tf.cast(tf.abs(values) <= 1.0, tf.float32)
