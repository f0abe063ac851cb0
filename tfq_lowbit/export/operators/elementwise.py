"""Operators that work code by code: QUANTIZE, DEQUANTIZE, ADD, MUL, MAXIMUM, RELU, SOFTMAX."""

import ctypes
import ctypes.util
import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import INT8_MAX, INT8_MIN, fused_bounds, requantize
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
class Add:
    """ADD of two int8 tensors: 21-bit multipliers, one rounding, ties up.

    `m_j = rint(s_j / s_out * 2^shift)` with `shift = 20 - exponent(max(s_1, s_2) / s_out)`.
    """

    name: str
    left: Tensor
    right: Tensor
    output: Tensor
    activation: str = "NONE"

    code = "ADD"

    @property
    def inputs(self):
        """Both operands."""
        return [self.left, self.right]

    def compute(self, left, right):
        """Return the codes of the sum."""
        grid = self.output.grid
        ratios = [float(side.grid.scale / grid.scale) for side in self.inputs]
        shift = 20 - (math.frexp(max(ratios))[1] - 1)
        total = tf.constant(1 << (shift - 1), tf.int64)
        for codes, side, ratio in zip((left, right), self.inputs, ratios, strict=True):
            multiplier = int(np.rint(ratio * 2.0**shift))
            total += tf.cast(codes - side.grid.zero_point, tf.int64) * multiplier
        shifted = tf.bitwise.right_shift(total, tf.constant(shift, tf.int64))
        low, high = fused_bounds(self.activation, grid.scale, grid.zero_point)
        codes = tf.clip_by_value(shifted + grid.zero_point, INT8_MIN, INT8_MAX)
        return tf.cast(tf.clip_by_value(codes, low, high), tf.float32)

    def options(self):
        """Return the schema's options."""
        return "AddOptions", {"fusedActivationFunction": self.activation}


@dataclass(eq=False)
class Requantize(UnaryOperator):
    """MUL by the constant 1: changes the grid with one exact rounding.

    (QUANTIZE from int8 to int8 carries its multiplier with eight fractional bits only.)
    """

    activation: str = "NONE"

    code = "MUL"

    @property
    def variant(self):
        """What decides the version."""
        is_large = self.source.grid.scale >= self.output.grid.scale
        return "multiplier of 1 and more" if is_large else ""

    @property
    def inputs(self):
        """The tensor, and one as a code."""
        one = np.ones((1,), np.int8)
        return [
            self.source,
            Constant(f"{self.output.name}/one", one, "INT8", np.ones(1, np.float32)),
        ]

    def compute(self, codes):
        """Return the codes on the output's grid."""
        source, output = self.source.grid, self.output.grid
        low, high = fused_bounds(self.activation, output.scale, output.zero_point)
        return requantize(
            codes - source.zero_point, source.scale / output.scale, output.zero_point, low, high
        )

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
        table = _exponential(-self.source.grid.scale * distances)
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


def _exponential(values):
    """Return float32 exponentials by the system's math library, which the runtime uses too."""
    library = ctypes.util.find_library("m")
    if library is None:
        return np.exp(values.astype(np.float64)).astype(np.float32)
    function = ctypes.CDLL(library).expf
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.array([function(float(value)) for value in values], np.float32)
