"""Operators that look a function up: LOGISTIC, TANH, ELU, GELU, and a table of any function.

XNNPACK (LOGISTIC, TANH, ELU) and the builtin kernel (GELU) fill a table of 256 codes with float32
arithmetic and one rounding. The exponentials and the like are those of the system's math library.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import float32_function
from tfq_lowbit.export.operators.elementwise import UnaryOperator
from tfq_lowbit.export.program import Constant, IndexTensor, Tensor
from tfq_lowbit.export.storage import INT8


@dataclass(eq=False)
class TableOperator(UnaryOperator):
    """`clip(rint(g(v) * (1 / s_out) + z_out))` with `v = (x - z_in) * s_in`, all in float32."""

    code = ""

    def compute(self, codes):
        """Return the output codes."""
        return look_up(self.table(), codes)

    def table(self):
        """Return the output code of each input code, float32 of shape (256,)."""
        source, output = self.source.grid, self.output.grid
        values = (INT8.all_codes - source.zero_point).astype(np.float32) * source.scale
        scaled = self._function(values) * (np.float32(1) / output.scale)
        return np.clip(self._round(scaled, output.zero_point), INT8.low, INT8.high)

    def options(self):
        """Return the schema's options."""
        return "", {}

    def _function(self, values):
        raise NotImplementedError

    def _round(self, scaled, zero_point):
        return np.rint(scaled + np.float32(zero_point))


@dataclass(eq=False)
class Logistic(TableOperator):
    """LOGISTIC: `g(v) = e^v / (1 + e^v)`, in float64, rounded to float32."""

    code = "LOGISTIC"

    def _function(self, values):
        power = np.exp(np.clip(values, -100, 100).astype(np.float64))
        return (power / (1.0 + power)).astype(np.float32)


@dataclass(eq=False)
class Tanh(TableOperator):
    """TANH."""

    code = "TANH"

    def _function(self, values):
        return float32_function("tanhf")(values)


@dataclass(eq=False)
class Elu(TableOperator):
    """ELU: `g(v) = v` above 0, `e^v - 1` below."""

    code = "ELU"

    def _function(self, values):
        below = float32_function("expm1f")(np.minimum(values, np.float32(0)))
        return np.where(values < 0, below, values)


@dataclass(eq=False)
class Gelu(TableOperator):
    """GELU: `v * P(x < v)` for a normal x, or its approximation by tanh.

    The builtin kernel rounds halves away from zero, before it adds the zero point.
    """

    approximate: bool = False

    code = "GELU"

    def options(self):
        """Return the schema's options."""
        return "GeluOptions", {"approximate": self.approximate}

    def _function(self, values):
        half = np.float32(0.5) * values
        if self.approximate:
            root = np.float32(2 / math.sqrt(math.pi) * math.sqrt(0.5))
            cubic = values + np.float32(0.044715) * values * values * values
            return half * (np.float32(1) + float32_function("tanhf")(root * cubic))
        return half * float32_function("erfcf")(values * np.float32(-math.sqrt(0.5)))

    def _round(self, scaled, zero_point):
        return np.trunc(scaled + np.copysign(0.5, scaled)) + zero_point


@dataclass(eq=False)
class IndexOperator:
    """A step from codes to places in a table, or from there to codes."""

    name: str
    source: Tensor | IndexTensor
    output: Any

    code = ""

    @property
    def inputs(self):
        """The input."""
        return [self.source]


@dataclass(eq=False)
class Cast(IndexOperator):
    """CAST of codes to int32."""

    source: Tensor

    code = "CAST"

    def compute(self, codes):
        """Return the same numbers."""
        return tf.identity(codes)

    def options(self):
        """Return the schema's options."""
        return "CastOptions", {"inDataType": self.source.grid.type, "outDataType": "INT32"}


@dataclass(eq=False)
class Offset(IndexOperator):
    """ADD of an int32 constant: the smallest code becomes index 0."""

    offset: int = -INT8.low

    code = "ADD"
    variant = "int32"

    @property
    def inputs(self):
        """The tensor, and what is added."""
        offset = np.array([self.offset], np.int32)
        return [self.source, Constant(f"{self.output.name}/offset", offset, "INT32")]

    def compute(self, numbers):
        """Return the sums."""
        return numbers + float(self.offset)

    def options(self):
        """Return the schema's options."""
        return "AddOptions", {"fusedActivationFunction": "NONE"}


@dataclass(eq=False)
class Gather(IndexOperator):
    """GATHER from a table of codes, by indices.

    Attributes:
        table: of shape (codes,), or (rows, channels), on the grid of the output.
    """

    table: np.ndarray

    code = "GATHER"

    @property
    def inputs(self):
        """The table, and the indices."""
        grid = self.output.grid
        scales = np.array([grid.scale], np.float32)
        name = f"{self.output.name}/table"
        return [Constant(name, self.table, grid.type, scales, grid.zero_point), self.source]

    def compute(self, indices):
        """Return the codes."""
        return tf.gather(tf.constant(self.table, tf.float32), tf.cast(indices, tf.int32))

    def options(self):
        """Return the schema's options."""
        return "GatherOptions", {"axis": 0}


def look_up(table, codes):
    """Return the entries of a table of 256 for int8 codes."""
    return tf.gather(tf.constant(table, tf.float32), tf.cast(codes, tf.int32) - INT8.low)
