"""Lowering of activation functions that are more than a clamp, and of Rescaling."""

from typing import Any

import keras
import numpy as np

from tfq_lowbit.export.operators import Elu, Gelu, Logistic, Tanh
from tfq_lowbit.export.pending_function import PendingAffine, PendingSlopes, PendingTable
from tfq_lowbit.export.pending_prelu import PendingPrelu
from tfq_lowbit.model import Clamp, activation_name, require_function
from tfq_lowbit.wrappers import RegisteredFunction

# The runtime's tables, and the only output grid of those that have one.
OPERATORS = {"LOGISTIC": Logistic, "TANH": Tanh, "ELU": Elu, "GELU": Gelu}
OPERATOR_GRIDS = {"LOGISTIC": (1.0 / 256.0, -128), "TANH": (1.0 / 128.0, 0)}
DEFAULT_SLOPE = 0.2  # of keras.activations.leaky_relu


def lower_function(lowering, node):
    """Lower a function of single values, which gets a grid of its own."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    operator = require_function(node.layer).operator
    lowering.values[node.output] = _LOWERINGS.get(operator, _table)(node, source, operator)


def _table(node, source, operator):
    options = {}
    if operator == "GELU":
        options["approximate"] = activation_name(node.layer) == "gelu_tanh"
    return PendingTable(
        node.name,
        source,
        _function(node),
        OPERATORS.get(operator),
        OPERATOR_GRIDS.get(operator),
        **options,
    )


def _function(node):
    """Return the function that a layer computes, under no mixed precision."""
    layer = node.layer
    if isinstance(layer, RegisteredFunction):
        return _registered(node.name, layer.operation, len(node.output.shape))
    copy = type(layer).from_config({**layer.get_config(), "dtype": "float32"})
    return lambda values: np.asarray(copy(values))


def _registered(name, layer, rank):
    """Return the function that a registered layer computes, checked to be one of single values."""

    def function(values):
        column = values.reshape(-1, *[1] * (rank - 1))
        # Once more elsewhere, and among others.
        places = np.arange(len(column) // 3)[::-1]
        made, moved = np.asarray(layer(column)), np.asarray(layer(column[places]))
        is_function = made.shape == column.shape and moved.shape == column[places].shape
        if not (is_function and np.allclose(made[places], moved, 1e-5, 1e-6, equal_nan=True)):
            raise ValueError(
                f"Layer {name!r} ({type(layer).__name__}) is registered as a function, but what it "
                "makes of a value depends on where the value stands. Register it as 'layers' or "
                "'float'."
            )
        return made.reshape(-1)

    return function


def _affine(node, source, operator):
    if activation_name(node.layer) == "hard_sigmoid":
        pending = PendingAffine(node.name, source, 1.0 / 6.0, 0.5)
        pending.clamp(Clamp(0.0, 1.0))  # the ends of its grid in int8, not in int16
        return pending
    return PendingAffine(node.name, source, node.layer.scale, node.layer.offset)


def _slopes(node, source, operator):
    layer = node.layer
    slope: Any = getattr(layer, "negative_slope", DEFAULT_SLOPE)
    if isinstance(layer, keras.layers.PReLU):
        slope = np.asarray(layer.alpha, np.float32)
        if layer.shared_axes:
            slope = slope.reshape(() if slope.size == 1 else -1)
    return PendingSlopes(node.name, source, slope)


def _prelu(node, source, operator):
    layer = node.layer
    parameters = (np.asarray(each) for each in (layer.shift_in, layer.slope, layer.shift_out))
    return PendingPrelu(node.name, source, *parameters)


_LOWERINGS = {"AFFINE": _affine, "SLOPES": _slopes, "PRELU": _prelu}
