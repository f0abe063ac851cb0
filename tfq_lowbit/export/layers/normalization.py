"""Lowering of batch normalization and other factors by channel."""

import numpy as np

from tfq_lowbit.export.pending import Pending
from tfq_lowbit.export.pending_norm import PendingNorm
from tfq_lowbit.wrappers import batch_norm_affine


def lower_batch_norm(lowering, node):
    """Fold a batch normalization into what is pending before it, or make it one of its own."""
    takes_unit = len(node.inputs) > len(node.data_inputs)  # of the accumulator, or its grid
    multiplier, shift = (np.asarray(part) for part in batch_norm_affine(node.layer, takes_unit))
    _fold(lowering, node, multiplier, shift, takes_unit)


def lower_channel_scale(lowering, node):
    """Fold a factor for each channel likewise."""
    multiplier = np.asarray(node.layer.gamma, np.float32)
    _fold(lowering, node, multiplier, np.zeros_like(multiplier), rounds_shift=False)


def _fold(lowering, node, multiplier, shift, rounds_shift):
    edge = node.data_inputs[0]
    value = lowering.values[edge]
    if isinstance(value, Pending) and value.can_fold:
        value = lowering.pending(edge, f"layer {node.name!r}")
    else:
        value = PendingNorm(node.name, lowering.codes(edge, f"layer {node.name!r}"))
    value.fold(multiplier, shift, rounds_shift=rounds_shift)
    lowering.values[node.output] = value
