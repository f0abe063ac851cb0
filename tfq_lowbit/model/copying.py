"""Copies of float layers for a quantized model."""

from collections.abc import Callable

import keras

from tfq_lowbit.quantizers import kernel_quantizer
from tfq_lowbit.wrappers import (
    BinaryWrapper,
    QuantizeEmbedding,
    QuantizeWrapper,
    Shell,
    channel_axes,
)

ROWS = 0  # the axis of a table whose rows are its channels


def copied(layer, name):
    """Return a layer of the same config under another name, its weights not set."""
    if isinstance(layer, Shell):
        return layer.copy(name)
    return type(layer).from_config(named_config(layer, name))


def named_config(layer, name):
    """Return the config of a layer, named as its first call: in a nested model it has a prefix."""
    return {**layer.get_config(), "name": name}


def copy_weights(layer, copy):
    """Set the weights of a copy; step sizes are set from the kernel or table."""
    if isinstance(copy, (QuantizeWrapper, BinaryWrapper, QuantizeEmbedding)):
        copy.layer.set_weights(layer.get_weights())
        copy.kernel_quantizer.initialize(copy.latent_weights)
    else:
        copy.set_weights(layer.get_weights())


def quantizer_of_weights(layer, settings, block_size=None):
    """Build the quantizer that `LayerSettings` give the kernel of a layer, or its table.

    Args:
        layer: a float layer.
        settings: its settings.
        block_size: number of inputs that share a step size, None for all of a channel.
    """
    axis = None
    if settings.per_channel:
        axis = ROWS if isinstance(layer, keras.layers.Embedding) else channel_axes(layer)
    return kernel_quantizer(
        settings.weight_quantizer, settings.weight_bits, axis, settings.weight_init, block_size
    )


def rebuild(graph, replacement) -> keras.Model:
    """Build a functional model of a graph, with other layers in it.

    Args:
        graph: of the model.
        replacement: `node -> layer`, asked once for each layer, whatever the number of its calls.
    """
    layers: dict[int, Callable] = {}

    def call(node, args, kwargs):
        if id(node.layer) not in layers:
            layers[id(node.layer)] = replacement(node)
        return layers[id(node.layer)](*args, **kwargs)

    def new_input(edge):
        return keras.Input(batch_shape=edge.shape, dtype=edge.dtype, name=edge.name)

    inputs = keras.tree.map_structure(new_input, graph.inputs)
    flat = graph.run(keras.tree.flatten(inputs), call)
    return keras.Model(inputs, keras.tree.pack_sequence_as(graph.outputs, flat), name=graph.name)
