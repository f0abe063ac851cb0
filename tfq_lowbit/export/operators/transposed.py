"""The transposed convolution: TRANSPOSE_CONV."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfq_lowbit.export.operators.kernels import KernelOperator
from tfq_lowbit.export.program import Constant


@dataclass(eq=False)
class TransposeConv(KernelOperator):
    """TRANSPOSE_CONV; the filter has the shape (outputs, height, width, inputs).

    The kernel reaches at least as far as the stride: the runtime delegates no other, and its own
    kernel rounds twice. The shape that the file gives has a batch of one; delegated, the operator
    takes its batch from the input.
    """

    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: str = "VALID"

    code = "TRANSPOSE_CONV"

    @property
    def inputs(self):
        """Shape of the output, filter, input, bias."""
        sizes = np.array([1, *self.output.shape[1:]], np.int32)
        shape = Constant(f"{self.output.name}/shape", sizes, "INT32")
        return [shape, self.filter, self.source, self.bias]

    @property
    def variant(self):
        """What decides the version."""
        return "" if self.activation == "NONE" else "activation"

    def options(self):
        """Return the schema's options."""
        return "TransposeConvOptions", {
            "padding": self.padding,
            "strideH": self.strides[0],
            "strideW": self.strides[1],
            "fusedActivationFunction": self.activation,
        }

    def _accumulate(self, centered, dtype):
        shape = (tf.shape(centered)[0], *self.output.shape[1:])
        kernel = tf.constant(self.filter.values.transpose(1, 2, 0, 3), dtype)
        return tf.nn.conv2d_transpose(centered, kernel, shape, self.strides, self.padding)
