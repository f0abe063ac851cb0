"""Operators with weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.arithmetic import accumulator_type, fused_bounds
from tfq_lowbit.export.program import Constant, Tensor


@dataclass(eq=False)
class KernelOperator:
    """What the three share: `clip(requantize(sum((x - z_in) * w) + bias))`.

    Attributes:
        name: path of the layer.
        source: the input.
        filter: codes, zero point 0, one scale a channel.
        bias: int32, int64 at an int16 input, one a channel.
        output: the output, of the input's type.
        activation: fused activation, "NONE", "RELU" or "RELU6".
    """

    name: str
    source: Tensor
    filter: Constant
    bias: Constant
    output: Tensor
    activation: str = "NONE"

    code = ""

    @property
    def inputs(self):
        """Input, filter, bias."""
        return [self.source, self.filter, self.bias]

    def compute(self, codes):
        """Return the output codes."""
        source, output = self.source.grid, self.output.grid
        dtype = accumulator_type(self._bound())
        total = self._accumulate(tf.cast(codes - source.zero_point, dtype), dtype)
        total += tf.constant(self.bias.values, dtype)
        bounds, is_dense = fused_bounds(self.activation, output), self.code == "FULLY_CONNECTED"
        scales = self.filter.scales
        return output.arithmetic.scale_sums(total, source.scale, scales, output, bounds, is_dense)

    def _accumulate(self, centered, dtype):
        raise NotImplementedError

    def _bound(self):
        """Return a bound on the magnitude of all partial sums."""
        grid = self.source.grid
        ends = grid.storage.low, grid.storage.high
        widest = max(abs(end - grid.zero_point) for end in ends)
        axes = tuple(axis for axis in range(self.filter.values.ndim) if axis != self.filter.axis)
        sums = np.abs(self.filter.values.astype(np.int64)).sum(axis=axes)
        return int((sums * widest + np.abs(self.bias.values.astype(np.int64))).max())


@dataclass(eq=False)
class Conv2D(KernelOperator):
    """CONV_2D; the filter has the shape (outputs, height, width, inputs / groups)."""

    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: str = "VALID"

    code = "CONV_2D"

    @property
    def groups(self):
        """Number of groups."""
        return self.source.shape[-1] // self.filter.values.shape[3]

    @property
    def variant(self):
        """What decides the version."""
        return "" if self.groups == 1 else "grouped"

    def options(self):
        """Return the schema's options."""
        return "Conv2DOptions", {
            "padding": self.padding,
            "strideH": self.strides[0],
            "strideW": self.strides[1],
            "dilationHFactor": self.dilation[0],
            "dilationWFactor": self.dilation[1],
            "fusedActivationFunction": self.activation,
        }

    def _accumulate(self, centered, dtype):
        kernel = tf.constant(self.filter.values.transpose(1, 2, 3, 0), dtype)

        def convolve(inputs, kernel):
            return tf.nn.conv2d(inputs, kernel, self.strides, self.padding, dilations=self.dilation)

        if self.groups == 1:
            return convolve(centered, kernel)
        parts = zip(
            tf.split(centered, self.groups, axis=3),
            tf.split(kernel, self.groups, axis=3),
            strict=True,
        )
        return tf.concat([convolve(*part) for part in parts], axis=3)


@dataclass(eq=False)
class DepthwiseConv2D(KernelOperator):
    """DEPTHWISE_CONV_2D; the filter has the shape (1, height, width, outputs)."""

    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: str = "VALID"

    code = "DEPTHWISE_CONV_2D"

    def options(self):
        """Return the schema's options."""
        return "DepthwiseConv2DOptions", {
            "padding": self.padding,
            "strideH": self.strides[0],
            "strideW": self.strides[1],
            "dilationHFactor": self.dilation[0],
            "dilationWFactor": self.dilation[1],
            "depthMultiplier": self.filter.values.shape[3] // self.source.shape[-1],
            "fusedActivationFunction": self.activation,
        }

    def _accumulate(self, centered, dtype):
        _, height, width, outputs = self.filter.values.shape
        channels = self.source.shape[-1]
        kernel = self.filter.values.reshape(height, width, channels, outputs // channels)
        return tf.nn.depthwise_conv2d(
            centered,
            tf.constant(kernel, dtype),
            (1, *self.strides, 1),
            self.padding,
            dilations=self.dilation,
        )


@dataclass(eq=False)
class FullyConnected(KernelOperator):
    """FULLY_CONNECTED; the filter has the shape (outputs, inputs)."""

    code = "FULLY_CONNECTED"

    @property
    def variant(self):
        """What decides the version."""
        is_single = self.filter.scales.size == 1 < self.filter.values.shape[0]
        parts = ["one scale"] if is_single else []
        return ", ".join(parts + ["keep_num_dims"] * self._keeps_dims)

    def options(self):
        """Return the schema's options."""
        return "FullyConnectedOptions", {
            "fusedActivationFunction": self.activation,
            "keepNumDims": self._keeps_dims,
        }

    @property
    def _keeps_dims(self):
        return len(self.output.shape) > 2

    def _accumulate(self, centered, dtype):
        return tf.tensordot(centered, tf.constant(self.filter.values.T, dtype), axes=1)
