"""Lowering of tensors of weights."""

import numpy as np

from tfq_lowbit.export.pending_weight import PendingWeight


def lower_weight_tensor(lowering, node):
    """Lower a tensor of weights: a constant of the file."""
    values = np.asarray(node.layer.weight, np.float32)[None]
    lowering.values[node.output] = PendingWeight(node.name, node.output.shape, values)
