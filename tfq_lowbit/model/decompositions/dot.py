"""The product of two tensors over one axis of each."""

import keras

from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import MatMul

layers = keras.layers


def decompose_dot(parts):
    """Take `Dot` apart: the axes go last, a vector becomes one row, and rows multiply with rows."""
    layer, call = parts.call.layer, parts.call
    edges = call.data_inputs
    if any(len(edge.shape) > 3 or None in edge.shape[1:] for edge in edges):
        raise refusal(layer, "its inputs must have at most three axes, of known sizes")
    axes = [layer.axes, layer.axes] if isinstance(layer.axes, int) else layer.axes
    left, right = (
        _with_rows(parts, part, edge, axis % len(edge.shape))
        for part, edge, axis in zip(("left", "right"), edges, axes, strict=True)
    )
    shape = tuple(call.output.shape[1:])
    is_whole = shape == (left.shape[1], right.shape[1])
    product = parts.add(
        "" if is_whole else "product",
        lambda **options: MatMul(transpose_right=True, **options),
        [left, right],
    )
    return product if is_whole else parts.reshape("", product, shape)


def _with_rows(parts, part, edge, axis):
    """Return an edge whose last of three axes is the one that is multiplied over."""
    if len(edge.shape) == 2:
        return parts.reshape(part, edge, (1, edge.shape[1]))
    if axis == 2:
        return edge
    return parts.add(part, lambda **options: layers.Permute((2, 1), **options), edge)
