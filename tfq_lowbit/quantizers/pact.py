"""PACT: a learned clipping value for activations."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import Quantizer, encode_on_grid
from tfq_lowbit.quantizers.relative import RelativeVariable
from tfq_lowbit.same_bits import range_step
from tfq_lowbit.ste import clip_value_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class PACT(Quantizer):
    """Activation quantizer with a trained clipping value alpha.

    Forward: `y = clip(x, 0, alpha)`, `q(x) = s * round(y / s)` with `s = alpha / (2^b - 1)`.
    Backward: `dq/dx = 1` for `0 <= x < alpha`, else 0; `dq/dalpha = 1` for `x >= alpha`, else 0.

    With `signed=True` the range is `[-alpha, alpha]`, `s = alpha / (2^(b-1) - 1)`, and
    `dq/dalpha = -1` for `x <= -alpha`: for tensors that no ReLU precedes, which the paper does
    not have.

    Args:
        num_bits: width of the codes, 2 to 8, or 16 for activations.
        signed: see `Quantizer`.
        narrow_range: False adds the code below `-alpha` to a signed grid; `dq/dalpha` there is
            `-2^(b-1) / (2^(b-1) - 1)`.
        axis: must be None: alpha is one number a tensor.
        init: rule for the first step size; alpha starts at `s * q_max`.
        regularization: lambda of the paper's `lambda * alpha^2` penalty, added to the loss.

    Raises:
        ValueError: for a width out of range or an axis.

    Example:
        >>> quantizer = PACT(num_bits=2, signed=False)
        >>> quantizer.initialize([0.0, 1.0, 3.0])
        >>> [float(value) for value in quantizer(keras.ops.array([-1.0, 1.2, 7.0]))]
        [0.0, 1.0, 3.0]

    References:
        Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks",
        2018, https://arxiv.org/abs/1805.06085
    """

    def __init__(
        self,
        num_bits=8,
        signed=False,
        narrow_range=True,
        axis=None,
        init="min_max",
        regularization=0.0,
        **kwargs,
    ):
        if axis is not None:
            raise ValueError(
                f"PACT has one clipping value a tensor: `axis` must be None. Received: {axis!r}"
            )
        super().__init__(num_bits, signed, narrow_range, None, init, **kwargs)
        self.regularization = regularization

    def scheme_build(self, step_shape):
        """Create the trained clipping value."""
        self.alpha = RelativeVariable(self, "alpha", step_shape)

    def scheme_initialize(self, values):
        """Set alpha to what the rule's step size reaches."""
        self.alpha.assign(self.initial_step(values, self.alpha.shape) * self.q_max)

    def scheme_quantize(self, values):
        """Return the nearest grid values, with PACT's gradients."""
        alpha = self.alpha.value
        if self.regularization:
            self.add_loss(self.regularization * tf.square(alpha))
        return clip_value_ste(values, alpha, tf.cast(self.q_max, tf.float32), self.q_min)

    def scheme_encode(self, values):
        """Return the nearest codes."""
        step_size = range_step(self.alpha.value, self.q_max)
        return encode_on_grid(values, step_size, self.q_min, self.q_max)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "regularization": self.regularization}
