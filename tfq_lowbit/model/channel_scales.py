"""Layers that multiply by a weight a channel, as LayerScale, whoever wrote them."""

import keras

from tfq_lowbit.model.tracing import trace_call
from tfq_lowbit.wrappers import ChannelScale


def apply_channel_scale(node, made: dict):
    """Put a `ChannelScale` in the place of a layer that is one.

    It is one if it has one weight, of shape (channels,), and its `call` is a product with it and
    nothing else: `return inputs * self.gamma`.

    Args:
        node: a call of the graph, changed in place.
        made: what was put in place of which layer, by the layer's id: a layer that is called twice
            stays shared.
    """
    if not _may_be_scale(node.layer) or len(node.inputs) != 1:
        return
    layer, (edge,) = node.layer, node.inputs
    if [tuple(weight.shape) for weight in layer.weights] != [tuple(edge.shape[-1:])]:
        return
    if id(layer) not in made:
        made[id(layer)] = layer, _make(node, edge)
    scale = made[id(layer)][1]
    if scale is not None:
        node.layer, node.args, node.kwargs = scale, (edge,), {}


def _may_be_scale(layer):
    """Whether a layer is somebody's own, or one that Keras does not offer by itself."""
    is_public = getattr(keras.layers, type(layer).__name__, None) is type(layer)
    is_ours = type(layer).__module__.partition(".")[0] == "tfq_lowbit"
    return isinstance(layer, keras.layers.Layer) and not is_public and not is_ours


def _make(node, edge):
    layer = node.layer
    args, kwargs = keras.tree.map_structure(
        lambda leaf: keras.Input(edge.shape[1:], dtype=edge.dtype) if leaf is edge else leaf,
        (node.args, node.kwargs),
    )
    try:
        functional = trace_call(layer, args, kwargs)
    except ValueError:
        return None
    (gamma,) = layer.weights
    if not _is_product(functional, gamma):
        return None
    scale = ChannelScale(
        regularizer=gamma.regularizer,
        constraint=gamma.constraint,
        name=layer.name,
        dtype=layer.dtype_policy,
        trainable=layer.trainable and gamma.trainable,
    )
    scale.build(edge.shape)
    scale.gamma.assign(gamma)
    return scale


def _is_product(functional, gamma):
    """Whether a model multiplies its input by a variable and does nothing else."""
    calls = []

    def record(operation, *args, **kwargs):
        calls.append((operation, args))
        return operation(*args, **kwargs)

    keras.models.clone_model(functional, call_function=record, clone_function=lambda layer: layer)
    if len(calls) != 1:
        return False
    ((operation, factors),) = calls
    return type(operation).__name__ == "Multiply" and any(each is gamma for each in factors)
