"""Operators that work code by code: QUANTIZE, DEQUANTIZE, MUL by a constant, bounds, SOFTMAX."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    float32_function,
    fused_bounds,
    requantize,
)
from tfq_lowbit.export.program import Constant, FloatTensor, Tensor


@dataclass(eq=False)
class UnaryOperator:
    """An operator with one input tensor."""

    name: str
    source: Tensor
    output: Tensor

    @property
    def inputs(self):
        """The input."""
        return [self.source]


@dataclass(eq=False)
class Quantize:
    """QUANTIZE from float32: `clip(rint(x * (1 / s)) + z)`."""

    name: str
    source: FloatTensor
    output: Tensor

    code = "QUANTIZE"

    @property
    def inputs(self):
        """The input."""
        return [self.source]

    def compute(self, values):
        """Return the codes."""
        grid = self.output.grid
        scaled = tf.round(values * (np.float32(1) / grid.scale))
        return tf.clip_by_value(scaled + float(grid.zero_point), INT8_MIN, INT8_MAX)

    def options(self):
        """Return the schema's options."""
        return "QuantizeOptions", {}


@dataclass(eq=False)
class Dequantize:
    """DEQUANTIZE to float32: `(x - z) * s`."""

    name: str
    source: Tensor
    output: FloatTensor

    code = "DEQUANTIZE"

    @property
    def inputs(self):
        """The input."""
        return [self.source]

    def compute(self, codes):
        """Return the reals."""
        grid = self.source.grid
        return (codes - float(grid.zero_point)) * grid.scale

    def options(self):
        """Return the schema's options."""
        return "DequantizeOptions", {}


@dataclass(eq=False)
class Requantize(UnaryOperator):
    """MUL by a constant, 1 to change the grid alone, with one exact rounding.

    (QUANTIZE from int8 to int8 carries its multiplier with eight fractional bits only.)

    Attributes:
        activation: fused activation.
        factor: the constant, of any sign.
    """

    activation: str = "NONE"
    factor: float = 1.0

    code = "MUL"

    @property
    def variant(self):
        """What decides the version."""
        is_large = self._multiplier() >= 1
        return "multiplier of 1 and more" if is_large else ""

    @property
    def inputs(self):
        """The tensor, and the constant: its sign as a code, its size as the scale."""
        sign = np.array([np.sign(self.factor)], np.int8)
        size = np.array([abs(self.factor)], np.float32)
        name = "one" if self.factor == 1 else "factor"
        return [self.source, Constant(f"{self.output.name}/{name}", sign, "INT8", size)]

    def compute(self, codes):
        """Return the codes on the output's grid."""
        source, output = self.source.grid, self.output.grid
        low, high = fused_bounds(self.activation, output.scale, output.zero_point)
        centered = (codes - source.zero_point) * float(np.sign(self.factor))
        return requantize(centered, self._multiplier(), output.zero_point, low, high)

    def _multiplier(self):
        size = np.abs(np.float32(self.factor))
        return np.float32(self.source.grid.scale * size) / self.output.grid.scale

    def options(self):
        """Return the schema's options."""
        return "MulOptions", {"fusedActivationFunction": self.activation}


@dataclass(eq=False)
class Bound(UnaryOperator):
    """MAXIMUM or MINIMUM with a constant code: a bound that no saturation gives for free."""

    bound: int = 0
    is_lower: bool = True

    @property
    def code(self):
        """MAXIMUM for a lower bound."""
        return "MAXIMUM" if self.is_lower else "MINIMUM"

    @property
    def inputs(self):
        """The tensor, and the bound as a code on its grid."""
        grid = self.source.grid
        bound = np.array([self.bound], np.int8)
        scales = np.array([grid.scale], np.float32)
        name = f"{self.output.name}/bound"
        return [self.source, Constant(name, bound, "INT8", scales, grid.zero_point)]

    def compute(self, codes):
        """Return the bounded codes."""
        function = tf.maximum if self.is_lower else tf.minimum
        return function(codes, float(self.bound))

    def options(self):
        """Return the schema's options."""
        return "MaximumMinimumOptions", {}


@dataclass(eq=False)
class Softmax(UnaryOperator):
    """SOFTMAX over the last axis: a table of exponentials, a float32 sum from left to right.

    `y = trunc(T[max - x] * (1 / (sum * s_out)) + 0.5) + z_out` with `T[d] = exp(-s_in * d)`.
    """

    code = "SOFTMAX"

    def compute(self, codes):
        """Return the codes of the probabilities."""
        distances = np.arange(256, dtype=np.float32)
        table = float32_function("expf")(-self.source.grid.scale * distances)
        distance = tf.reduce_max(codes, axis=-1, keepdims=True) - codes
        terms = tf.gather(tf.constant(table), tf.cast(distance, tf.int32))
        rank = len(terms.shape)
        by_class = tf.transpose(terms, [rank - 1, *range(rank - 1)])
        total = tf.foldl(tf.add, by_class, initializer=tf.zeros_like(by_class[0]))
        grid = self.output.grid
        inverse = 1.0 / (total * grid.scale)
        scaled = tf.floor(terms * inverse[..., None] + 0.5)
        return tf.clip_by_value(scaled + float(grid.zero_point), INT8_MIN, INT8_MAX)

    def options(self):
        """Return the schema's options."""
        return "SoftmaxOptions", {"beta": 1.0}
