"""The operators of `tests/evaluator.py` that look a function up, and those on int32 indices."""

import ctypes
import ctypes.util
import math

import numpy as np

from tests.evaluator_nodes import F32, Node, clamp, require, require_same_grid, round_away

LIBRARY = ctypes.CDLL(ctypes.util.find_library("m"))  # the runtime links it too


def _from_library(name):
    function = getattr(LIBRARY, name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.vectorize(lambda value: function(float(value)), otypes=[F32])


EXP, EXPM1, TANH, ERFC = map(_from_library, ("expf", "expm1f", "tanhf", "erfcf"))


def _logistic(value):
    power = np.exp(np.clip(value, -100, 100).astype(np.float64))
    return (power / (1 + power)).astype(F32)


def _gelu(value):
    return F32(0.5) * value * ERFC(value * F32(-math.sqrt(0.5)))


def _gelu_by_tanh(value):
    inner = value + F32(0.044715) * value * value * value
    root = F32(2 / math.sqrt(math.pi) * math.sqrt(0.5))
    return F32(0.5) * value * (F32(1) + TANH(root * inner))


DELEGATED = {
    "LOGISTIC": _logistic,
    "TANH": TANH,
    "ELU": lambda value: np.where(value < 0, EXPM1(np.minimum(value, F32(0))), value),
}


def function(node: Node) -> np.ndarray:
    """LOGISTIC, TANH and ELU by XNNPACK, GELU by the builtin kernel."""
    source, (scale_out, zero_out) = node.inputs[0], node.output.grid
    value = source.codes.astype(F32) * source.grid[0]
    if node.name in DELEGATED:
        scaled = DELEGATED[node.name](value) * (F32(1) / scale_out)
        return clamp(node, np.rint(scaled + F32(zero_out)), True)
    made = (_gelu_by_tanh if node.options.approximate else _gelu)(value)
    return clamp(node, round_away(made * (F32(1) / scale_out)) + zero_out, False)


def cast(node: Node) -> np.ndarray:
    is_known = node.inputs[0].type in ("INT8", "INT16") and node.output.type == "INT32"
    require(is_known, "CAST: int8 or int16 to int32")
    return node.inputs[0].data.astype(np.int32)


def gather(node: Node) -> np.ndarray:
    table, indices = node.inputs
    require_same_grid(node, [table])
    require(node.options.axis == 0 and indices.type == "INT32", "GATHER: rows by int32")
    inside = indices.data.min() >= 0 and indices.data.max() < len(table.data)
    require(inside, "GATHER: index outside of the table")
    return table.data[indices.data]


def embedding_lookup(node: Node) -> np.ndarray:
    rows, table = node.inputs
    require(rows.type == "INT32" and rows.data.ndim == 1, "EMBEDDING_LOOKUP: a vector of rows")
    per_byte = {"INT2": 4, "INT4": 2, "INT8": 1}[table.type]
    require(table.data.shape[1] % per_byte == 0, "EMBEDDING_LOOKUP: whole bytes in each row")
    require(not table.zero_points.any(), "EMBEDDING_LOOKUP: zero points are ignored")
    require(table.scales.size == 1 or table.axis == 0, "EMBEDDING_LOOKUP: one scale a row")
    require(node.output.type == "FLOAT32", "EMBEDDING_LOOKUP: reals")
    scales = np.broadcast_to(table.scales, len(table.data))[:, None]
    return (table.data.astype(F32) * scales)[rows.data]


FUNCTIONS = {name: function for name in (*DELEGATED, "GELU")}
FUNCTIONS |= {"CAST": cast, "GATHER": gather}
FUNCTIONS |= {"EMBEDDING_LOOKUP": embedding_lookup}
