"""Quantizers: reals to integer codes and back, with the gradients of their papers."""

from tfq_lowbit.quantizers.affine import UniformAffine
from tfq_lowbit.quantizers.base import Encoded, Quantizer, check_num_bits
from tfq_lowbit.quantizers.dorefa import DoReFaActivations, DoReFaWeights
from tfq_lowbit.quantizers.lsq import LSQ
from tfq_lowbit.quantizers.lsq_plus import LSQPlus
from tfq_lowbit.quantizers.pact import PACT
from tfq_lowbit.quantizers.schemes import (
    ACTIVATION_SCHEMES,
    KERNEL_SCHEMES,
    activation_quantizer,
    kernel_quantizer,
)
from tfq_lowbit.quantizers.ternary import TWN

__all__ = [
    "ACTIVATION_SCHEMES",
    "KERNEL_SCHEMES",
    "LSQ",
    "PACT",
    "TWN",
    "DoReFaActivations",
    "DoReFaWeights",
    "Encoded",
    "LSQPlus",
    "Quantizer",
    "UniformAffine",
    "activation_quantizer",
    "check_num_bits",
    "kernel_quantizer",
]
