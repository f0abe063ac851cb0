"""Lowering of pooling layers."""

import math

from tfq_lowbit.export.operators import AveragePool, MaxPool
from tfq_lowbit.export.pending import Pending, PendingMean, check_count
from tfq_lowbit.export.pending_binary import PendingMaxPool


def lower_global_average_pool(lowering, node):
    """Lower the mean over height and width, which gets a grid of its own."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    lowering.values[node.output] = PendingMean(
        node.name, node.output.shape, source, node.layer.keepdims
    )


def lower_axis_mean(lowering, node):
    """Lower the mean over some axes, which gets a grid of its own."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    axes = node.layer.axes(len(source.shape))
    lowering.values[node.output] = PendingMean(
        node.name, node.output.shape, source, node.layer.keepdims, axes
    )


def lower_average_pool(lowering, node):
    """Lower average pooling, which rounds on the grid of its input."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    check_count(node.name, math.prod(node.layer.pool_size), source.grid)
    lowering.move(node, _maker(node, AveragePool))
    lowering.program.edges[node.name] = lowering.values[node.output]


def lower_max_pool(lowering, node):
    """Lower max pooling."""
    edge, make = node.data_inputs[0], _maker(node, MaxPool)
    if not isinstance(lowering.values[edge], Pending):
        lowering.move(node, make)
        return
    before = lowering.pending(edge, f"layer {node.name!r}")
    lowering.values[node.output] = PendingMaxPool(
        node.name, node.output.shape, before, make, *_window(node.layer)
    )


def _maker(node, operator):
    window = _window(node.layer)
    return lambda source, output: operator(node.name, source, output, *window)


def _window(layer):
    return tuple(layer.pool_size), tuple(layer.strides), layer.padding.upper()
