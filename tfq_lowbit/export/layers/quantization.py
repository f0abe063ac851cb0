"""Lowering of the layers that quantize, and of the one that changes the unit of an input."""

import numpy as np

from tfq_lowbit.export.layers.functions import lower_function
from tfq_lowbit.export.layers.moving import lower_identity
from tfq_lowbit.export.operators import Convert
from tfq_lowbit.export.pending import PendingInput
from tfq_lowbit.export.program import Grid
from tfq_lowbit.export.storage import INT16
from tfq_lowbit.wrappers import WIDENING


def lower_quantize_activation(lowering, node):
    """Put what is pending on the grid of the layer's quantizer."""
    lowering.quantize(node.data_inputs[0], node.output, node.name, node.layer.quantizer)


def lower_widen(lowering, node):
    """Put codes of int8 on a grid of int16."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    grid = Grid.whole(source.grid.scale / np.float32(WIDENING), 0, INT16)
    output = lowering.emitter.tensor(node.name, source.shape, grid)
    output = lowering.emitter.add(Convert(node.name, source, output))
    lowering.values[node.output] = lowering.program.edges[node.name] = output


def lower_snap_to_grid(lowering, node):
    """Record the tensor: its codes are on the grid already."""
    lower_identity(lowering, node)
    lowering.program.edges[node.name] = lowering.values[node.output]


def lower_rescaling(lowering, node):
    """Change the unit of a model input, or compute an affine function of codes."""
    edge = node.data_inputs[0]
    if not isinstance(lowering.values[edge], PendingInput):
        lower_function(lowering, node)
        return
    value = lowering.pending(edge, f"layer {node.name!r}")
    if node.layer.scale < 0:
        raise ValueError(
            f"Layer {node.name!r} (Rescaling) cannot be exported: a model input changes its unit "
            f"by a positive factor, received scale={node.layer.scale!r}. Put a "
            "tfq.QuantizeActivation between them, or use tfq.quantize_model."
        )
    value.rescale(float(node.layer.scale), float(node.layer.offset))
    lowering.values[node.output] = value
