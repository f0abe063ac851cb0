"""Operators that merge two tensors: ADD, SUB, MUL, MAXIMUM, MINIMUM.

Either operand may be a constant, and shapes may broadcast.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import fused_bounds
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
    """ADD of two tensors, as `add` in the arithmetic of their type."""

    activation: str = "NONE"

    code = "ADD"
    table = "AddOptions"
    sign = 1  # of the right operand

    def options(self):
        """Return the schema's options."""
        # At int16 without it scales that are powers of two would be computed otherwise.
        is_general = {} if self.output.grid.storage.has_zero_point else {"potScaleInt16": False}
        return self.table, {"fusedActivationFunction": self.activation, **is_general}

    def _merge(self, left, right):
        grid = self.output.grid
        terms = [
            (codes - side.grid.zero_point, side.grid.scale, sign)
            for codes, side, sign in zip((left, right), self.inputs, (1, self.sign), strict=True)
        ]
        bounds = fused_bounds(self.activation, grid)
        is_same_shape = left.shape[1:] == right.shape[1:]
        return grid.arithmetic.add(terms, grid, bounds, is_same_shape)


@dataclass(eq=False)
class Subtract(Add):
    """SUB: as ADD, the right operand negated."""

    code = "SUB"
    table = "SubOptions"
    sign = -1


@dataclass(eq=False)
class Multiply(MergeOperator):
    """MUL: `clip(round((x_1 - z_1) * (x_2 - z_2) * M) + z_out)` with `M = (s_1 * s_2) / s_out`."""

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
        centered = [
            codes - side.grid.zero_point
            for codes, side in zip((left, right), self.inputs, strict=True)
        ]
        products, bounds = _product(*centered), fused_bounds(self.activation, grid)
        return grid.arithmetic.scale_products(products, self._multiplier(), grid, bounds)

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


def _product(left, right):
    """Return products of codes, in float64: two int16 codes have 30 bits together."""
    return tf.cast(left, tf.float64) * tf.cast(right, tf.float64)
