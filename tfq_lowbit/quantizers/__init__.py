"""Quantizers: reals to integer codes and back, with the gradients of their papers."""

from tfq_lowbit.quantizers.affine import UniformAffine
from tfq_lowbit.quantizers.approx_sign import ApproxSign
from tfq_lowbit.quantizers.base import Encoded, Quantizer, check_num_bits
from tfq_lowbit.quantizers.binary import BinaryQuantizer, SignFunction
from tfq_lowbit.quantizers.dorefa import DoReFaActivations, DoReFaWeights
from tfq_lowbit.quantizers.lsq import LSQ
from tfq_lowbit.quantizers.lsq_plus import LSQPlus
from tfq_lowbit.quantizers.pact import PACT
from tfq_lowbit.quantizers.r_sign import RSign
from tfq_lowbit.quantizers.schemes import (
    ACTIVATION_SCHEMES,
    BINARY_SCHEMES,
    INPUT_SCHEMES,
    KERNEL_SCHEMES,
    activation_quantizer,
    binary_scheme,
    input_quantizer,
    kernel_quantizer,
    kernel_widths,
)
from tfq_lowbit.quantizers.ste_sign import SteSign
from tfq_lowbit.quantizers.ternary import TWN
from tfq_lowbit.quantizers.xnor import XNOR

__all__ = [
    "ACTIVATION_SCHEMES",
    "BINARY_SCHEMES",
    "INPUT_SCHEMES",
    "KERNEL_SCHEMES",
    "LSQ",
    "PACT",
    "TWN",
    "XNOR",
    "ApproxSign",
    "BinaryQuantizer",
    "DoReFaActivations",
    "DoReFaWeights",
    "Encoded",
    "LSQPlus",
    "Quantizer",
    "RSign",
    "SignFunction",
    "SteSign",
    "UniformAffine",
    "activation_quantizer",
    "binary_scheme",
    "check_num_bits",
    "input_quantizer",
    "kernel_quantizer",
    "kernel_widths",
]
