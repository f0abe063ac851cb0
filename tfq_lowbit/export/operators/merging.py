"""Operators that merge two int8 tensors: ADD, SUB, MUL, MAXIMUM, MINIMUM.

Either operand may be a constant, and shapes may broadcast.
"""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import INT8_MAX, INT8_MIN, fused_bounds, requantize
from tfq_lowbit.export.program import Constant, Tensor


@dataclass(eq=False)
class MergeOperator:
    """An operator with two operands."""

    name: str
    left: Tensor | Constant
    right: Tensor | Constant
    output: Tensor

    code = ""

    @property
    def inputs(self):
        """Both operands."""
        return [self.left, self.right]

    def compute(self, *codes):
        """Return the codes of the result, from those of the operands that are no constants."""
        given = iter(codes)
        return self._merge(
            *(
                tf.constant(side.values, tf.float32) if isinstance(side, Constant) else next(given)
                for side in self.inputs
            )
        )

    def _merge(self, left, right):
        raise NotImplementedError


@dataclass(eq=False)
class Add(MergeOperator):
    """ADD of two int8 tensors: 21-bit multipliers, one rounding, ties up.

    `m_j = rint(s_j / s_out * 2^shift)` with `shift = 20 - exponent(max(s_1, s_2) / s_out)`.
    """

    activation: str = "NONE"

    code = "ADD"
    sign = 1  # of the right operand

    def options(self):
        """Return the schema's options."""
        return "AddOptions", {"fusedActivationFunction": self.activation}

    def _merge(self, left, right):
        grid = self.output.grid
        ratios = [float(side.grid.scale / grid.scale) for side in self.inputs]
        shift = 20 - (math.frexp(max(ratios))[1] - 1)
        total = tf.constant(1 << (shift - 1), tf.int64)
        operands = zip((left, right), self.inputs, ratios, (1, self.sign), strict=True)
        for codes, side, ratio, sign in operands:
            multiplier = sign * int(np.rint(ratio * 2.0**shift))
            total += tf.cast(codes - side.grid.zero_point, tf.int64) * multiplier
        shifted = tf.bitwise.right_shift(total, tf.constant(shift, tf.int64))
        low, high = fused_bounds(self.activation, grid.scale, grid.zero_point)
        codes = tf.clip_by_value(shifted + grid.zero_point, INT8_MIN, INT8_MAX)
        return tf.cast(tf.clip_by_value(codes, low, high), tf.float32)


@dataclass(eq=False)
class Subtract(Add):
    """SUB: as ADD, the right operand negated."""

    code = "SUB"
    sign = -1

    def options(self):
        """Return the schema's options."""
        return "SubOptions", {"fusedActivationFunction": self.activation}


@dataclass(eq=False)
class Multiply(MergeOperator):
    """MUL: `clip(rint((x_1 - z_1) * (x_2 - z_2) * M) + z_out)` with `M = (s_1 * s_2) / s_out`."""

    activation: str = "NONE"

    code = "MUL"

    @property
    def variant(self):
        """What decides the version."""
        return "multiplier of 1 and more" if self._multiplier() >= 1 else ""

    def options(self):
        """Return the schema's options."""
        return "MulOptions", {"fusedActivationFunction": self.activation}

    def _merge(self, left, right):
        grid = self.output.grid
        low, high = fused_bounds(self.activation, grid.scale, grid.zero_point)
        centered = [
            codes - side.grid.zero_point
            for codes, side in zip((left, right), self.inputs, strict=True)
        ]
        product = centered[0] * centered[1]
        return requantize(product, self._multiplier(), grid.zero_point, low, high)

    def _multiplier(self):
        return np.float32(self.left.grid.scale * self.right.grid.scale) / self.output.grid.scale


@dataclass(eq=False)
class Maximum(MergeOperator):
    """MAXIMUM of raw codes: both operands and the output share a grid."""

    code = "MAXIMUM"

    def options(self):
        """Return the schema's options."""
        return "MaximumMinimumOptions", {}

    def _merge(self, left, right):
        return tf.maximum(left, right)


@dataclass(eq=False)
class Minimum(Maximum):
    """MINIMUM of raw codes: both operands and the output share a grid."""

    code = "MINIMUM"

    def _merge(self, left, right):
        return tf.minimum(left, right)
