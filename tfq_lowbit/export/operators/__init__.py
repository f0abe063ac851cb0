"""The operators of a lowered graph: how each computes and how it is written."""

from tfq_lowbit.export.operators.elementwise import (
    Add,
    Bound,
    Dequantize,
    Quantize,
    Requantize,
    Softmax,
)
from tfq_lowbit.export.operators.kernels import (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    KernelOperator,
)
from tfq_lowbit.export.operators.pooling import AveragePool, MaxPool, Mean
from tfq_lowbit.export.operators.shape import Concatenation, Pad, Reshape, Slice

__all__ = [
    "Add",
    "AveragePool",
    "Bound",
    "Concatenation",
    "Conv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FullyConnected",
    "KernelOperator",
    "MaxPool",
    "Mean",
    "Pad",
    "Quantize",
    "Requantize",
    "Reshape",
    "Slice",
    "Softmax",
]
