"""Lowering of layers that merge tensors."""

from tfq_lowbit.export.pending import Pending, PendingCodes, PendingJoin, PendingSum


def lower_add(lowering, node):
    """Lower the sum of two tensors."""
    name = f"layer {node.name!r}"
    left, right = (lowering.codes(edge, name) for edge in node.data_inputs)
    lowering.values[node.output] = PendingSum(node.name, node.output.shape, left, right)


def lower_concatenate(lowering, node):
    """Lower a concatenation: pending parts are emitted on its grid, others change to it."""
    parts = []
    for edge in node.data_inputs:
        value = lowering.values[edge]
        if isinstance(value, Pending):
            parts.append(lowering.pending(edge, f"layer {node.name!r}"))
        else:
            parts.append(PendingCodes(f"{node.name}/{edge.name}", value))
    lowering.values[node.output] = PendingJoin(
        node.name, node.output.shape, parts, node.layer.axis % len(node.output.shape)
    )
