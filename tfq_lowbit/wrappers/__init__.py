"""Layers that train with quantized weights and activations."""

from tfq_lowbit.wrappers.accumulator import STANDALONE_CODE, bias_codes, round_bias
from tfq_lowbit.wrappers.average_pooling import QuantizedAveragePooling2D
from tfq_lowbit.wrappers.batch_normalization import FoldedBatchNormalization, batch_norm_affine
from tfq_lowbit.wrappers.binary_wrapper import BinaryWrapper, can_be_binary, use_packed_kernels
from tfq_lowbit.wrappers.channel_scale import ChannelScale
from tfq_lowbit.wrappers.conversion import WIDENING, Narrow, Widen
from tfq_lowbit.wrappers.dense_equation import DenseEquation, bias_reason, parse_equation
from tfq_lowbit.wrappers.families import (
    FAMILIES,
    TRANSPOSED,
    Family,
    channel_axes,
    channel_shape,
    find_family,
    require_family,
)
from tfq_lowbit.wrappers.float_island import FloatIsland
from tfq_lowbit.wrappers.fold_batch import FoldBatch
from tfq_lowbit.wrappers.gelu import gelu_tanh
from tfq_lowbit.wrappers.matmul import MASKED_SCORE, CausalMask, MatMul
from tfq_lowbit.wrappers.normalizing import AxisMean, InverseRoot
from tfq_lowbit.wrappers.quantize_activation import QuantizeActivation
from tfq_lowbit.wrappers.quantize_embedding import QuantizeEmbedding
from tfq_lowbit.wrappers.quantize_wrapper import QuantizeWrapper
from tfq_lowbit.wrappers.registered import RegisteredFunction, RegisteredIdentity
from tfq_lowbit.wrappers.resizing import QuantizedResizing, resize_codes
from tfq_lowbit.wrappers.rprelu import RPReLU
from tfq_lowbit.wrappers.schemes import LSQ, PACT, Binarize
from tfq_lowbit.wrappers.shell import Shell
from tfq_lowbit.wrappers.snap_to_grid import SnapToGrid
from tfq_lowbit.wrappers.static_slice import StaticSlice
from tfq_lowbit.wrappers.weight_tensor import WeightTensor

__all__ = [
    "FAMILIES",
    "LSQ",
    "MASKED_SCORE",
    "PACT",
    "STANDALONE_CODE",
    "TRANSPOSED",
    "RPReLU",
    "AxisMean",
    "BinaryWrapper",
    "Binarize",
    "CausalMask",
    "ChannelScale",
    "DenseEquation",
    "Family",
    "FloatIsland",
    "FoldBatch",
    "FoldedBatchNormalization",
    "InverseRoot",
    "MatMul",
    "Narrow",
    "WIDENING",
    "Widen",
    "QuantizeActivation",
    "QuantizeEmbedding",
    "QuantizeWrapper",
    "QuantizedAveragePooling2D",
    "QuantizedResizing",
    "RegisteredFunction",
    "RegisteredIdentity",
    "Shell",
    "SnapToGrid",
    "StaticSlice",
    "WeightTensor",
    "batch_norm_affine",
    "bias_reason",
    "bias_codes",
    "can_be_binary",
    "channel_axes",
    "channel_shape",
    "find_family",
    "gelu_tanh",
    "parse_equation",
    "require_family",
    "resize_codes",
    "round_bias",
    "use_packed_kernels",
]
