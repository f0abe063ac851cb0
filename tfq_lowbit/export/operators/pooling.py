"""Pooling operators: MAX_POOL_2D, AVERAGE_POOL_2D, MEAN."""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import accumulator_type
from tfq_lowbit.export.operators.elementwise import UnaryOperator
from tfq_lowbit.export.program import Constant


@dataclass(eq=False)
class PoolOperator(UnaryOperator):
    """A pooling window; input and output share a grid."""

    window: tuple = (2, 2)
    strides: tuple = (2, 2)
    padding: str = "VALID"

    def options(self):
        """Return the schema's options."""
        return "Pool2DOptions", {
            "padding": self.padding,
            "strideH": self.strides[0],
            "strideW": self.strides[1],
            "filterHeight": self.window[0],
            "filterWidth": self.window[1],
            "fusedActivationFunction": "NONE",
        }


@dataclass(eq=False)
class MaxPool(PoolOperator):
    """MAX_POOL_2D on raw codes."""

    code = "MAX_POOL_2D"

    def compute(self, codes):
        """Return the largest codes."""
        return tf.nn.max_pool2d(codes, self.window, self.strides, self.padding)


@dataclass(eq=False)
class AveragePool(PoolOperator):
    """AVERAGE_POOL_2D on raw codes, rounded half away from zero, padding not counted."""

    code = "AVERAGE_POOL_2D"

    def compute(self, codes):
        """Return the averaged codes."""
        dtype = accumulator_type(-self.source.grid.storage.low * math.prod(self.window))
        codes = tf.cast(codes, dtype)
        average = tf.nn.avg_pool2d(codes, self.window, self.strides, self.padding)
        ones, window = tf.ones_like(codes[:1, :, :, :1]), tf.ones((*self.window, 1, 1), dtype)
        count = tf.nn.conv2d(ones, window, self.strides, self.padding)
        # The float average is within a rounding error of sum / count: the sum comes back exactly.
        total, count = tf.cast(tf.round(average * count), tf.int32), tf.cast(count, tf.int32)
        rounded = tf.sign(total) * ((tf.abs(total) + count // 2) // count)
        return tf.cast(rounded, tf.float32)


@dataclass(eq=False)
class Mean(UnaryOperator):
    """MEAN, over height and width, as `mean` in the arithmetic of its type."""

    keep_dims: bool = False
    axes: tuple = (1, 2)

    code = "MEAN"

    @property
    def inputs(self):
        """The tensor, and the axes."""
        axes = np.array(self.axes, np.int32)
        return [self.source, Constant(f"{self.output.name}/axes", axes, "INT32")]

    def compute(self, codes):
        """Return the codes of the mean."""
        source, output = self.source.grid, self.output.grid
        count = math.prod(codes.shape[axis] for axis in self.axes)
        dtype = accumulator_type(count * -source.storage.low)
        total = tf.reduce_sum(tf.cast(codes, dtype), axis=self.axes, keepdims=self.keep_dims)
        return output.arithmetic.mean(total, count, source, output)

    def options(self):
        """Return the schema's options."""
        return "ReducerOptions", {"keepDims": self.keep_dims}
