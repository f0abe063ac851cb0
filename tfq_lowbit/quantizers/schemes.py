"""The quantizers by the name that recipes and wrappers use: one row each."""

from typing import NamedTuple

from tfq_lowbit.quantizers.ada_bin import AdaBin, AdaBinSign
from tfq_lowbit.quantizers.affine import UniformAffine
from tfq_lowbit.quantizers.approx_sign import ApproxSign
from tfq_lowbit.quantizers.base import MAX_BITS, MIN_BITS, WIDE_BITS, check_num_bits
from tfq_lowbit.quantizers.blockwise import BlockwiseLSQ
from tfq_lowbit.quantizers.dorefa import DoReFaActivations, DoReFaWeights
from tfq_lowbit.quantizers.ir_net import IRNet, IRNetSign
from tfq_lowbit.quantizers.lsq import LSQ
from tfq_lowbit.quantizers.lsq_plus import LSQPlus
from tfq_lowbit.quantizers.pact import PACT
from tfq_lowbit.quantizers.r_sign import RSign
from tfq_lowbit.quantizers.ste_sign import SteSign
from tfq_lowbit.quantizers.swish_sign import SwishSign
from tfq_lowbit.quantizers.ternary import TWN
from tfq_lowbit.quantizers.ttq import TTQ
from tfq_lowbit.quantizers.xnor import XNOR


class Scheme(NamedTuple):
    """A quantizer in one of its two places.

    Attributes:
        quantizer: the class.
        init: the initialisation rule where none is asked for.
        per_channel: whether it can have a step size a channel.
        num_bits: the only width it has, None for any.
        options: further arguments of the class.
    """

    quantizer: type
    init: str
    per_channel: bool = False
    num_bits: int | None = None
    options: dict = {}


# LSQ starts from least squared error: the paper's rule is several times too coarse above 4 bits.
KERNEL_SCHEMES = {
    "lsq": Scheme(LSQ, "mse", per_channel=True),
    "affine": Scheme(UniformAffine, "min_max", per_channel=True),
    "dorefa": Scheme(DoReFaWeights, "min_max", options={"keep_scale": True}),
    "ternary": Scheme(TWN, "lsq", per_channel=True, num_bits=2),
    # Two scales would be the paper's, but have no integer form.
    "ttq": Scheme(TTQ, "lsq", per_channel=True, num_bits=2, options={"symmetric": True}),
    "ste_sign": Scheme(SteSign, "lsq", per_channel=True, num_bits=1),
    "xnor": Scheme(XNOR, "lsq", per_channel=True, num_bits=1),
    "magnitude_aware": Scheme(
        XNOR, "lsq", per_channel=True, num_bits=1, options={"has_fixed_scale": True}
    ),
    "ir_net": Scheme(IRNet, "lsq", per_channel=True, num_bits=1),
    "ada_bin": Scheme(AdaBin, "lsq", per_channel=True, num_bits=1),
}

# With a step size for every block of inputs, by the name of the scheme with one for each channel.
BLOCK_SCHEMES = {"lsq": Scheme(BlockwiseLSQ, "mse", per_channel=True)}

ACTIVATION_SCHEMES = {
    "lsq": Scheme(LSQ, "mse", options={"is_activation": True}),
    "lsq_plus": Scheme(LSQPlus, "mse"),
    "affine": Scheme(UniformAffine, "min_max"),
    # The full signed range: a narrow one would cost the integer runtime a bound of its own.
    "pact": Scheme(PACT, "percentile", options={"narrow_range": False}),
    "dorefa": Scheme(
        DoReFaActivations, "percentile", options={"narrow_range": False, "clip_value": None}
    ),
}


# What binarizes the input of a binary layer.
INPUT_SCHEMES = {
    "ste_sign": SteSign,
    "approx_sign": ApproxSign,
    "swish_sign": SwishSign,
    "ir_net": IRNetSign,
    "r_sign": RSign,
    "ada_bin": AdaBinSign,
}


class BinaryScheme(NamedTuple):
    """The quantizers of a binary layer.

    Attributes:
        weight_quantizer: a name in `KERNEL_SCHEMES`.
        input_quantizer: a name in `INPUT_SCHEMES`.
    """

    weight_quantizer: str
    input_quantizer: str


# The papers, by name.
BINARY_SCHEMES = {
    "ste_sign": BinaryScheme("ste_sign", "ste_sign"),
    "xnor": BinaryScheme("xnor", "ste_sign"),
    "bi_real": BinaryScheme("magnitude_aware", "approx_sign"),
    "ir_net": BinaryScheme("ir_net", "ir_net"),
    "ada_bin": BinaryScheme("ada_bin", "ada_bin"),
    "react_net": BinaryScheme("magnitude_aware", "r_sign"),
}


def kernel_quantizer(scheme, num_bits, axis=None, init=None, block_size=None):
    """Build the weight quantizer of a scheme.

    Args:
        scheme: a name in `KERNEL_SCHEMES`.
        num_bits: width, 2 to 8, or 1 for binary schemes. A scheme of one width (binary, ternary)
            takes LSQ at others, so that a first and last layer at eight bits stay possible.
        axis: the channel axis, None for one step size a tensor.
        init: initialisation rule, None for the scheme's own.
        block_size: number of inputs that share a step size, None for all of a channel.

    Returns:
        A `Quantizer` with narrow range.

    Raises:
        ValueError: for an unknown scheme or a width out of range.
    """
    row = _row(KERNEL_SCHEMES, scheme, "weight_quantizer")
    num_bits = check_weight_bits(num_bits, scheme)
    if row.num_bits is not None and num_bits != row.num_bits:
        row = KERNEL_SCHEMES["lsq"]
    options = row.options
    if block_size is not None:
        row = _row(BLOCK_SCHEMES, scheme, "weight_quantizer")
        options = {**row.options, "block_size": block_size}
    return row.quantizer(
        num_bits=num_bits,
        narrow_range=True,
        axis=axis if row.per_channel else None,
        init=init or row.init,
        **options,
    )


def activation_quantizer(scheme, num_bits, signed=None, init=None, is_skewed=False):
    """Build the activation quantizer of a scheme.

    Args:
        scheme: a name in `ACTIVATION_SCHEMES`.
        num_bits: width, 2 to 8, or 16: with a sign and no offset, as int16 tensors are.
        signed: True, False, or None to decide from the first data.
        init: initialisation rule, None for the scheme's own.
        is_skewed: whether the values lie on both sides of 0 to a different extent (SiLU, GELU):
            "lsq" then becomes "lsq_plus" and "affine" asymmetric, which spend no codes on values
            that never occur.

    Returns:
        A `Quantizer` with one step size for the tensor.

    Raises:
        ValueError: for an unknown scheme or a width out of range.
    """
    row = _row(ACTIVATION_SCHEMES, scheme, "activation_quantizer")
    num_bits = check_num_bits(num_bits, "activation_bits", wide=True)
    if num_bits == WIDE_BITS:
        signed, is_skewed = True, False
        row = ACTIVATION_SCHEMES["lsq"] if row.quantizer is LSQPlus else row
    if is_skewed and scheme == "lsq":
        row = ACTIVATION_SCHEMES["lsq_plus"]
    options = dict(row.options)
    if is_skewed and scheme == "affine":
        options["asymmetric"] = True
    if row.quantizer is not LSQPlus:
        options["signed"] = signed
    return row.quantizer(num_bits=num_bits, init=init or row.init, **options)


def input_quantizer(scheme):
    """Build what binarizes the input of a binary layer.

    Args:
        scheme: a name in `INPUT_SCHEMES`.

    Returns:
        A `SignFunction`.

    Raises:
        ValueError: for an unknown scheme.
    """
    return _row(INPUT_SCHEMES, scheme, "input_quantizer")()


def binary_scheme(name):
    """Return the quantizers of a binary layer by the name of their paper.

    Args:
        name: a name in `BINARY_SCHEMES`.

    Raises:
        ValueError: for an unknown name.
    """
    return _row(BINARY_SCHEMES, name, "scheme")


def check_weight_bits(num_bits, scheme):
    """Return `num_bits` if a kernel can have it: 2 to 8, and 1 under a binary scheme.

    Args:
        num_bits: the width.
        scheme: a name in `KERNEL_SCHEMES`.

    Raises:
        ValueError: if not.
    """
    if KERNEL_SCHEMES[scheme].num_bits == 1:
        return check_num_bits(num_bits, "weight_bits", (1, MAX_BITS))
    if num_bits == 1 and not isinstance(num_bits, bool):
        binary = [name for name, row in KERNEL_SCHEMES.items() if row.num_bits == 1]
        raise ValueError(
            f"Argument `weight_bits` must be an integer from {MIN_BITS} to {MAX_BITS} for the "
            f"weight quantizer {scheme!r}; those of one bit are {', '.join(binary)}. Received: "
            f"weight_bits={num_bits!r}"
        )
    return check_num_bits(num_bits, "weight_bits")


def _row(table, scheme, argument):
    if scheme not in table:
        raise ValueError(
            f"Argument `{argument}` must be one of {sorted(table)}. Received: {argument}={scheme!r}"
        )
    return table[scheme]
