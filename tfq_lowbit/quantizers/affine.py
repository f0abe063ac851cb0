"""Uniform affine fake quantization: a fixed grid set from data."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.base import WIDE_BITS, Quantizer, encode_on_grid, positive
from tfq_lowbit.ste import clipped_round_ste


@keras.saving.register_keras_serializable("tfq_lowbit")
class UniformAffine(Quantizer):
    """Fake quantization on a uniform grid that data sets and training does not move.

    Forward: `q(x) = s * clip(round(x / s), q_min, q_max)`.
    Backward: `dq/dx = 1` where `q_min <= x / s <= q_max`, else 0.

    With `asymmetric=True` the `2^b` codes cover `[min(x, 0), max(x, 0)]`: the code range is
    shifted by an integer zero point, `q_min = -z`, `q_max = 2^b - 1 - z`, where
    `s = (max - min) / (2^b - 1)` and `z = round(-min / s)`.

    Args:
        num_bits: width of the codes, 2 to 8, or 16 for activations.
        signed: see `Quantizer`; ignored where `asymmetric`.
        narrow_range: see `Quantizer`.
        axis: see `Quantizer`; per-channel grids are symmetric.
        init: rule for the step size; an asymmetric grid always covers minimum to maximum.
        asymmetric: whether to shift the code range to the data.
        unit: where given, the step is rounded so that `unit / s` is an integer: a tensor
            that was shifted by `unit` then still has its original zero on the grid. The step is
            at the most `unit`: data that needs a larger one is clipped.

    Raises:
        ValueError: for a width out of range, or `asymmetric` with an axis or 16 bits.

    Example:
        >>> quantizer = UniformAffine(num_bits=4, signed=False, init="min_max")
        >>> quantizer.initialize([0.0, 0.3, 1.5])
        >>> [round(float(value), 2) for value in quantizer(keras.ops.array([0.34, 9.0]))]
        [0.3, 1.5]

    References:
        Jacob et al., "Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference", CVPR 2018, https://arxiv.org/abs/1712.05877
    """

    def __init__(
        self,
        num_bits=8,
        signed=True,
        narrow_range=False,
        axis=None,
        init="min_max",
        asymmetric=False,
        unit=None,
        **kwargs,
    ):
        super().__init__(num_bits, signed, narrow_range, axis, init, **kwargs)
        if asymmetric and axis is not None:
            raise ValueError(
                "Argument `asymmetric` needs `axis=None`: a per-channel zero point has no "
                f"place in an integer kernel. Received: axis={axis!r}"
            )
        if asymmetric and self.num_bits == WIDE_BITS:
            raise ValueError(
                "Argument `asymmetric` must be False for 16 bits: an int16 tensor has its zero at "
                "code 0. Received: asymmetric=True"
            )
        self.asymmetric = asymmetric
        self.unit = unit

    @property
    def q_min(self):
        """Smallest code."""
        return -self.zero_point if self.asymmetric else super().q_min

    @property
    def q_max(self):
        """Largest code."""
        return 2.0**self.num_bits - 1.0 - self.zero_point if self.asymmetric else super().q_max

    def scheme_build(self, step_shape):
        """Create the step size and, where asymmetric, the zero point."""
        self.step_size = self.add_step_size("step_size", step_shape)
        if self.asymmetric:
            self.zero_point = self._flag("zero_point")

    def scheme_initialize(self, values):
        """Set the grid by the rule, or to cover the data where asymmetric."""
        if self.asymmetric:
            minimum = tf.minimum(tf.reduce_min(values), 0.0)
            maximum = tf.maximum(tf.reduce_max(values), 0.0)
            step = self._on_unit(positive((maximum - minimum) / (2.0**self.num_bits - 1.0)))
            self.step_size.assign(step)
            self.zero_point.assign(tf.round(-minimum / step))
        else:
            self.step_size.assign(self._on_unit(self.initial_step(values, self.step_size.shape)))

    def scheme_quantize(self, values):
        """Return the nearest grid values."""
        return clipped_round_ste(values, positive(self.step_size), self.q_min, self.q_max)

    def scheme_encode(self, values):
        """Return the nearest codes."""
        return encode_on_grid(values, positive(self.step_size), self.q_min, self.q_max)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "asymmetric": self.asymmetric, "unit": self.unit}

    def _on_unit(self, step):
        if not self.unit:
            return step
        # Up to the next step that divides the unit: the range then still holds all the data. The
        # quotient of a step that divides it already may lie a rounding error below the integer.
        count = tf.math.floor(abs(self.unit) / step + 1e-3)
        return abs(self.unit) / tf.maximum(count, 1.0)
