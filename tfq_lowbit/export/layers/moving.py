"""Lowering of layers that move codes or leave them as they are."""

from tfq_lowbit.export.operators import Pad, Reshape


def lower_zero_padding(lowering, node):
    """Lower padding with the code of 0."""
    paddings = tuple(tuple(pair) for pair in node.layer.padding)
    lowering.move(node, lambda source, output: Pad(node.name, source, output, paddings))


def lower_reshape(lowering, node):
    """Lower a change of shape."""
    if node.output.shape == node.data_inputs[0].shape:
        lower_identity(lowering, node)
    else:
        lowering.move(node, lambda source, output: Reshape(node.name, source, output))


def lower_identity(lowering, node):
    """Lower a layer that does nothing in inference."""
    lowering.values[node.output] = lowering.values[node.data_inputs[0]]
    lowering.uses[node.output] = max(lowering.uses[node.output], lowering.uses[node.data_inputs[0]])
