"""Lowering of activation functions."""

import numpy as np

from tfq_lowbit.export.layers.functions import lower_function
from tfq_lowbit.export.layers.kernel import require_clamp
from tfq_lowbit.export.operators import Softmax
from tfq_lowbit.export.pending import NO_CLAMP, Pending, PendingCodes
from tfq_lowbit.export.program import Grid
from tfq_lowbit.model import function_of, has_softmax


def lower_activation(lowering, node):
    """Bound what is pending, or the codes on their own grid."""
    edge = node.data_inputs[0]
    if has_softmax(node.layer):
        lower_softmax(lowering, node)
        return
    if function_of(node.layer) is not None:
        lower_function(lowering, node)
        return
    clamp, value = require_clamp(node.name, node.layer), lowering.values[edge]
    if isinstance(value, Pending):
        value = lowering.pending(edge, f"layer {node.name!r}")
        value.clamp(clamp)
    elif clamp != NO_CLAMP:
        pending = PendingCodes(node.name, value)
        pending.clamp(clamp)
        value = pending.emit(lowering.emitter, value.grid)
    lowering.values[node.output] = value


def lower_softmax(lowering, node):
    """Lower a softmax over the last axis: its grid is the runtime's, 1/256 from 0."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    grid = Grid(np.float32(1.0 / 256.0), -128)
    output = lowering.emitter.tensor(node.name, node.output.shape, grid)
    lowering.values[node.output] = lowering.emitter.add(Softmax(node.name, source, output))
