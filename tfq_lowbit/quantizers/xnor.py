"""Binary weights with a scale a channel (XNOR-Net)."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, positive
from tfq_lowbit.quantizers.binary import BinaryQuantizer, signs
from tfq_lowbit.ste import sign_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class XNOR(BinaryQuantizer):
    """Weight quantizer with the levels `-alpha` and `alpha`, the least squares fit to the weights.

    Forward: `alpha = mean(abs(w))`, `q(w) = alpha * sign(w)`, `sign(0) = +1`.
    Backward: `dq_i/dw_j = alpha * 1{abs(w_j) <= 1}` where i is j, plus `sign(w_i) * sign(w_j) / n`,
    what alpha adds, for the n weights that share it. With `has_fixed_scale` alpha counts as a
    constant: the magnitude-aware gradient of Bi-Real Net.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True.
        axis: the channel axis for one alpha a channel, None for one a tensor.
        init: unused.
        has_fixed_scale: whether no gradient goes through alpha.

    Raises:
        ValueError: for any other width or range.

    Example:
        >>> [float(value) for value in XNOR()(keras.ops.array([-2.0, 0.0, 1.0]))]
        [-1.0, 1.0, 1.0]

    References:
        Rastegari, Ordonez, Redmon, Farhadi, "XNOR-Net: ImageNet Classification Using Binary
        Convolutional Neural Networks", ECCV 2016, https://arxiv.org/abs/1603.05279

        Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net", ECCV 2018, https://arxiv.org/abs/1808.00278
    """

    def __init__(
        self,
        num_bits=1,
        signed=True,
        narrow_range=True,
        axis=None,
        init="lsq",
        has_fixed_scale=False,
        **kwargs,
    ):
        super().__init__(num_bits, signed, narrow_range, axis, init, **kwargs)
        self.has_fixed_scale = has_fixed_scale

    def scheme_quantize(self, values):
        """Return `alpha * sign(values)`."""
        alpha = self._alpha(values)
        if self.has_fixed_scale:
            alpha = tf.stop_gradient(alpha)
        return alpha * sign_ste(values, values < 0.0, self.slope)

    def scheme_encode(self, values):
        """Return the codes -1, 1 and alpha."""
        return Encoded(signs(values < 0.0), self._alpha(values))

    def slope(self, values):
        """Return the surrogate derivative of the sign: 1 where `abs(values) <= 1`, else 0."""
        return tf.cast(tf.abs(values) <= 1.0, tf.float32)

    def _alpha(self, values):
        return positive(self.mean(tf.abs(values)))

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "has_fixed_scale": self.has_fixed_scale}
