"""What LiteRT refuses, computes wrongly, or rounds twice: each measured on LiteRT 2.3, x86_64."""

import numpy as np

from tfq_lowbit.targets.litert import (
    ADD_RATIOS,
    DEPTH_MULTIPLES,
    MAX_MULTIPLIER,
    MIN_BLOCK_CHANNELS,
    MUL_RATIOS,
)
from tfq_lowbit.targets.rules import WEIGHTED, FileRule, Rule, differing_grids, weight_types_beside

STATEMENT = "A static check against what LiteRT 2.3 was found to do on x86_64: nothing was run."
OPERATORS = None  # the runtime has all

# Filters that each operator computes rightly, by the type of its data; other types of data are
# older than the low-bit ones.
WEIGHT_TYPES = {
    ("FULLY_CONNECTED", "FLOAT32"): {"FLOAT32", "FLOAT16", "INT8", "INT4", "INT2"},
    ("FULLY_CONNECTED", "INT8"): {"INT8", "INT4", "INT2"},
    ("FULLY_CONNECTED", "INT16"): {"INT8", "INT4", "INT2"},
    ("CONV_2D", "FLOAT32"): {"FLOAT32", "FLOAT16", "INT8", "INT4"},
    ("CONV_2D", "INT8"): {"INT8", "INT4"},
    ("CONV_2D", "INT16"): {"INT8", "INT4"},
    ("DEPTHWISE_CONV_2D", "FLOAT32"): {"FLOAT32", "FLOAT16", "INT8"},
    ("DEPTHWISE_CONV_2D", "INT8"): {"INT8", "INT4"},
    ("DEPTHWISE_CONV_2D", "INT16"): {"INT8"},
    ("TRANSPOSE_CONV", "INT8"): {"INT8"},
    ("TRANSPOSE_CONV", "INT16"): {"INT8"},
}
# They move or pick raw codes: another grid at the output would change the values unseen, or is
# refused when the file is loaded.
MOVING = frozenset(
    {
        *{"AVERAGE_POOL_2D", "CONCATENATION", "DEPTH_TO_SPACE", "GATHER", "MAX_POOL_2D"},
        *{"MAXIMUM", "MINIMUM", "MIRROR_PAD", "PACK", "PAD", "PADV2", "REDUCE_MAX", "REDUCE_MIN"},
        *{"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SELECT_V2", "SLICE"},
        *{"SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK"},
    }
)


def _parts(operator):
    """Return the input and the filter of a weighted operator."""
    if operator.code == "TRANSPOSE_CONV":
        return operator.inputs[2], operator.inputs[1]
    return operator.inputs[0], operator.inputs[1]


def _weight_type(operator):
    source, weights = _parts(operator)
    allowed = WEIGHT_TYPES.get((operator.code, source.type))
    if allowed is None or not weights.is_constant or weights.type in allowed:
        return ""
    return f"{weights.type} weights at {source.type} data"


def _weight_zero_points(operator):
    weights = _parts(operator)[1]
    is_signed = weights.type in ("INT8", "INT4", "INT2")
    return "others" if is_signed and weights.zero_points.any() else ""


def _is_int8(operator):
    return operator.outputs[0].type == "INT8"


def _multiplier(operator):
    source, weights = _parts(operator)
    output = operator.outputs[0]
    if not _is_int8(operator) or source.grid is None or output.grid is None:
        return ""
    largest = float((np.float32(source.grid[0]) * weights.scales).max(initial=0)) / output.grid[0]
    return f"{largest:g}" if largest >= MAX_MULTIPLIER else ""


def _missing_bias(operator):
    inputs = operator.inputs
    return "none" if len(inputs) < 3 or inputs[2] is None else ""


def _int8_division(operator):
    return "int8 data" if _is_int8(operator) else ""


def _channel_scales(operator):
    scales = operator.inputs[1].scales.size
    return f"{scales} scales" if scales > 1 and operator.inputs[1].type != "FLOAT32" else ""


def _softmax_grid(operator):
    grid = operator.outputs[0].grid
    if not _is_int8(operator) or grid is None:
        return ""
    is_right = grid[1] == -128 and abs(grid[0] * 256 - 1) < 1e-3
    return "" if is_right else f"scale {grid[0]:g}, zero point {grid[1]}"


def _hard_swish(operator):
    (source,), output = operator.inputs[:1], operator.outputs[0]
    if not _is_int8(operator) or source.grid is None or output.grid is None:
        return ""
    ratio = source.grid[0] / (128 * output.grid[0])
    return f"{ratio:g}" if ratio >= 1 else ""


def _ratios_beyond(limits, product):
    """Return a predicate for the ratios of scales that XNNPACK leaves to the builtin kernel."""

    def breaks(operator):
        output = operator.outputs[0]
        grids = [each.grid for each in (*operator.inputs[:2], output)]
        if not _is_int8(operator) or None in grids:
            return ""
        first, second, made = (np.float32(grid[0]) for grid in grids)
        ratios = [first * second / made] if product else [first / made, second / made]
        beyond = [ratio for ratio in ratios if not limits[0] <= ratio < limits[1]]
        return f"{beyond[0]:g}" if beyond else ""

    return breaks


def _regrid(operator):
    types = operator.source.type, operator.outputs[0].type
    return "int8 to int8" if types == ("INT8", "INT8") else ""


def _rounds_twice(operator):
    source, weights = _parts(operator)
    if source.type != "INT8" or weights.type not in ("INT4", "INT2"):
        return ""
    if operator.code != "FULLY_CONNECTED":
        return f"{weights.type} weights"
    depth = weights.shape[-1]
    if depth % DEPTH_MULTIPLES[weights.type]:
        return f"{weights.type} weights in rows of {depth}"
    is_single = weights.type == "INT2" and weights.scales.size == 1 < weights.shape[0]
    return "INT2 weights with one scale" if is_single else ""


# Types of weights in blocks that each operator with float data computes rightly.
BLOCK_TYPES = {"FULLY_CONNECTED": {"INT4"}, "EMBEDDING_LOOKUP": {"INT4", "INT2"}}
XNNPACK_BLOCK = 32


def _blocks(operator):
    """Return the weights in blocks of an operator that does not take them."""
    for tensor in operator.tensors:
        is_float = operator.outputs[0].type == "FLOAT32"
        is_taken = is_float and tensor.type in BLOCK_TYPES.get(operator.code, ())
        if tensor.block_size and not is_taken:
            return f"{tensor.type} in blocks of {tensor.block_size}"
    return ""


def _odd_blocks(operator):
    block = operator.weights.block_size
    return f"blocks of {block}" if block % XNNPACK_BLOCK else ""


def _fused_behind_blocks(operator):
    return operator.activation.replace("NONE", "") if operator.weights.block_size else ""


def _few_channels(operator):
    channels = operator.weights.shape[0]
    is_wrong = operator.weights.block_size and channels < MIN_BLOCK_CHANNELS
    return f"{channels} channels" if is_wrong else ""


def _partial_bytes(operator):
    table = operator.weights
    is_whole = table.shape[-1] % DEPTH_MULTIPLES.get(table.type, 1) == 0
    return "" if is_whole else f"{table.type} in rows of {table.shape[-1]}"


def _custom(operator):
    return f"version {operator.version}" if operator.is_custom else ""


CALIBRATE = "Calibrate the step sizes around it anew."
RULES = (
    Rule(
        WEIGHTED,
        _weight_type,
        "Its filter must have a type that the kernel computes rightly",
        "Store the same codes in INT8.",
    ),
    Rule(
        None,
        weight_types_beside(
            "FLOAT32",
            "FLOAT16",
            "BFLOAT16",
            "INT2",
            "INT4",
            "INT8",
            "INT16",
            "INT32",
            "INT64",
            "UINT8",
            "UINT16",
            "UINT32",
            "UINT64",
            "BOOL",
            "STRING",
            "FLOAT64",
            "COMPLEX64",
            "RESOURCE",
            "VARIANT",
        ),
        "No kernel computes UINT4 weights rightly",
        "Store them as INT4 or INT8.",
    ),
    Rule(
        WEIGHTED,
        _weight_zero_points,
        "The zero points of signed weights must be 0",
        "Quantize weights symmetrically.",
    ),
    Rule(
        WEIGHTED,
        _multiplier,
        f"Input scale times weight scale must be below {MAX_MULTIPLIER:g} output scales",
        f"The default resolver fails to load the file. {CALIBRATE}",
    ),
    Rule(
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"}),
        _missing_bias,
        "It must have a bias",
        "Write one of zeros.",
    ),
    Rule(
        MOVING,
        differing_grids,
        "It moves codes, so that its inputs and output must share scale and zero point",
        "Put a MUL by one, which changes the grid exactly, before it.",
    ),
    Rule(
        frozenset({"DIV"}),
        _int8_division,
        "The int8 kernel returns garbage for small quotients",
        "Multiply by the reciprocal, or leave the division in float.",
    ),
    Rule(
        frozenset({"BATCH_MATMUL"}),
        _channel_scales,
        "It takes one scale for each operand; more are silently ignored",
        "Quantize it per tensor, or use FULLY_CONNECTED.",
    ),
    Rule(
        frozenset({"SOFTMAX"}),
        _softmax_grid,
        "Its output must have scale 1/256 from -128",
        "Requantize behind it.",
    ),
    Rule(
        frozenset({"HARD_SWISH"}),
        _hard_swish,
        "Its input scale must be less than 128 output scales",
        CALIBRATE,
    ),
    Rule(
        frozenset({"ADD", "SUB"}),
        _ratios_beyond(ADD_RATIOS, False),
        f"Scales of inputs must be {ADD_RATIOS[0]:g} to {ADD_RATIOS[1]:g} times the output's, "
        "or it rounds three times",
        CALIBRATE,
        is_error=False,
    ),
    Rule(
        frozenset({"MUL"}),
        _ratios_beyond(MUL_RATIOS, True),
        f"The product of input scales must be {MUL_RATIOS[0]:g} to {MUL_RATIOS[1]:g} times the "
        "output's, or it rounds twice",
        CALIBRATE,
        is_error=False,
    ),
    Rule(
        frozenset({"QUANTIZE"}),
        _regrid,
        "Between int8 grids it carries eight fractional bits of the multiplier only",
        "Multiply by one, which rounds once.",
        is_error=False,
    ),
    Rule(
        WEIGHTED,
        _rounds_twice,
        "Packed weights run in a builtin kernel, which unpacks them on every call and rounds twice",
        "Store the same codes in INT8, or as FULLY_CONNECTED with whole bytes in each row.",
        is_error=False,
    ),
    Rule(
        None,
        _blocks,
        "Weights in blocks are INT4 for FULLY_CONNECTED, INT4 or INT2 for EMBEDDING_LOOKUP, and "
        "their data float",
        "Unpack them by DEQUANTIZE with one scale and MUL, or take a scale for each channel.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _fused_behind_blocks,
        "With weights in blocks its activation must not be fused: the builtin kernel ignores it",
        "Let an operator of its own compute it.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _few_channels,
        f"With weights in blocks it must have {MIN_BLOCK_CHANNELS} channels or more, or the "
        "builtin kernel makes zeros",
        "Take a scale for each channel.",
    ),
    Rule(
        frozenset({"EMBEDDING_LOOKUP"}),
        _partial_bytes,
        "A row of its table must be whole bytes, or it reads others' codes",
        "Store the same codes in a wider type.",
    ),
    Rule(
        frozenset({"FULLY_CONNECTED"}),
        _odd_blocks,
        f"XNNPACK takes blocks of a multiple of {XNNPACK_BLOCK}; others run in a slow kernel",
        "Take another block size.",
        is_error=False,
    ),
    Rule(
        None,
        _custom,
        "It is a custom operator: the runtime needs the library that has it",
        "tfq.Interpreter and tfq.delegate_path() bring those that begin with Tfq.",
        is_error=False,
    ),
)
FILE_RULES: tuple[FileRule, ...] = ()
