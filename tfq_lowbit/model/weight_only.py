"""Quantize weights and nothing else: activations stay in float."""

import math

import keras

from tfq_lowbit.model.arrays import freeze_arrays, takes_arrays
from tfq_lowbit.model.copying import copied, copy_weights, quantizer_of_weights, rebuild
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.model.graph import Graph, find_ends, is_edge
from tfq_lowbit.quantizers import MAX_BLOCK_BITS
from tfq_lowbit.wrappers import (
    BinaryWrapper,
    QuantizeActivation,
    QuantizeEmbedding,
    QuantizeWrapper,
    SnapToGrid,
    channel_shape,
    find_family,
)

# Layers that hold several kernels, which are taken apart; what else consists of parts is no less
# exact in float.
OF_KERNELS = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
# Theirs would not see a mask that comes with their input, unseen in the graph.
OF_KERNELS_WITHOUT_MASKS = (keras.layers.GroupQueryAttention, keras.layers.MultiHeadAttention)
# The channels of their kernels are an axis in the middle, along which no runtime was measured.
WITHOUT_UNPACKING = (keras.layers.Conv3DTranspose,)
DENSE = (keras.layers.Dense, keras.layers.EinsumDense)


def quantize_weights(graph: Graph, recipe):
    """Build the model of a graph with kernels and the tables of embeddings quantized.

    Layers without either stay as they are, whatever their class: they compute in float. So does
    attention where a layer of the model makes masks.

    Args:
        graph: of the float model.
        recipe: a `Recipe` without `activation_bits`.

    Returns:
        A functional model with copies of the weights.

    Raises:
        ValueError: if no layer has a kernel or table, an override matches none, or asks for blocks
            where there can be none.
    """
    makes_masks = any(_makes_mask(node.layer) for node in graph.nodes)
    taken_apart = OF_KERNELS if makes_masks else (*OF_KERNELS, *OF_KERNELS_WITHOUT_MASKS)
    decompose_layers(
        graph,
        lambda node, error: None,
        lambda node: type(node.layer) in taken_apart or takes_arrays(node),
    )
    for node in graph.nodes:
        freeze_arrays(node)
    weighted = [node for node in graph.nodes if _has_weights(node.layer)]
    if not weighted:
        raise ValueError(
            f"Model {graph.name!r} has no layer with a kernel, so there are no weights to quantize."
        )
    recipe.check_overrides([name for node in weighted for name in (node.path, node.origin) if name])
    ends = {id(node.layer) for node in find_ends(graph, weighted)}
    copies: dict[int, keras.layers.Layer] = {}

    def replacement(node):
        if not isinstance(node.layer, keras.layers.Layer):
            return node.layer
        copies[id(node.layer)] = _copy(node, recipe, id(node.layer) in ends)
        return copies[id(node.layer)]

    model = rebuild(graph, replacement)
    for node in graph.nodes:
        if id(node.layer) in copies:
            copy_weights(node.layer, copies[id(node.layer)])
    return model


def is_weight_only(graph: Graph) -> bool:
    """Return whether some layers of a graph have quantized weights, and nothing else has."""
    wrappers = [node.layer for node in graph.nodes if isinstance(node.layer, QuantizeWrapper)]
    tables = [node.layer for node in graph.nodes if isinstance(node.layer, QuantizeEmbedding)]
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
    return bool(wrappers or tables) and not others and not takes_grid and not has_own


def _has_weights(layer):
    if type(layer) in WITHOUT_UNPACKING:
        return False
    return type(layer) is keras.layers.Embedding or find_family(layer) is not None


def _makes_mask(layer):
    return isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False)


def _copy(node, recipe, is_end):
    layer, copy = node.layer, copied(node.layer, node.name)
    if _has_weights(layer):
        settings = recipe.settings(node.path, is_end, node.origin, isinstance(layer, DENSE))
        quantizer = quantizer_of_weights(layer, settings, _block_size(node, recipe, settings))
        is_table = isinstance(layer, keras.layers.Embedding)
        copy = (QuantizeEmbedding if is_table else QuantizeWrapper)(copy, quantizer)
    copy.trainable = layer.trainable
    return copy


def _block_size(node, recipe, settings):
    """Return the block size of a layer: None where a recipe for all layers cannot reach it."""
    is_dense = isinstance(node.layer, DENSE)
    if is_dense and settings.block_size == _count_inputs(node.layer):
        return None  # one block is the channel, of which there are faster kernels
    if settings.block_size is None:
        return None
    reason = _why_no_blocks(node.layer, settings)
    if reason is not None and recipe.overrides_setting("block_size", node.path, node.origin):
        raise ValueError(
            f"Layer {node.name!r} ({type(node.layer).__name__}) cannot have "
            f"block_size={settings.block_size}: {reason}. Give it block_size=None."
        )
    return settings.block_size if reason is None else None


def _why_no_blocks(layer, settings):
    """Return why the weights of a layer have no blocks, None where they can have them."""
    if settings.weight_bits > MAX_BLOCK_BITS:
        return f"blocks have at most {MAX_BLOCK_BITS} bits, this layer {settings.weight_bits}"
    if not isinstance(layer, (*DENSE, keras.layers.Embedding)):
        return "the runtime has blocks for dense layers and embeddings alone"
    inputs = _count_inputs(layer)
    return f"its {inputs} inputs are no whole blocks" if inputs % settings.block_size else None


def _count_inputs(layer):
    """Return how many weights a channel has."""
    if isinstance(layer, keras.layers.Embedding):
        return layer.output_dim
    return math.prod(layer.kernel.shape) // math.prod(channel_shape(layer))
