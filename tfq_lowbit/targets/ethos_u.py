"""What Vela places on an Arm Ethos-U55 or U65 (Vela 5.2), and what it is to be given.

It takes no packed weights (an int4 filter ends it with a crash). Its own coding of weights makes
filters of few levels smaller, so that low-bit codes are stored as int8.
"""

from tfq_lowbit.targets import litert
from tfq_lowbit.targets.rules import (
    WEIGHTED,
    FileRule,
    Rule,
    differing_grids,
    dilations,
    strides,
    types_beside,
    weight_types_beside,
)

STATEMENT = "A static check against the operators that Vela 5.2 reports for the Ethos-U55 and U65."

# For the exporter.
CONTAINERS = {name: ("INT8",) for name in litert.KERNELS}
FAST_CONTAINERS = CONTAINERS
INT16_CONTAINERS = INT16_FAST_CONTAINERS = CONTAINERS
IO_TYPES = ("int8", "int16")
HAS_FIXED_BATCH = True
TAKES_CUSTOM_OPERATORS = False

# The operators that it places, in any version; any other stays on the CPU.
OPERATORS = dict.fromkeys(
    [
        *("ABS", "ADD", "ARG_MAX", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D"),
        *("DEPTHWISE_CONV_2D", "ELU", "EXP", "EXPAND_DIMS", "FULLY_CONNECTED", "GELU"),
        *("HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN"),
        *("MINIMUM", "MIRROR_PAD", "MUL", "NEG", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE"),
        *("REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "RSQRT", "SLICE"),
        *("SOFTMAX", "SPLIT", "SPLIT_V", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB"),
        *("SUM", "TANH", "TILE", "TRANSPOSE", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
        "UNPACK",
    ]
)
MAX_STRIDE = 3
MAX_SAME_AVERAGE = 8
RESIZE_FACTORS = (1, 2, 4, 8)


def _computed_bias(operator):
    place = 3 if operator.code == "TRANSPOSE_CONV" else 2  # which takes the shape of its output too
    bias = operator.inputs[place] if len(operator.inputs) > place else None
    return "one that is computed" if bias is not None and not bias.is_constant else ""


def _large_stride(operator):
    largest = max(strides(operator))
    is_plain = dilations(operator) == (1, 1) and operator.padding == "VALID"
    is_free = is_plain and operator.code != "DEPTHWISE_CONV_2D"
    return f"stride {largest}" if largest > MAX_STRIDE and not is_free else ""


def _large_window(operator):
    window = operator.option("filterHeight", 1), operator.option("filterWidth", 1)
    if operator.padding == "VALID" or max(window) <= MAX_SAME_AVERAGE:
        return ""
    return f"a window of {window[0]} x {window[1]}"


def _resize_factor(operator):
    before, after = operator.source.shape, operator.outputs[0].shape
    if len(before) != 4 or before[1:3] == (1, 1) or before == after:
        return ""
    factors = {size / start for start, size in zip(before[1:3], after[1:3], strict=True)}
    if operator.option("alignCorners", False):
        factors = {
            (size - 1) / max(start - 1, 1)
            for start, size in zip(before[1:3], after[1:3], strict=True)
        }
    is_right = len(factors) == 1 and factors <= set(RESIZE_FACTORS)
    return "" if is_right else f"{before[1:3]} to {after[1:3]}"


def _transposed_stride(operator):
    found = strides(operator)
    return "" if found in ((1, 1), (2, 2)) else f"strides {found}"


RULES = (
    Rule(
        None,
        types_beside("INT8", "UINT8", "INT16", "INT32", "INT64"),
        "Data must be int8 or int16",
        "Quantize the layer; export with input_type='int8' and output_type='int8'.",
    ),
    Rule(
        WEIGHTED,
        weight_types_beside("INT8", "UINT8"),
        "Weights must be int8; Vela ends with a crash at packed ones",
        "Export with target='ethos-u', which stores the same codes in int8.",
    ),
    Rule(WEIGHTED, _computed_bias, "A bias must be constant", "Make it a weight."),
    Rule(
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D"}),
        _large_stride,
        f"Strides beyond {MAX_STRIDE} need padding='valid' and no dilation, and are not for "
        "depthwise convolutions",
        "Use two layers with smaller strides.",
    ),
    Rule(
        frozenset({"AVERAGE_POOL_2D"}),
        _large_window,
        f"A window with padding is at most {MAX_SAME_AVERAGE} x {MAX_SAME_AVERAGE}",
        "Use padding='valid' or global average pooling.",
    ),
    Rule(
        frozenset({"MAXIMUM", "MINIMUM"}),
        differing_grids,
        "Inputs and output must share scale and zero point",
        "Requantize before it.",
    ),
    Rule(
        frozenset({"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}),
        _resize_factor,
        "Height and width must grow alike, 2, 4 or 8 times",
        "Resize in steps of two.",
    ),
    Rule(
        frozenset({"TRANSPOSE_CONV"}),
        _transposed_stride,
        "Strides must be 1 or 2 in both directions",
        "Use UpSampling2D and a convolution.",
    ),
)
FILE_RULES: tuple[FileRule, ...] = ()
