"""What the Edge TPU compiler maps: its documented table of operators, and what is known beside it.

The compiler (16.0, of 2021) is in no registry, so `check` is static. It knows the operators of
TensorFlow 2.5; the first operator that it does not map splits the graph, and all behind it runs on
the CPU.
"""

import math

from tfq_lowbit.targets import litert
from tfq_lowbit.targets.rules import (
    POOLS,
    FileRule,
    Rule,
    dilations,
    free_sizes,
    fused_activation,
    reduced_axes,
    types_beside,
)

STATEMENT = (
    "A static check against the documented rules of the Edge TPU compiler 16: the compiler itself "
    "has the last word, and may leave an operator to the CPU for its size."
)

# For the exporter.
CONTAINERS = {name: ("INT8",) for name in litert.KERNELS}
FAST_CONTAINERS = CONTAINERS
SINGLE_SCALE = frozenset({("FULLY_CONNECTED", "INT8")})
IO_TYPES = ("int8",)
HAS_FIXED_BATCH = True
DENSE_IS_ONE_VECTOR = True
TAKES_CUSTOM_OPERATORS = False
TAKES_INT16 = False

# The operators that are mapped, and their newest version: that of TensorFlow 2.5.
OPERATORS = {
    **{"ADD": 3, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6},
    **{"EXPAND_DIMS": 1, "FULLY_CONNECTED": 9, "L2_NORMALIZATION": 2, "LOGISTIC": 3, "LSTM": 4},
    **{"MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MUL": 4, "PACK": 3, "PAD": 3},
    **{"PRELU": 1, "QUANTIZE": 2, "REDUCE_MAX": 3, "REDUCE_MIN": 3, "RELU": 2, "RELU6": 3},
    **{"RELU_N1_TO_1": 2, "RESHAPE": 1, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4},
    **{"RSQRT": 2, "SLICE": 5, "SOFTMAX": 3, "SPACE_TO_DEPTH": 2, "SPLIT": 4, "SQUEEZE": 2},
    **{"SQUARED_DIFFERENCE": 2, "STRIDED_SLICE": 5, "SUB": 5, "SUM": 2, "TANH": 3},
    **{"TRANSPOSE": 5, "TRANSPOSE_CONV": 3, "UNIDIRECTIONAL_SEQUENCE_LSTM": 3},
}
PARAMETER_BYTES = 8 * 2**20  # of memory on the chip
SOFTMAX_INPUTS = 16_000
MEAN_DEPTH_MULTIPLE = 4


def _constants(operator):
    """Return a filter that is computed."""
    weights = operator.weights
    return "" if weights is None or weights.is_constant else "a filter that is computed"


def _large_ranks(operator):
    """Return the tensors of more than three dimensions that hold several images."""
    tensors = [
        each
        for each in (*operator.data, *operator.outputs)
        if len(each.shape) > 3 and math.prod(each.shape[:-3]) > 1
    ]
    return ", ".join(f"{each.name!r} of {each.shape}" for each in tensors[:2])


def _unequal_dilation(operator):
    height, width = dilations(operator)
    return "" if height == width else f"{height} and {width}"


def _weight_format(operator):
    return "a shuffled format" if operator.option("weightsFormat", 0) else ""


def _several_vectors(operator):
    shape = operator.outputs[0].shape
    return "" if math.prod(shape[:-1]) <= 1 else f"an output of {shape}"


def _channel_scales(operator):
    scales = operator.weights.scales.size
    return f"{scales} scales" if scales > 1 else ""


def _joined_constant(operator):
    constants = [each for each in operator.inputs if each is not None and each.is_constant]
    if not constants:
        return ""
    zeros = all((each.values == each.grid[1]).all() for each in constants if each.grid)
    return "" if zeros and len(operator.inputs) == 2 else "a constant input"


def _mean_axes(operator):
    axes, shape = reduced_axes(operator), operator.source.shape
    rank, allowed = len(shape), set()
    if rank >= 3:
        allowed = {rank - 3, rank - 2}
    if shape[-1] % MEAN_DEPTH_MULTIPLE == 0:
        allowed.add(rank - 1)
    return "" if set(axes) <= allowed else f"axes {axes} of {shape}"


def _reduced_batch(operator):
    return "axis 0" if 0 in reduced_axes(operator) else ""


def _padded_beside_image(operator):
    paddings, rank = operator.weights.values.reshape(-1, 2), len(operator.source.shape)
    padded = [axis for axis in range(rank) if paddings[axis].any()]
    return "" if set(padded) <= {rank - 3, rank - 2} else f"axes {padded}"


def _large_softmax(operator):
    shape = operator.source.shape
    is_vector = math.prod(shape[:-1]) <= 1 and shape[-1] <= SOFTMAX_INPUTS
    return "" if is_vector else f"an input of {shape}"


def _strided(operator):
    steps = operator.inputs[3].values
    masks = [name for name in ("ellipsisMask", "newAxisMask") if operator.option(name, 0)]
    if (steps != 1).any():
        return f"strides {steps.tolist()}"
    return masks[0] if masks else ""


def _slopes(operator):
    shape = operator.weights.shape
    return "" if math.prod(shape[:-1]) <= 1 else f"slopes of {shape}"


def _split_batch(operator):
    axis = operator.inputs[0]
    return "axis 0" if axis.is_constant and int(axis.values[0]) == 0 else ""


def _is_float_border(operator):
    if operator.code not in ("QUANTIZE", "DEQUANTIZE"):
        return ""
    types = {each.type for each in operator.tensors}
    return "float32 at the model's border" if "FLOAT32" in types else ""


def _subgraphs(file):
    return f"{file.num_subgraphs}" if file.num_subgraphs > 1 else ""


def _size(file):
    size = file.constant_bytes
    return f"{size:,} bytes" if size > PARAMETER_BYTES else ""


POOL_MEND = "Write the activation as an operator of its own, or into the layer before."
RULES = (
    Rule(
        None,
        _is_float_border,
        "Floats are quantized on the CPU",
        "Export with input_type='int8' and output_type='int8'.",
    ),
    Rule(
        None,
        types_beside("INT8", "UINT8", "INT32", "FLOAT32"),
        "Data must be int8 or uint8",
        "Quantize the whole model in 8 bits.",
    ),
    Rule(
        frozenset(OPERATORS) - {"QUANTIZE"},
        lambda operator: "float32" if "FLOAT32" in {each.type for each in operator.tensors} else "",
        "Data must be int8 or uint8",
        "Quantize the layer.",
    ),
    Rule(
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}),
        lambda operator: (
            operator.weights.type if operator.weights.type in ("INT4", "INT2", "UINT4") else ""
        ),
        "Weights must be int8",
        "Export with target='edgetpu', which stores the same codes in int8.",
    ),
    Rule(
        None,
        _large_ranks,
        "Only the three inner dimensions may be larger than 1",
        "Fix the batch to 1.",
    ),
    Rule(
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}),
        _constants,
        "Parameters must be constant",
        "Make the filter a weight.",
    ),
    Rule(
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"}),
        _unequal_dilation,
        "Dilation must be the same in height and width",
        "Change dilation_rate.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _weight_format,
        "Weights must be in the default format",
        "Convert without shuffled weights.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _several_vectors,
        "The output must be one vector: all but its last dimension 1",
        "Use a 1x1 convolution, as an export with target='edgetpu' does.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _channel_scales,
        "Weights must have one scale",
        "Quantize the layer per tensor, Recipe(per_channel_dense=False), or use a 1x1 "
        "convolution, as an export with target='edgetpu' does.",
    ),
    Rule(
        POOLS | {"CONCATENATION"}, fused_activation, "There must be no fused activation", POOL_MEND
    ),
    Rule(
        frozenset({"CONCATENATION"}),
        _joined_constant,
        "A constant may be joined only as zeros, and to one tensor",
        "Join it in the data.",
    ),
    Rule(
        frozenset({"MEAN"}),
        _mean_axes,
        "It runs over height and width, or over channels that are a multiple of "
        f"{MEAN_DEPTH_MULTIPLE}",
        "Use global average pooling.",
    ),
    Rule(
        frozenset({"SUM", "REDUCE_MAX", "REDUCE_MIN"}),
        _reduced_batch,
        "It must not run over the batch",
        "Reduce other axes.",
    ),
    Rule(
        frozenset({"PAD"}),
        _padded_beside_image,
        "Only height and width are padded",
        "Pad channels in the data.",
    ),
    Rule(
        frozenset({"SOFTMAX"}),
        _large_softmax,
        f"It takes one vector of at most {SOFTMAX_INPUTS:,}",
        "Leave it to the host.",
    ),
    Rule(
        frozenset({"STRIDED_SLICE"}),
        _strided,
        "Strides must be 1, without new axes",
        "Use a pooling layer or a strided convolution.",
    ),
    Rule(
        frozenset({"PRELU"}),
        _slopes,
        "There must be one slope a channel",
        "Build PReLU with shared_axes=[1, 2].",
    ),
    Rule(frozenset({"SPLIT"}), _split_batch, "It must not split the batch", "Split other axes."),
)
FILE_RULES = (
    FileRule(
        free_sizes,
        "Sizes must be fixed",
        "Export with target='edgetpu', or convert with a fixed batch of 1.",
    ),
    FileRule(_subgraphs, "There must be one subgraph", "Unroll loops and branches."),
    FileRule(
        _size,
        f"Parameters beyond {PARAMETER_BYTES:,} bytes are read from the host on every call",
        "Make the model smaller, or split it between several chips.",
        is_error=False,
    ),
)


def notes(file):
    """Return what else is good to know of a file."""
    share = 100 * file.constant_bytes / PARAMETER_BYTES
    return [
        f"{file.constant_bytes:,} bytes of parameters, {share:.1f} % of the 8 MiB on the chip "
        "(which holds the program too)"
    ]
