"""Operators that resize images: RESIZE_NEAREST_NEIGHBOR, RESIZE_BILINEAR."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.operators.elementwise import UnaryOperator
from tfq_lowbit.export.program import Constant
from tfq_lowbit.wrappers import resize_codes


@dataclass(eq=False)
class ResizeOperator(UnaryOperator):
    """A change of height and width, pixel centers at halves; input and output share a grid."""

    code = ""

    @property
    def inputs(self):
        """The tensor, and height and width."""
        size = np.array(self.output.shape[1:3], np.int32)
        return [self.source, Constant(f"{self.output.name}/size", size, "INT32")]

    def options(self):
        """Return the schema's options."""
        name = {"RESIZE_BILINEAR": "ResizeBilinear"}.get(self.code, "ResizeNearestNeighbor")
        return f"{name}Options", {"alignCorners": False, "halfPixelCenters": True}


@dataclass(eq=False)
class ResizeNearest(ResizeOperator):
    """RESIZE_NEAREST_NEIGHBOR: `floor(float32((k + 0.5) * (in / out)))`, raw codes."""

    code = "RESIZE_NEAREST_NEIGHBOR"

    def compute(self, codes):
        """Return the nearest codes."""
        for axis in (1, 2):
            count, size = self.source.shape[axis], self.output.shape[axis]
            scale = np.float32(count) / np.float32(size)
            places = np.floor((np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale)
            index = np.minimum(places, count - 1).astype(np.int32)
            codes = tf.gather(codes, index, axis=axis)
        return codes


@dataclass(eq=False)
class ResizeBilinear(ResizeOperator):
    """RESIZE_BILINEAR: weights of 11 bits, rounded once, ties up."""

    code = "RESIZE_BILINEAR"

    def compute(self, codes):
        """Return the mixed codes."""
        return tf.cast(resize_codes(codes, self.output.shape[1:3]), tf.float32)
