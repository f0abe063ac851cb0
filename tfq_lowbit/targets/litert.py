"""What LiteRT with its default resolver takes: containers of weights, versions of operators."""

import sys
from typing import NamedTuple

# The codes that each stored type holds, narrowest first.
CODE_RANGES = {"INT2": (-2, 1), "INT4": (-8, 7), "INT8": (-128, 127)}
BITS = {"INT2": 2, "INT4": 4, "INT8": 8, "UINT8": 8}

# The stored types of each operator's weights. CONV_2D and DEPTHWISE_CONV_2D would take INT4 too,
# but only in the builtin kernels, which unpack the filter on every call (several times slower) and
# round twice. A convolution with narrower codes is written as windows and FULLY_CONNECTED instead.
CONTAINERS = {
    "CONV_2D": ("INT8",),
    "DEPTHWISE_CONV_2D": ("INT8",),
    "EMBEDDING_LOOKUP": ("INT2", "INT4", "INT8"),
    "FULLY_CONNECTED": ("INT2", "INT4", "INT8"),
    "TRANSPOSE_CONV": ("INT8",),
}
# Of those, the ones that every target has.
KERNELS = tuple(name for name in CONTAINERS if name != "EMBEDDING_LOOKUP")
# Those that run as fast as INT8 or faster.
FAST_CONTAINERS = {
    "CONV_2D": ("INT8",),
    "DEPTHWISE_CONV_2D": ("INT8",),
    "EMBEDDING_LOOKUP": ("INT8",),
    "FULLY_CONNECTED": ("INT4", "INT8"),
    "TRANSPOSE_CONV": ("INT8",),
}
# Types of an operator's weights that come with one scale for all channels only.
SINGLE_SCALE: frozenset = frozenset()
# Operators whose filters verification unpacks, because LiteRT's own kernels round them twice.
UNPACKED_TO_VERIFY: frozenset = frozenset()
# Types of inputs and outputs, the default first.
IO_TYPES = ("float32", "int8", "int16")
# Whether the number of images is fixed to one, in place of left free.
HAS_FIXED_BATCH = False
# Whether FULLY_CONNECTED makes one vector only, and a 1x1 convolution has to make several.
DENSE_IS_ONE_VECTOR = False
# Whether it computes with int16 activations.
TAKES_INT16 = True
# Whether it loads custom operators from a library.
TAKES_CUSTOM_OPERATORS = True

# XNNPACK's packed fully connected kernels need whole bytes in each row of the filter; lookups read
# wrong codes of a table whose rows are others.
ROWS_OF_BYTES = ("FULLY_CONNECTED", "EMBEDDING_LOOKUP")
DEPTH_MULTIPLES = {"INT2": 4, "INT4": 2, "INT8": 1}

# The builtin kernel for weights in blocks makes zeros of fewer channels.
MIN_BLOCK_CHANNELS = 4

# Sums of this magnitude overflow. XNNPACK keeps int4 codes in the upper half of a byte, so that its
# int32 accumulators are 16 times too large until the end.
ACCUMULATOR_LIMITS = {"INT2": 2**31, "INT4": 2**27, "INT8": 2**31}

# XNNPACK refuses a larger requantization multiplier, and a sum whose inputs differ more in scale.
MAX_MULTIPLIER = 256.0
ADD_RATIOS = (2.0**-10, 2.0**8)
MUL_RATIOS = (2.0**-16, 2.0**8)
# Of a product with the constant 1 or -1 as a code.
RESCALE_RATIOS = MUL_RATIOS


class Version(NamedTuple):
    """Version of an operator and the first runtime that runs it right.

    Runtimes are TensorFlow releases, of which the first after 2.20 is LiteRT 2.1 (2.1.4 for INT2).
    They are later than the stock tables say where the kernel came later, was wrong before, or
    rounded twice: measured with TensorFlow 2.12 to 2.21, tflite-runtime 2.7 to 2.14 and LiteRT 1.0
    to 2.3 on x86_64. Fully connected with one scale a channel is silently wrong up to 2.9 in int8;
    in int4 it is refused up to 2.18 and a step off in 2.19.
    """

    version: int
    runtime: str


# By operator, stored type of its weights, and variant.
VERSIONS = {
    ("ADD", "", ""): Version(2, "1.14.0"),
    ("ADD", "", "int32"): Version(1, "1.5.0"),
    ("AVERAGE_POOL_2D", "", ""): Version(2, "1.14.0"),
    # Of two tensors: delegated where the second has its zero at 0.
    ("BATCH_MATMUL", "", ""): Version(2, "2.21.0"),
    ("BITWISE_XOR", "", ""): Version(1, "2.14.0"),
    ("CAST", "", ""): Version(1, "2.3.0"),
    ("CONCATENATION", "", ""): Version(2, "1.14.0"),
    ("CONV_2D", "INT8", ""): Version(3, "1.14.0"),
    ("CONV_2D", "INT8", "grouped"): Version(6, "2.12.0"),  # not delegated before
    ("CONV_2D", "INT4", ""): Version(7, "2.11.0"),
    ("CONV_2D", "INT4", "grouped"): Version(7, "2.11.0"),
    ("DEPTHWISE_CONV_2D", "INT8", ""): Version(3, "1.14.0"),
    ("DEPTHWISE_CONV_2D", "INT4", ""): Version(7, "2.11.0"),
    ("DEQUANTIZE", "", ""): Version(2, "1.14.0"),
    ("ELU", "", ""): Version(1, "2.3.0"),
    ("EMBEDDING_LOOKUP", "INT8", ""): Version(4, "2.18.0"),
    ("EMBEDDING_LOOKUP", "INT4", ""): Version(4, "2.18.0"),
    ("EMBEDDING_LOOKUP", "INT2", ""): Version(5, "2.21.0"),
    ("FULLY_CONNECTED", "INT8", ""): Version(4, "2.10.0"),
    ("FULLY_CONNECTED", "INT8", "keep_num_dims"): Version(5, "2.10.0"),
    ("FULLY_CONNECTED", "INT8", "one scale"): Version(4, "1.14.0"),
    ("FULLY_CONNECTED", "INT8", "one scale, keep_num_dims"): Version(5, "2.0.0"),
    ("FULLY_CONNECTED", "INT4", ""): Version(10, "2.20.0"),
    ("FULLY_CONNECTED", "INT4", "keep_num_dims"): Version(10, "2.20.0"),
    ("FULLY_CONNECTED", "INT4", "one scale"): Version(10, "2.20.0"),
    ("FULLY_CONNECTED", "INT4", "one scale, keep_num_dims"): Version(10, "2.20.0"),
    ("FULLY_CONNECTED", "INT2", ""): Version(14, "2.21.0"),
    ("FULLY_CONNECTED", "INT2", "keep_num_dims"): Version(14, "2.21.0"),
    ("GATHER", "", ""): Version(2, "1.14.0"),
    ("GELU", "", ""): Version(2, "2.10.0"),
    ("LOGISTIC", "", ""): Version(2, "1.14.0"),
    ("MAXIMUM", "", ""): Version(2, "1.14.0"),
    ("MAX_POOL_2D", "", ""): Version(2, "1.14.0"),
    ("MEAN", "", ""): Version(2, "1.14.0"),
    ("MINIMUM", "", ""): Version(2, "1.14.0"),
    ("MUL", "", ""): Version(2, "1.14.0"),
    ("MUL", "", "multiplier of 1 and more"): Version(3, "1.15.0"),
    ("PAD", "", ""): Version(2, "1.14.0"),
    ("QUANTIZE", "", ""): Version(1, "1.14.0"),
    ("RESHAPE", "", ""): Version(1, "1.5.0"),
    ("RESIZE_BILINEAR", "", ""): Version(3, "2.12.0"),  # half-pixel centers: not delegated before
    ("RESIZE_NEAREST_NEIGHBOR", "", ""): Version(3, "2.3.0"),
    ("SLICE", "", ""): Version(2, "1.14.0"),
    ("SOFTMAX", "", ""): Version(2, "1.14.0"),
    ("STRIDED_SLICE", "", ""): Version(2, "1.14.0"),
    ("SUB", "", ""): Version(3, "2.3.0"),
    ("TANH", "", ""): Version(2, "1.14.0"),
    ("TRANSPOSE", "", ""): Version(2, "1.14.0"),
    # Delegated with one scale a channel; a builtin kernel rounds twice and keeps the batch:
    # silently wrong up to 2.15, refused in 2.16 and 2.17.
    ("TRANSPOSE_CONV", "INT8", ""): Version(3, "2.18.0"),
    ("TRANSPOSE_CONV", "INT8", "activation"): Version(4, "2.18.0"),
    # Custom operators: their own version, and the oldest runtime that the delegate is tested in.
    ("TfqBconv2d", "UINT8", ""): Version(1, "2.21.0"),
    ("TfqBdense", "UINT8", ""): Version(1, "2.21.0"),
    ("TfqBitpack", "", ""): Version(1, "2.21.0"),
    ("TfqBmaxpool", "", ""): Version(1, "2.21.0"),
    ("TfqPrelu", "", ""): Version(1, "2.21.0"),
}

# Of operators with float activations, by the type of their weights and "" for a scale a channel,
# "one scale" or "blocks". Those with weights quantize their input on the way, but for the tables
# of EMBEDDING_LOOKUP and what DEQUANTIZE unpacks. No row: the kernel is missing, or wrong. Versions
# are such that runtimes which compute it wrongly refuse it (blocks crash 2.18 and 2.19), where
# there is such a version.
FLOAT_VERSIONS = {
    ("CONV_2D", "INT8", ""): Version(5, "2.7.0"),
    ("CONV_2D", "INT4", ""): Version(8, "2.19.0"),  # silently wrong in 2.15 to 2.18
    ("DEPTHWISE_CONV_2D", "INT8", ""): Version(6, "2.7.0"),
    ("DEQUANTIZE", "INT8", ""): Version(5, "2.7.0"),
    ("DEQUANTIZE", "INT8", "one scale"): Version(2, "1.14.0"),
    ("DEQUANTIZE", "INT4", ""): Version(6, "2.18.0"),
    ("DEQUANTIZE", "INT4", "one scale"): Version(6, "2.18.0"),
    ("DEQUANTIZE", "INT2", ""): Version(7, "2.21.0"),
    ("DEQUANTIZE", "INT2", "one scale"): Version(7, "2.21.0"),
    ("DEQUANTIZE", "FLOAT16", ""): Version(3, "2.7.0"),
    ("EMBEDDING_LOOKUP", "INT8", ""): Version(4, "2.18.0"),
    ("EMBEDDING_LOOKUP", "INT8", "one scale"): Version(3, "2.7.0"),
    ("EMBEDDING_LOOKUP", "INT4", ""): Version(4, "2.18.0"),
    ("EMBEDDING_LOOKUP", "INT4", "one scale"): Version(4, "2.18.0"),
    ("EMBEDDING_LOOKUP", "INT4", "blocks"): Version(5, "2.21.0"),
    ("EMBEDDING_LOOKUP", "INT2", ""): Version(5, "2.21.0"),
    ("EMBEDDING_LOOKUP", "INT2", "one scale"): Version(5, "2.21.0"),
    ("EMBEDDING_LOOKUP", "INT2", "blocks"): Version(5, "2.22.0"),  # LiteRT 2.1.6; 2.21 refuses it
    ("FULLY_CONNECTED", "INT8", ""): Version(12, "2.17.0"),
    ("FULLY_CONNECTED", "INT4", ""): Version(12, "2.17.0"),
    ("FULLY_CONNECTED", "INT4", "blocks"): Version(14, "2.21.0"),
    ("FULLY_CONNECTED", "INT2", ""): Version(14, "2.21.0"),
    ("MUL", "", ""): Version(1, "1.5.0"),
    ("RELU", "", ""): Version(1, "1.5.0"),
    ("RELU6", "", ""): Version(1, "1.5.0"),
    ("RELU_N1_TO_1", "", ""): Version(1, "1.5.0"),
    ("RESHAPE", "", ""): Version(1, "1.5.0"),
    ("TANH", "", ""): Version(1, "1.5.0"),
}


def find_version(operator, weights="", variant="", versions=None):
    """Return the `Version` of an operator, with int8 activations by default.

    Args:
        operator: schema name.
        weights: stored type of its weights, "" where it has none.
        variant: what else decides its version, a third key of `VERSIONS`.
        versions: the table, None for `VERSIONS`.
    """
    return (VERSIONS if versions is None else versions)[operator, weights, variant]


def choose_container(
    operator, low, high, depth, prefer, largest_sum=0, is_per_channel=True, tables=None
):
    """Choose the stored type of an operator's weights.

    Args:
        operator: schema name.
        low: smallest code.
        high: largest code.
        depth: number of inputs of each output (FULLY_CONNECTED), or codes of a row.
        prefer: "size" for the narrowest type that holds the codes, "speed" for the narrowest
            among those that run as fast as INT8.
        largest_sum: bound on the magnitude of its accumulators, bias included.
        is_per_channel: whether the channels have scales of their own.
        tables: what has the tables of another target, None for these.

    Returns:
        "INT2", "INT4" or "INT8".
    """
    tables = sys.modules[__name__] if tables is None else tables
    containers = tables.CONTAINERS if prefer == "size" else tables.FAST_CONTAINERS
    for name in containers[operator]:
        smallest, largest = CODE_RANGES[name]
        limit = tables.ACCUMULATOR_LIMITS[name]
        fits = smallest <= low and high <= largest and largest_sum < limit
        is_whole = operator not in ROWS_OF_BYTES or depth % tables.DEPTH_MULTIPLES[name] == 0
        has_scales = not is_per_channel or (operator, name) not in tables.SINGLE_SCALE
        if fits and is_whole and has_scales:
            return name
    return "INT8"
