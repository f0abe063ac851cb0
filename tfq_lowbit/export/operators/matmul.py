"""Operators of attention: BATCH_MATMUL of two tensors, MINIMUM with a mask."""

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import accumulator_type
from tfq_lowbit.export.operators.elementwise import UnaryOperator
from tfq_lowbit.export.program import Constant, Tensor


@dataclass(eq=False)
class BatchMatMul:
    """BATCH_MATMUL: `clip(rint(sum((a - z_a) * b) * M) + z_out)`, rounded once.

    The zero point of `right` is 0: the runtime delegates no other, and its own kernel rounds twice.
    """

    name: str
    left: Tensor
    right: Tensor
    output: Tensor
    transpose_right: bool = False

    code = "BATCH_MATMUL"

    @property
    def inputs(self):
        """Both operands."""
        return [self.left, self.right]

    def compute(self, left, right):
        """Return the codes of the product."""
        source, other, output = self.left.grid, self.right.grid, self.output.grid
        low, high = source.storage.low, source.storage.high
        widest = max(source.zero_point - low, high - source.zero_point)
        dtype = accumulator_type(widest * -low * self.left.shape[-1])
        centered = tf.cast(left - source.zero_point, dtype)
        total = tf.matmul(centered, tf.cast(right, dtype), transpose_b=self.transpose_right)
        return output.arithmetic.scale_matmul(total, source.scale, other.scale, output)

    def options(self):
        """Return the schema's options."""
        return "BatchMatMulOptions", {"adjX": False, "adjY": self.transpose_right}


@dataclass(eq=False)
class Mask(UnaryOperator):
    """MINIMUM with constant codes, the same for the whole batch."""

    bounds: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int8))

    code = "MINIMUM"

    @property
    def inputs(self):
        """The tensor, and the bounds as codes on its grid."""
        grid = self.source.grid
        scales = np.array([grid.scale], np.float32)
        name = f"{self.output.name}/mask"
        return [self.source, Constant(name, self.bounds, grid.type, scales, grid.zero_point)]

    def compute(self, codes):
        """Return the bounded codes."""
        return tf.minimum(codes, tf.constant(self.bounds, codes.dtype))

    def options(self):
        """Return the schema's options."""
        return "MaximumMinimumOptions", {}
