"""Operators that work code by code: QUANTIZE, DEQUANTIZE, MUL by a constant, bounds, SOFTMAX."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import float32_function, fused_bounds
from tfq_lowbit.export.arithmetic_int16 import convert
from tfq_lowbit.export.program import Constant, FloatTensor, Tensor
from tfq_lowbit.export.storage import INT8


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
    """QUANTIZE from float32, as `quantize` in the arithmetic of its output's type."""

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
        return self.output.grid.arithmetic.quantize(values, self.output.grid)

    def options(self):
        """Return the schema's options."""
        return "QuantizeOptions", {}


@dataclass(eq=False)
class Convert(UnaryOperator):
    """QUANTIZE from one integer type to another: `round((x - z_in) * s_in / s_out) + z_out`."""

    code = "QUANTIZE"

    @property
    def variant(self):
        """What decides the version."""
        is_from_int8 = self.source.grid.storage is INT8
        return "from int8" if is_from_int8 else "to int8"

    def compute(self, codes):
        """Return the codes in the other type."""
        return convert(codes, self.source.grid, self.output.grid)

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

    (QUANTIZE within int8 carries its multiplier with eight fractional bits only.)

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
        storage = self.source.grid.storage
        sign: np.ndarray = np.array([np.sign(self.factor)], storage.dtype)
        size = np.array([abs(self.factor)], np.float32)
        name = "one" if self.factor == 1 else "factor"
        return [self.source, Constant(f"{self.output.name}/{name}", sign, storage.name, size)]

    def compute(self, codes):
        """Return the codes on the output's grid."""
        source, output = self.source.grid, self.output.grid
        bounds = fused_bounds(self.activation, output)
        centered = (codes - source.zero_point) * float(np.sign(self.factor))
        return output.arithmetic.scale_products(centered, self._multiplier(), output, bounds)

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
        bound: np.ndarray = np.array([self.bound], grid.storage.dtype)
        scales = np.array([grid.scale], np.float32)
        name = f"{self.output.name}/bound"
        return [self.source, Constant(name, bound, grid.type, scales, grid.zero_point)]

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
        return tf.clip_by_value(scaled + float(grid.zero_point), INT8.low, INT8.high)

    def options(self):
        """Return the schema's options."""
        return "SoftmaxOptions", {"beta": 1.0}
