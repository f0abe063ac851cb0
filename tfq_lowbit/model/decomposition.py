"""Layers that are taken apart into simpler ones, before anything is quantized.

The parts hold copies of the weights; the float model stays as it is.
"""

from collections.abc import Callable

import keras

from tfq_lowbit.model.decompositions import decomposition_of
from tfq_lowbit.model.decompositions.parts import Parts
from tfq_lowbit.model.graph import Graph, is_edge


def decompose_layers(graph: Graph, isolate: Callable | None = None, wants: Callable | None = None):
    """Replace the calls of layers that consist of several by the calls of those.

    Args:
        graph: the graph, changed in place.
        isolate: `(node, error)`, what is done with a call that cannot be quantized; None raises the
            error.
        wants: `(node)`, whether a call is taken apart that can be; None for all.

    Raises:
        ValueError: naming a layer that cannot be quantized.
    """
    names = {node.name for node in graph.nodes}
    made: dict = {}
    waiting = list(reversed(graph.nodes))
    while waiting:
        node = waiting.pop()
        if wants is not None and not wants(node):
            continue
        parts = Parts(graph, node, names, made)
        try:
            decompose = decomposition_of(node.layer)
            if decompose is None:
                continue
            found = keras.tree.flatten(decompose(parts))
        except ValueError as error:
            if isolate is None:
                raise
            isolate(node, error)
            continue
        _take_place(parts.nodes, keras.tree.flatten(node.outputs), found)
        index = graph.nodes.index(node)
        graph.nodes[index : index + 1] = parts.nodes
        waiting.extend(reversed(parts.nodes))  # a part may consist of others


def _take_place(nodes, outputs, found):
    """Let the parts make the old outputs: they are what the rest of the graph takes."""
    old = dict(zip(found, outputs, strict=True))
    for edge, output in old.items():
        output.name, output.shape, output.group = edge.name, edge.shape, edge.group

    def rename(leaf):
        return old.get(leaf, leaf) if is_edge(leaf) else leaf

    for node in nodes:
        node.args, node.outputs = keras.tree.map_structure(rename, (node.args, node.outputs))
