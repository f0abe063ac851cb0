"""Normalization of each position: mean, square, inverse root and products, all of eight bits.

The tensors within have eight bits whatever the recipe says: a variance of four would leave sixteen
different scales.
"""

import keras

from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import AxisMean, InverseRoot

layers = keras.layers
# What Keras adds to the sum of squares of a vector.
UNIT_EPSILON = 1e-12


def decompose_layer_norm(parts):
    """Take `(x - mean) / sqrt(variance + epsilon) * gamma + beta` apart."""
    layer, edge = parts.call.layer, _checked_input(parts)
    parts.is_precise = True
    mean = parts.add("mean", _make_mean, edge)
    centered = parts.add("centered", lambda **options: layers.Subtract(**options), [edge, mean])
    return _normalize(parts, centered, 1.0, layer.epsilon, layer.gamma, layer.beta)


def decompose_rms_norm(parts):
    """Take `x / sqrt(mean of squares + epsilon) * scale` apart."""
    layer, edge = parts.call.layer, _checked_input(parts)
    parts.is_precise = True
    return _normalize(parts, edge, 1.0, layer.epsilon, layer.scale, None)


def decompose_unit_norm(parts):
    """Take `x / sqrt(sum of squares)` apart."""
    edge = _checked_input(parts)
    parts.is_precise = True
    return _normalize(parts, edge, edge.shape[-1], UNIT_EPSILON, None, None)


def _make_mean(**options):
    return AxisMean(-1, keepdims=True, **options)


def _checked_input(parts):
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    rank = len(edge.shape)
    if [axis % rank for axis in axes] != [rank - 1]:
        raise refusal(layer, f"axis must be the last one, received {layer.axis!r}")
    if rank > 4:
        raise refusal(layer, f"its input must have at most four axes, received {edge.shape}")
    return edge


def _normalize(parts, centered, factor, epsilon, gamma, beta):
    squares = parts.add(
        "squares", lambda **options: layers.Multiply(**options), [centered, centered]
    )
    variance = parts.add("variance", _make_mean, squares)
    inverse = parts.add(
        "inverse", lambda **options: InverseRoot(factor, epsilon, **options), variance
    )
    normalized = parts.add(
        "" if gamma is None else "normalized",
        lambda **options: layers.Multiply(**options),
        [centered, inverse],
    )
    return normalized if gamma is None else _scale(parts, normalized, gamma, beta)


def _scale(parts, edge, gamma, beta):
    """Add a factor and an offset a channel: a depthwise convolution of one position."""
    layer = parts.call.layer
    conv = layers.DepthwiseConv2D if len(edge.shape) == 4 else layers.DepthwiseConv1D

    def make(**options):
        return conv(
            1,
            use_bias=beta is not None,
            depthwise_regularizer=getattr(layer, "gamma_regularizer", None),
            depthwise_constraint=getattr(layer, "gamma_constraint", None),
            bias_regularizer=getattr(layer, "beta_regularizer", None),
            bias_constraint=getattr(layer, "beta_constraint", None),
            **options,
        )

    shape = edge.shape[1:]
    edge = parts.reshape("row", edge, (1, *shape) if len(shape) == 1 else shape)
    kernel = keras.ops.reshape(gamma, (*[1] * (len(edge.shape) - 2), -1, 1))
    scaled = parts.add("", make, edge, [kernel, *([] if beta is None else [beta])])
    return parts.reshape("vector", scaled, shape)
