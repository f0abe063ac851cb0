"""Operators that move codes: RESHAPE, PAD, SLICE, TRANSPOSE, CONCATENATION."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.operators.elementwise import UnaryOperator
from tfq_lowbit.export.program import Constant, Tensor


@dataclass(eq=False)
class Reshape(UnaryOperator):
    """RESHAPE to the output's shape, the batch left free.

    The runtime copies raw codes, so that input and output may differ in grid: that is how a
    tensor changes its unit (see `Rescaling` in the lowering) without arithmetic.
    """

    code = "RESHAPE"

    @property
    def inputs(self):
        """The tensor, and the shape."""
        shape = np.array([-1, *self.output.shape[1:]], np.int32)
        return [self.source, Constant(f"{self.output.name}/shape", shape, "INT32")]

    def compute(self, codes):
        """Return the same codes."""
        return tf.reshape(codes, (-1, *self.output.shape[1:]))

    def options(self):
        """Return the schema's options."""
        return "ReshapeOptions", {"newShape": [-1, *self.output.shape[1:]]}


@dataclass(eq=False)
class Pad(UnaryOperator):
    """PAD of height and width, or of the steps of a sequence, with the zero point."""

    paddings: tuple = ((0, 0), (0, 0))

    code = "PAD"

    @property
    def inputs(self):
        """The tensor, and the paddings."""
        paddings = np.array(((0, 0), *self.paddings, (0, 0)), np.int32)
        return [self.source, Constant(f"{self.output.name}/paddings", paddings, "INT32")]

    def compute(self, codes):
        """Return the padded codes."""
        paddings = ((0, 0), *self.paddings, (0, 0))
        return tf.pad(codes, paddings, constant_values=float(self.source.grid.zero_point))

    def options(self):
        """Return the schema's options."""
        return "PadOptions", {}


@dataclass(eq=False)
class Slice(UnaryOperator):
    """SLICE, or STRIDED_SLICE: of each axis but the batch every `stride`-th code from `begin` on.

    Attributes:
        begin: the first indices.
        strides: the steps.
    """

    begin: tuple = (0, 0, 0)
    strides: tuple = (1, 1, 1)

    @property
    def code(self):
        """The plain operator where it will do: it is the one that is delegated."""
        return "SLICE" if set(self.strides) == {1} else "STRIDED_SLICE"

    @property
    def inputs(self):
        """The tensor, and where to cut."""
        begin = [0, *self.begin]
        if self.code == "SLICE":
            parts = {"begin": begin, "size": [-1, *self.output.shape[1:]]}
        else:
            end = [0, *(window.stop for window in self._windows())]
            parts = {"begin": begin, "end": end, "strides": [1, *self.strides]}
        return [
            self.source,
            *(
                Constant(f"{self.output.name}/{name}", np.array(values, np.int32), "INT32")
                for name, values in parts.items()
            ),
        ]

    def compute(self, codes):
        """Return the codes of the window."""
        return codes[(slice(None), *self._windows())]

    def options(self):
        """Return the schema's options."""
        if self.code == "SLICE":
            return "SliceOptions", {}
        return "StridedSliceOptions", {"endMask": 1}  # the batch is not cut

    def _windows(self):
        axes = zip(self.begin, self.output.shape[1:], self.strides, strict=True)
        return [slice(first, first + (size - 1) * step + 1, step) for first, size, step in axes]


@dataclass(eq=False)
class Transpose(UnaryOperator):
    """TRANSPOSE; `axes` names, for each axis of the output, that of the input."""

    axes: tuple = (0, 1, 2, 3)

    code = "TRANSPOSE"

    @property
    def inputs(self):
        """The tensor, and the axes."""
        axes = np.array(self.axes, np.int32)
        return [self.source, Constant(f"{self.output.name}/axes", axes, "INT32")]

    def compute(self, codes):
        """Return the transposed codes."""
        return tf.transpose(codes, self.axes)

    def options(self):
        """Return the schema's options."""
        return "TransposeOptions", {}


@dataclass(eq=False)
class Concatenation:
    """CONCATENATION of tensors on one grid."""

    name: str
    sources: list[Tensor]
    output: Tensor
    axis: int = -1

    code = "CONCATENATION"

    @property
    def inputs(self):
        """The parts."""
        return self.sources

    def compute(self, *codes):
        """Return the joined codes."""
        return tf.concat(codes, axis=self.axis)

    def options(self):
        """Return the schema's options."""
        return "ConcatenationOptions", {"axis": self.axis, "fusedActivationFunction": "NONE"}
