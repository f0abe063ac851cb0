"""Lowering of pooling layers."""

from tfq_lowbit.export.operators import AveragePool, MaxPool
from tfq_lowbit.export.pending import PendingMean


def lower_global_average_pool(lowering, node):
    """Lower the mean over height and width, which gets a grid of its own."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    lowering.values[node.output] = PendingMean(
        node.name, node.output.shape, source, node.layer.keepdims
    )


def lower_average_pool(lowering, node):
    """Lower average pooling, which rounds on the grid of its input."""
    lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    _pool(lowering, node, AveragePool)
    lowering.program.edges[node.name] = lowering.values[node.output]


def lower_max_pool(lowering, node):
    """Lower max pooling."""
    _pool(lowering, node, MaxPool)


def _pool(lowering, node, operator):
    layer = node.layer
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    padding = layer.padding.upper()
    lowering.move(
        node,
        lambda source, output: operator(node.name, source, output, window, strides, padding),
    )
