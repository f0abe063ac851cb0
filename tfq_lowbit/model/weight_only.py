"""Quantize weights and nothing else: activations stay in float."""

import keras

from tfq_lowbit.model.copying import copied, copy_weights, quantizer_of_kernel
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.model.graph import Graph, find_ends, is_edge
from tfq_lowbit.wrappers import (
    BinaryWrapper,
    QuantizeActivation,
    QuantizeWrapper,
    SnapToGrid,
    find_family,
)

# Layers that hold several kernels, which are taken apart; what else consists of parts is no less
# exact in float.
OF_KERNELS = (
    keras.layers.GroupQueryAttention,
    keras.layers.MultiHeadAttention,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def quantize_weights(graph: Graph, recipe):
    """Build the model of a graph with the kernels quantized.

    Layers without a kernel stay as they are, whatever their class: they compute in float.

    Args:
        graph: of the float model.
        recipe: a `Recipe` without `activation_bits`.

    Returns:
        A functional model with copies of the weights.

    Raises:
        ValueError: if no layer has a kernel, or an override matches none.
    """
    decompose_layers(graph, lambda node, error: None, OF_KERNELS)
    kernels = [node for node in graph.nodes if find_family(node.layer) is not None]
    if not kernels:
        raise ValueError(
            f"Model {graph.name!r} has no layer with a kernel, so there are no weights to quantize."
        )
    recipe.check_overrides([name for node in kernels for name in (node.path, node.origin) if name])
    ends = {id(node.layer) for node in find_ends(graph, kernels)}
    copies: dict[int, keras.layers.Layer] = {}

    def call(node, args, kwargs):
        if not isinstance(node.layer, keras.layers.Layer):
            return node.layer(*args, **kwargs)
        if id(node.layer) not in copies:
            copies[id(node.layer)] = _copy(node, recipe, id(node.layer) in ends)
        return copies[id(node.layer)](*args, **kwargs)

    def new_input(edge):
        return keras.Input(batch_shape=edge.shape, dtype=edge.dtype, name=edge.name)

    inputs = keras.tree.map_structure(new_input, graph.inputs)
    flat = graph.run(keras.tree.flatten(inputs), call)
    model = keras.Model(inputs, keras.tree.pack_sequence_as(graph.outputs, flat), name=graph.name)
    for node in graph.nodes:
        if id(node.layer) in copies:
            copy_weights(node.layer, copies[id(node.layer)])
    return model


def is_weight_only(graph: Graph) -> bool:
    """Return whether some layers of a graph have quantized kernels, and nothing else has."""
    wrappers = [node.layer for node in graph.nodes if isinstance(node.layer, QuantizeWrapper)]
    others = [
        node.layer
        for node in graph.nodes
        if isinstance(node.layer, BinaryWrapper | QuantizeActivation | SnapToGrid)
    ]
    takes_grid = any(
        is_edge(leaf)
        for node in graph.nodes
        if isinstance(node.layer, QuantizeWrapper)
        for leaf in (node.kwargs.get("input_grid"), *node.args[1:2])
    )
    has_own = any(each.input_quantizer or each.output_quantizer for each in wrappers)
    return bool(wrappers) and not others and not takes_grid and not has_own


def _copy(node, recipe, is_end):
    layer, copy = node.layer, copied(node.layer, node.name)
    if find_family(layer) is not None:
        is_dense = isinstance(layer, keras.layers.Dense | keras.layers.EinsumDense)
        settings = recipe.settings(node.path, is_end, node.origin, is_dense)
        copy = QuantizeWrapper(copy, quantizer_of_kernel(layer, settings))
    copy.trainable = layer.trainable
    return copy
