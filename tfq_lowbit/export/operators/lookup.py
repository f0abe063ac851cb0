"""Rows of a packed table, in reals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.program import Constant, FloatTensor


@dataclass(eq=False)
class EmbeddingLookup:
    """EMBEDDING_LOOKUP: `codes[row] * scale[row]`, one product in float32.

    No kernel moves rows of packed codes into int8: the reals go through a QUANTIZE, which rounds
    them to the grid of the output as Keras does. Codes on that very grid come back unchanged: a
    few roundings in float32 move a code of four bits by less than 2^-18 of a step.

    Attributes:
        name: path of the layer.
        source: int32 vector of rows.
        output: float32, of shape (rows, channels).
        filter: the table, with one scale or one a row.
        num_bits: width that it was trained at.
    """

    name: str
    source: Any
    output: FloatTensor
    filter: Constant
    num_bits: int

    code = "EMBEDDING_LOOKUP"

    @property
    def inputs(self):
        """The rows, and the table."""
        return [self.source, self.filter]

    def compute(self, rows):
        """Return the reals."""
        scales = np.reshape(self.filter.scales, (-1, 1)).astype(np.float32)
        table = self.filter.values.astype(np.float32) * scales
        return tf.gather(tf.constant(table), tf.cast(rows, tf.int32))

    def options(self):
        """Return the schema's options."""
        return "", {}


@dataclass(eq=False)
class FlattenRows:
    """RESHAPE of int32 indices to a vector."""

    name: str
    source: Any
    output: Any

    code = "RESHAPE"

    @property
    def inputs(self):
        """The indices, and the shape."""
        shape = np.array([-1], np.int32)
        return [self.source, Constant(f"{self.output.name}/shape", shape, "INT32")]

    def compute(self, rows):
        """Return the same numbers."""
        return tf.reshape(rows, (-1,))

    def options(self):
        """Return the schema's options."""
        return "ReshapeOptions", {"newShape": [-1]}
