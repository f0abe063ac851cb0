"""Quantizers: reals to integer codes and back, with the gradients of their papers."""

from tfq_lowbit.quantizers.ada_bin import AdaBin, AdaBinSign
from tfq_lowbit.quantizers.affine import UniformAffine
from tfq_lowbit.quantizers.approx_sign import ApproxSign
from tfq_lowbit.quantizers.base import MAX_BITS, WIDE_BITS, Encoded, Quantizer, check_num_bits
from tfq_lowbit.quantizers.binary import BinaryQuantizer, SignFunction
from tfq_lowbit.quantizers.blockwise import MAX_BLOCK_BITS, BlockwiseLSQ, check_block_size
from tfq_lowbit.quantizers.dorefa import DoReFaActivations, DoReFaWeights
from tfq_lowbit.quantizers.ir_net import IRNet, IRNetSign
from tfq_lowbit.quantizers.lsq import LSQ
from tfq_lowbit.quantizers.lsq_plus import LSQPlus
from tfq_lowbit.quantizers.pact import PACT
from tfq_lowbit.quantizers.r_sign import RSign
from tfq_lowbit.quantizers.schemes import (
    ACTIVATION_SCHEMES,
    BINARY_SCHEMES,
    BLOCK_SCHEMES,
    INPUT_SCHEMES,
    KERNEL_SCHEMES,
    activation_quantizer,
    binary_scheme,
    check_weight_bits,
    input_quantizer,
    kernel_quantizer,
)
from tfq_lowbit.quantizers.ste_sign import SteSign
from tfq_lowbit.quantizers.swish_sign import SwishSign
from tfq_lowbit.quantizers.ternary import TWN
from tfq_lowbit.quantizers.ttq import TTQ
from tfq_lowbit.quantizers.xnor import XNOR

__all__ = [
    "ACTIVATION_SCHEMES",
    "BINARY_SCHEMES",
    "BLOCK_SCHEMES",
    "INPUT_SCHEMES",
    "KERNEL_SCHEMES",
    "LSQ",
    "MAX_BITS",
    "MAX_BLOCK_BITS",
    "WIDE_BITS",
    "PACT",
    "TTQ",
    "TWN",
    "XNOR",
    "AdaBin",
    "AdaBinSign",
    "ApproxSign",
    "BinaryQuantizer",
    "BlockwiseLSQ",
    "DoReFaActivations",
    "DoReFaWeights",
    "Encoded",
    "IRNet",
    "IRNetSign",
    "LSQPlus",
    "Quantizer",
    "RSign",
    "SignFunction",
    "SteSign",
    "SwishSign",
    "UniformAffine",
    "activation_quantizer",
    "binary_scheme",
    "check_block_size",
    "check_num_bits",
    "check_weight_bits",
    "input_quantizer",
    "kernel_quantizer",
]
