"""What TensorFlow Lite for Microcontrollers runs: the operators of its Python package, tried.

Its reference kernels round twice, so that they part from LiteRT by a step now and then. They unpack
int4 filters of convolutions, and of FULLY_CONNECTED with one scale.
"""

from tfq_lowbit.targets import litert
from tfq_lowbit.targets.rules import FileRule, Rule, free_sizes

STATEMENT = (
    "A static check against the operators of tflite-micro's reference kernels; a device may have "
    "fewer, for which its application registers them."
)

# For the exporter.
CONTAINERS = {
    **{name: ("INT8",) for name in litert.KERNELS},
    "CONV_2D": ("INT4", "INT8"),
    "DEPTHWISE_CONV_2D": ("INT4", "INT8"),
    "FULLY_CONNECTED": ("INT4", "INT8"),
}
FAST_CONTAINERS = {name: ("INT8",) for name in CONTAINERS}
INT16_CONTAINERS = INT16_FAST_CONTAINERS = FAST_CONTAINERS
SINGLE_SCALE = frozenset({("FULLY_CONNECTED", "INT4")})
UNPACKED_TO_VERIFY = frozenset(CONTAINERS)
DEPTH_MULTIPLES = {"INT2": 1, "INT4": 1, "INT8": 1}  # rows need not be whole bytes
IO_TYPES = ("int8", "int16", "float32")
HAS_FIXED_BATCH = True
TAKES_CUSTOM_OPERATORS = False

OPERATORS = dict.fromkeys(
    [
        *("ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "AVERAGE_POOL_2D"),
        *("BATCH_MATMUL", "BATCH_TO_SPACE_ND", "BROADCAST_ARGS", "BROADCAST_TO", "CALL_ONCE"),
        *("CAST", "CEIL", "CONCATENATION", "CONV_2D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D"),
        *("DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE", "ELU"),
        *("EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV"),
        *("FLOOR_MOD", "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL"),
        *("HARD_SWISH", "IF", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS"),
        *("LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC"),
        *("LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG"),
        *("NOT_EQUAL", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE", "READ_VARIABLE"),
        *("REDUCE_ALL", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE"),
        *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT"),
        *("SELECT_V2", "SHAPE", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH"),
        *("SPLIT", "SPLIT_V", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE"),
        *("SUB", "SUM", "SVDF", "TANH", "TRANSPOSE", "TRANSPOSE_CONV"),
        *("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNPACK", "VAR_HANDLE", "WHILE", "ZEROS_LIKE"),
    ]
)
# Filters that each operator computes rightly, by the type of its data.
WEIGHT_TYPES = {
    ("FULLY_CONNECTED", "FLOAT32"): {"FLOAT32"},
    ("FULLY_CONNECTED", "INT8"): {"INT8", "INT4"},
    ("FULLY_CONNECTED", "INT16"): {"INT8"},
    ("CONV_2D", "FLOAT32"): {"FLOAT32"},
    ("CONV_2D", "INT8"): {"INT8", "INT4"},
    ("CONV_2D", "INT16"): {"INT8"},
    ("DEPTHWISE_CONV_2D", "FLOAT32"): {"FLOAT32"},
    ("DEPTHWISE_CONV_2D", "INT8"): {"INT8", "INT4"},
    ("DEPTHWISE_CONV_2D", "INT16"): {"INT8"},
}


def _weight_type(operator):
    allowed = WEIGHT_TYPES.get((operator.code, operator.source.type))
    weights = operator.weights
    if allowed is None or not weights.is_constant or weights.type in allowed:
        return ""
    return f"{weights.type} weights at {operator.source.type} data"


def _channel_scales(operator):
    weights = operator.weights
    is_packed = weights.type == "INT4" and weights.scales.size > 1
    return f"{weights.scales.size} scales" if is_packed else ""


def _matmul_scales(operator):
    scales = operator.weights.scales.size
    return f"{scales} scales" if scales > 1 else ""


RULES = (
    Rule(
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}),
        _weight_type,
        "Weights must have a type that the kernel computes rightly",
        "Export with target='tflm', which stores the same codes in int8 or int4.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _channel_scales,
        "Packed weights must have one scale",
        "Quantize the layer per tensor, Recipe(per_channel_dense=False), or store it in int8.",
    ),
    Rule(
        frozenset({"BATCH_MATMUL"}),
        _matmul_scales,
        "It takes one scale for each operand; more are silently ignored",
        "Quantize it per tensor, or use FULLY_CONNECTED.",
    ),
    Rule(
        frozenset({"EMBEDDING_LOOKUP"}),
        _matmul_scales,
        "Its table must have one scale; more are silently ignored",
        "Export with target='tflm', which gathers the rows in int8.",
    ),
)
FILE_RULES = (
    FileRule(
        free_sizes,
        "Sizes that are left free are taken as 1",
        "Export with target='tflm'.",
        is_error=False,
    ),
)
