"""Calls that stay in float because they have no integer form."""

import keras

from tfq_lowbit.model.arrays import freeze_arrays
from tfq_lowbit.model.graph import Graph, Node
from tfq_lowbit.model.rules import NO_FORM, find_rule
from tfq_lowbit.wrappers import FloatIsland


class Islands:
    """Puts a `FloatIsland` around every layer that cannot be quantized."""

    def __init__(self):
        self._islands: dict[int, FloatIsland] = {}  # a layer that is called twice stays shared

    def isolate(self, node: Node, error: ValueError):
        """Let a call stay in float.

        Raises:
            ValueError: naming the layer, if it cannot be an island either.
        """
        layer = node.layer
        if id(layer) not in self._islands:
            self._islands[id(layer)] = FloatIsland(layer, _reason(str(error)))
        node.layer = self._islands[id(layer)]
        freeze_arrays(node)
        _check_island(node, str(error))

    def isolate_all(self, graph: Graph):
        """Let every call stay in float whose layer has no rule, or is refused by it."""
        for node in graph.nodes:
            try:
                find_rule(node.layer)
            except ValueError as error:
                self.isolate(node, error)


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
