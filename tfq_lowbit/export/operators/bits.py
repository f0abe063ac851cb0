"""Operators that make, flip and pool packed bits: TfqBitpack, BITWISE_XOR, TfqBmaxpool."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.program import CUSTOM_OPTIONS, Constant, PackedTensor
from tfq_lowbit.ops import plain
from tfq_lowbit.packing import pack_signs

PADDING_CODES = {"VALID": 0, "SAME_ONE": 1, "SAME_ZERO": 2, "SAME": 1}


@dataclass(eq=False)
class PackingOperator:
    """An operator with one input whose output is packed.

    Attributes:
        name: path of the layer.
        source: an int8 tensor or a packed one.
        output: the packed tensor.
    """

    name: str
    source: Any
    output: PackedTensor

    @property
    def inputs(self):
        """The input."""
        return [self.source]


@dataclass(eq=False)
class BitpackSigns(PackingOperator):
    """TfqBitpack of int8 codes to signs: -1 where a code is below its threshold.

    Attributes:
        thresholds: int32 of shape (1,) or (channels,).
    """

    thresholds: np.ndarray

    code = "TfqBitpack"

    @property
    def inputs(self):
        """The tensor, and the thresholds."""
        return [self.source, Constant(f"{self.output.name}/thresholds", self.thresholds, "INT32")]

    def compute(self, codes):
        """Return the signs."""
        return plain.signs(codes, self.thresholds)

    def options(self):
        """Return the custom options."""
        return CUSTOM_OPTIONS, {"planes": 1, "lowest": 0}


@dataclass(eq=False)
class BitpackCodes(PackingOperator):
    """TfqBitpack of int8 codes to the bit planes of `code - lowest`.

    A single plane is made by a threshold: its bit is set where the code is the lowest.
    """

    code = "TfqBitpack"

    @property
    def inputs(self):
        """The tensor, and the threshold of a single plane."""
        if self.output.num_planes > 1:
            return [self.source]
        threshold = np.array([self.source.grid.low + 1], np.int32)
        return [self.source, Constant(f"{self.output.name}/threshold", threshold, "INT32")]

    def compute(self, codes):
        """Return the unsigned codes."""
        return plain.codes(codes, self.output.num_planes, self.source.grid.low)

    def options(self):
        """Return the custom options."""
        return CUSTOM_OPTIONS, {"planes": self.output.num_planes, "lowest": self.source.grid.low}


@dataclass(eq=False)
class FlipSigns(PackingOperator):
    """BITWISE_XOR of packed signs with a constant: other signs for some channels.

    Attributes:
        flips: bool of shape (channels,).
    """

    flips: np.ndarray

    code = "BITWISE_XOR"

    @property
    def inputs(self):
        """The tensor, and the words of the flips."""
        words = pack_signs(self._signs())
        return [self.source, Constant(f"{self.output.name}/flips", words, "INT32")]

    def compute(self, values):
        """Return the values with signs flipped."""
        return values * self._signs()

    def options(self):
        """Return that there are none."""
        return "", {}

    def _signs(self):
        return np.where(self.flips, -1, 1).astype(np.float32)


@dataclass(eq=False)
class Bmaxpool(PackingOperator):
    """TfqBmaxpool: maximum of signs; padding never wins."""

    window: tuple = (2, 2)
    strides: tuple = (2, 2)
    padding: str = "VALID"

    code = "TfqBmaxpool"

    def compute(self, values):
        """Return the largest values."""
        return plain.max_pool(values, self.window, self.strides, self.padding)

    def options(self):
        """Return the custom options."""
        return CUSTOM_OPTIONS, {
            "kernel_height": self.window[0],
            "kernel_width": self.window[1],
            "stride_height": self.strides[0],
            "stride_width": self.strides[1],
            "padding": PADDING_CODES[self.padding],
        }


@dataclass(eq=False)
class ReshapeWords(PackingOperator):
    """RESHAPE of packed values whose words stay whole."""

    code = "RESHAPE"

    @property
    def inputs(self):
        """The tensor, and the shape of its words."""
        shape = np.array([-1, *self.output.words_shape[1:]], np.int32)
        return [self.source, Constant(f"{self.output.name}/shape", shape, "INT32")]

    def compute(self, values):
        """Return the same values."""
        return tf.reshape(values, (-1, *self.output.shape[1:]))

    def options(self):
        """Return the schema's options."""
        return "ReshapeOptions", {"newShape": [-1, *self.output.words_shape[1:]]}
