"""Lowering of what attention is made of."""

from tfq_lowbit.export.pending import Pending, PendingCodes
from tfq_lowbit.export.pending_matmul import PendingMask, PendingMatMul


def lower_matmul(lowering, node):
    """Lower the product of two tensors."""
    left, right = (lowering.codes(edge, f"layer {node.name!r}") for edge in node.data_inputs)
    layer = node.layer
    lowering.values[node.output] = PendingMatMul(
        node.name, node.output.shape, left, right, layer.transpose_right, layer.scale
    )


def lower_causal_mask(lowering, node):
    """Lower bounds on the scores of later steps."""
    edge = node.data_inputs[0]
    value = lowering.values[edge]
    if isinstance(value, Pending):
        before = lowering.pending(edge, f"layer {node.name!r}")
    else:
        before = PendingCodes(node.name, value)
    bounds = node.layer.bounds(node.output.shape)
    lowering.values[node.output] = PendingMask(node.name, node.output.shape, before, bounds)
