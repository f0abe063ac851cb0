"""The operators of a lowered graph: how each computes and how it is written."""

from tfq_lowbit.export.operators.bit_kernels import Bconv2D, Bdense, BitKernelOperator
from tfq_lowbit.export.operators.bits import (
    BitpackCodes,
    BitpackSigns,
    Bmaxpool,
    FlipSigns,
    ReshapeWords,
)
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
from tfq_lowbit.export.operators.prelu import Prelu
from tfq_lowbit.export.operators.resizing import ResizeBilinear, ResizeNearest
from tfq_lowbit.export.operators.shape import Concatenation, Pad, Reshape, Slice, Transpose
from tfq_lowbit.export.operators.transforms import ToCodes, ToSigns
from tfq_lowbit.export.operators.transposed import TransposeConv

__all__ = [
    "Add",
    "AveragePool",
    "Bconv2D",
    "Bdense",
    "BitKernelOperator",
    "BitpackCodes",
    "BitpackSigns",
    "Bmaxpool",
    "Bound",
    "Concatenation",
    "Conv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FlipSigns",
    "FullyConnected",
    "KernelOperator",
    "MaxPool",
    "Mean",
    "Pad",
    "Prelu",
    "Quantize",
    "Requantize",
    "Reshape",
    "ReshapeWords",
    "ResizeBilinear",
    "ResizeNearest",
    "Slice",
    "Softmax",
    "ToCodes",
    "ToSigns",
    "Transpose",
    "TransposeConv",
]
