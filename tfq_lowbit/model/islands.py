"""Calls that stay in float because they have no integer form."""

import keras

from tfq_lowbit.model.graph import Graph
from tfq_lowbit.model.rules import NO_FORM, find_rule
from tfq_lowbit.wrappers import FloatIsland


def isolate_unsupported(graph: Graph):
    """Put a `FloatIsland` around every layer that cannot be quantized.

    Raises:
        ValueError: naming the layer, if it cannot be an island either.
    """
    islands: dict[int, FloatIsland] = {}  # a layer that is called twice stays shared
    for node in graph.nodes:
        try:
            find_rule(node.layer)
        except ValueError as error:
            if id(node.layer) not in islands:
                islands[id(node.layer)] = FloatIsland(node.layer, _reason(str(error)))
            node.layer = islands[id(node.layer)]
            _check_island(node, str(error))


def _reason(message):
    """Return why a layer cannot be quantized, without its name and the layers that can."""
    reason = message.partition("cannot be quantized: ")[2].rstrip(".") or message
    return NO_FORM.rstrip(";") if reason.startswith(NO_FORM) else reason


def _check_island(node, message):
    outputs = keras.tree.flatten(node.outputs)
    types = {edge.dtype for edge in (*node.inputs, *outputs)}
    if len(outputs) != 1:
        reason = f"it has {len(outputs)} outputs"
    elif not node.inputs:
        reason = "it has no input"
    elif not all(keras.backend.is_float_dtype(each) for each in types):
        reason = f"its tensors are of the types {', '.join(sorted(types))}"
    else:
        return
    raise ValueError(f"{message} It cannot be a float island either: {reason}.")
