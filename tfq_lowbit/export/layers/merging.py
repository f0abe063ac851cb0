"""Lowering of layers that merge tensors."""

from tfq_lowbit.export.operators import Maximum, Minimum, Subtract
from tfq_lowbit.export.pending import Pending, PendingCodes
from tfq_lowbit.export.pending_merge import (
    PendingExtremum,
    PendingJoin,
    PendingProduct,
    PendingSum,
)


def lower_add(lowering, node):
    """Lower the sum of two tensors."""
    _lower_sum(lowering, node)


def lower_subtract(lowering, node):
    """Lower the difference of two tensors."""
    _lower_sum(lowering, node, operator=Subtract)


def lower_average(lowering, node):
    """Lower the mean of two tensors."""
    _lower_sum(lowering, node, divisor=2)


def lower_multiply(lowering, node):
    """Lower the product of two tensors."""
    left, right = _operands(lowering, node)
    lowering.values[node.output] = PendingProduct(node.name, node.output.shape, left, right)


def lower_maximum(lowering, node):
    """Lower the largest of several tensors."""
    parts = _parts(lowering, node)
    lowering.values[node.output] = PendingExtremum(node.name, node.output.shape, parts, Maximum)


def lower_minimum(lowering, node):
    """Lower the smallest of several tensors."""
    parts = _parts(lowering, node)
    lowering.values[node.output] = PendingExtremum(node.name, node.output.shape, parts, Minimum)


def lower_concatenate(lowering, node):
    """Lower a concatenation: pending parts are emitted on its grid, others change to it."""
    parts, shape = _parts(lowering, node), node.output.shape
    axis = node.layer.axis % len(shape)
    lowering.values[node.output] = PendingJoin(node.name, shape, parts, axis)


def _lower_sum(lowering, node, **options):
    left, right = _operands(lowering, node)
    shape = node.output.shape
    lowering.values[node.output] = PendingSum(node.name, shape, left, right, **options)


def _operands(lowering, node):
    """Return the two tensors of a merge that reads int8 tensors."""
    label = f"layer {node.name!r}"
    edges = node.data_inputs
    if len(edges) != 2:
        raise ValueError(
            f"Layer {node.name!r} ({type(node.layer).__name__}) merges {len(edges)} tensors; an "
            "integer runtime merges two at a time, and rounds in between. Use "
            "tfq.quantize_model, or two layers with a tfq.QuantizeActivation between them."
        )
    return [lowering.codes(edge, label) for edge in edges]


def _parts(lowering, node):
    """Return pending values to emit on one grid: those pending, and codes that change to it."""
    parts = []
    for edge in node.data_inputs:
        value = lowering.values[edge]
        if isinstance(value, Pending):
            parts.append(lowering.pending(edge, f"layer {node.name!r}"))
        else:
            parts.append(PendingCodes(f"{node.name}/{edge.name}", value))
    return parts
