"""Where tensors change between eight and sixteen bits.

An integer kernel takes and makes tensors of one type. So a call runs at 16 bits or at 8, and so do
the tensors that it makes; what takes a tensor of the other type gets a conversion before it.
"""

from collections.abc import Callable
from typing import Any

import keras

from tfq_lowbit.model.graph import Edge, Graph, Node, unused_name
from tfq_lowbit.model.rules import Role, refusal
from tfq_lowbit.quantizers import WIDE_BITS
from tfq_lowbit.wrappers import TRANSPOSED, Narrow, RPReLU, Widen

# Calls that work in the type of their input, whatever the recipe says of them.
FOLLOWING = (Role.ACTIVATION, Role.AVERAGE_POOL, Role.BATCH_NORM, Role.MAX_POOL, Role.SHAPE)
# Calls that the runtime computes in int8 alone, or looks up in a table of int8 codes.
ALWAYS_NARROW = (Role.SOFTMAX, Role.EMBEDDING)
# Calls that take no codes, and make what is asked for.
FREE = (Role.FLOAT, Role.WEIGHT)
MEND = "give it eight bits, recipe.override(layer, activation_bits=8)"


def why_never_wide(layer, role) -> str:
    """Return why a layer has no right int16 kernel, "" where it has one."""
    if isinstance(layer, TRANSPOSED):
        return "the int16 kernel of TRANSPOSE_CONV keeps the batch that a file was written for"
    if role is Role.AVERAGE_POOL and not isinstance(layer, keras.layers.AveragePooling2D):
        return "RESIZE_BILINEAR has no int16 kernel that is known to round as the layer does"
    if isinstance(layer, RPReLU):
        return "its custom operator takes int8 alone"
    return ""


class Conversions:
    """Decides the type of each edge, and puts conversions into a graph.

    Attributes:
        wide: the edges of 16 bits.

    Args:
        graph: the float graph; calls are inserted into it.
        roles: role of each call; the inserted ones are added.
        settings: settings of each call, likewise.
        input_bits: width of the model's inputs.

    Raises:
        ValueError: naming the layer, if one has no right kernel at 16 bits.
    """

    def __init__(self, graph: Graph, roles: dict, settings: dict, input_bits: int):
        self.graph, self.roles, self.settings = graph, roles, settings
        self.input_bits = input_bits
        self.wide: set[Edge] = set()
        nodes = list(graph.nodes)
        for edge in graph.input_edges:
            if input_bits == WIDE_BITS or self._feeds_wide(edge):
                self.wide.add(edge)
        for node in nodes:
            if self._is_wide(node):
                self._check(node)
                self.wide.update(keras.tree.flatten(node.outputs))
        if self.wide:
            self._insert(nodes)

    def takes_wide(self, node) -> bool:
        """Return whether a call that is no follower takes tensors of 16 bits."""
        role, settings = self.roles[node], self.settings[node]
        if role in (*ALWAYS_NARROW, *FREE) or (role is Role.KERNEL and settings.is_binary):
            return False
        return settings.activation_bits == WIDE_BITS

    def _follows(self, node):
        role = self.roles[node]
        if role in FREE:
            return True
        return role in FOLLOWING and not why_never_wide(node.layer, role)

    def _is_wide(self, node):
        role = self.roles[node]
        if role in FREE:
            return self._feeds_wide(node.output)
        if role is Role.RESCALING:  # an offset would move the zero of an int16 tensor
            wide = {edge for edge in node.data_inputs if edge in self.wide}
            if node.layer.offset:
                self.wide -= wide
                return False
            return bool(wide)
        if self._follows(node):
            return any(edge in self.wide for edge in node.data_inputs)
        return self.takes_wide(node)

    def _feeds_wide(self, edge):
        """Whether a call that takes 16 bits takes an edge, or what followers make of it."""
        for node in self.graph.consumers(edge):
            is_passed = self.roles[node] in (*FOLLOWING, Role.RESCALING)
            if self._feeds_wide(node.output) if is_passed else self.takes_wide(node):
                return True
        return False

    def _check(self, node):
        reason = why_never_wide(node.layer, self.roles[node])
        if any(edge.group for edge in keras.tree.flatten(node.outputs)):
            reason = "each of its steps would hold tables of all 65,536 codes"
        if reason:
            name = node.origin or node.path
            whole = f" (a part of {name!r})" if node.origin else ""
            raise refusal(node.layer, f"with 16-bit activations{whole} {reason}; {MEND}")

    def _insert(self, nodes):
        names = {node.name for node in nodes}
        for edge in [*self.graph.input_edges, *(node.output for node in nodes)]:
            is_wide = edge in self.wide
            takers = [
                node
                for node in dict.fromkeys(self.graph.consumers(edge))
                if not self._follows(node)
                and self.roles[node] is not Role.RESCALING
                and self.takes_wide(node) != is_wide
            ]
            if takers and keras.backend.is_float_dtype(edge.dtype):
                self._convert(edge, takers, names)

    def _convert(self, edge, takers, names):
        make: Callable[..., Any] = Narrow if edge in self.wide else Widen
        suffix = "int8" if edge in self.wide else "int16"
        name = unused_name(f"{edge.name}_to_{suffix}".replace("/", "_"), names)
        names.add(name)
        output = Edge(edge.shape, edge.dtype, name)
        node = Node(make(name=name), name, (edge,), {}, output)
        self.roles[node] = Role.NARROW if edge in self.wide else Role.WIDEN
        self.settings[node] = self.settings[takers[0]]
        if edge not in self.wide:
            self.wide.add(output)
        for taker in takers:
            taker.args, taker.kwargs = keras.tree.map_structure(
                lambda leaf: output if leaf is edge else leaf, (taker.args, taker.kwargs)
            )
        first = min(self.graph.nodes.index(taker) for taker in takers)
        self.graph.nodes.insert(first, node)
