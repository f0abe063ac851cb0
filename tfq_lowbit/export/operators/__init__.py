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
    Bound,
    Convert,
    Dequantize,
    Quantize,
    Requantize,
    Softmax,
)
from tfq_lowbit.export.operators.functions import (
    Cast,
    Elu,
    Gather,
    Gelu,
    Logistic,
    Offset,
    Tanh,
)
from tfq_lowbit.export.operators.island import Island
from tfq_lowbit.export.operators.kernels import (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    KernelOperator,
)
from tfq_lowbit.export.operators.lookup import EmbeddingLookup, FlattenRows
from tfq_lowbit.export.operators.matmul import BatchMatMul, Mask
from tfq_lowbit.export.operators.merging import Add, Maximum, Minimum, Multiply, Subtract
from tfq_lowbit.export.operators.pooling import AveragePool, MaxPool, Mean
from tfq_lowbit.export.operators.prelu import Prelu
from tfq_lowbit.export.operators.resizing import ResizeBilinear, ResizeNearest
from tfq_lowbit.export.operators.shape import Concatenation, Pad, Reshape, Slice, Transpose
from tfq_lowbit.export.operators.transforms import ToCodes, ToSigns
from tfq_lowbit.export.operators.transposed import TransposeConv

__all__ = [
    "Add",
    "AveragePool",
    "BatchMatMul",
    "Bconv2D",
    "Bdense",
    "BitKernelOperator",
    "BitpackCodes",
    "BitpackSigns",
    "Bmaxpool",
    "Bound",
    "Cast",
    "Concatenation",
    "Conv2D",
    "Convert",
    "DepthwiseConv2D",
    "Dequantize",
    "Elu",
    "EmbeddingLookup",
    "FlattenRows",
    "FlipSigns",
    "FullyConnected",
    "Gather",
    "Gelu",
    "Island",
    "KernelOperator",
    "Logistic",
    "Mask",
    "MaxPool",
    "Maximum",
    "Mean",
    "Minimum",
    "Multiply",
    "Offset",
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
    "Subtract",
    "Tanh",
    "ToCodes",
    "ToSigns",
    "Transpose",
    "TransposeConv",
]
