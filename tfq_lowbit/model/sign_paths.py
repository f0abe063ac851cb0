"""Edges that need no grid, because a binary layer takes only the sign of what they carry.

Between a kernel and the binary layer behind it lie batch normalization, activation, pooling and
changes of shape. All but the last are monotonic in each channel, so that the sign of the result is
one comparison of the kernel's integer accumulator with a threshold.
"""

import keras

from tfq_lowbit.model.activations import CLAMPS, activation_name
from tfq_lowbit.model.graph import Edge, Node
from tfq_lowbit.model.rules import Role, is_no_op
from tfq_lowbit.quantizers import INPUT_SCHEMES, KERNEL_SCHEMES

_PASSING_SIGNS = (keras.layers.Flatten, keras.layers.Reshape)
MONOTONIC = (Role.BATCH_NORM, Role.ACTIVATION, Role.MAX_POOL)


def find_sign_paths(placement) -> set[Edge]:
    """Return the edges between a kernel and a binary layer that takes its accumulator's sign.

    Args:
        placement: a `Placement` whose roles and settings are known.
    """
    return {edge for node in placement.graph.nodes for edge in _path(placement, node)}


def is_function_of_accumulator(placement, node: Node) -> bool:
    """Return whether a layer is binary, with an output that depends on its accumulator alone.

    It does not where the levels of the kernel have an offset, for which the sum of the inputs is
    added.
    """
    if not placement.is_binary(node):
        return False
    scheme = KERNEL_SCHEMES[placement.settings[node].weight_quantizer]
    return not getattr(scheme.quantizer, "has_offset", False)


def _path(placement, kernel):
    """Return the edges from a kernel to the binary layer that takes its sign, if there is one."""
    if placement.roles[kernel] is not Role.KERNEL or activation_name(kernel.layer) not in CLAMPS:
        return []
    path: list[Edge] = []
    between: list[Role] = []
    edge, is_flat = kernel.output, False
    while len(placement.consumers(edge)) == 1 and edge not in placement.graph.output_edges:
        path.append(edge)
        (node,) = placement.consumers(edge)
        if placement.is_binary(node):
            scheme = INPUT_SCHEMES[placement.settings[node].input_quantizer]
            takes_shape = not (is_flat and scheme.has_channel_thresholds)
            return path if takes_shape and _is_threshold(placement, kernel, between) else []
        if not _passes_signs(placement.roles[node], node, is_flat):
            return []
        is_flat |= node.output.shape[-1] != edge.shape[-1]
        between.append(placement.roles[node])
        edge = node.output
    return []


def _is_threshold(placement, kernel, between):
    """Whether the accumulator of `kernel` decides on a sign, with layers of these roles between."""
    if placement.is_binary(kernel):
        return is_function_of_accumulator(placement, kernel)
    # An integer layer has one scale and bias a channel, set by the normalization right behind it.
    is_normalized = between[:1] == [Role.BATCH_NORM] and between.count(Role.BATCH_NORM) == 1
    return is_normalized and activation_name(kernel.layer) == "linear"


def _passes_signs(role, node, is_flat):
    """Whether signs can be taken before `node`; channels are no more what they were if flat."""
    before, after = node.data_inputs[0].shape, node.output.shape
    if role is Role.SHAPE:
        if not (isinstance(node.layer, _PASSING_SIGNS) or is_no_op(node.layer)):
            return False  # it moves codes, or adds zeros, which have a sign of their own
        is_flattened = len(before) == 4 and len(after) == 2
        return before == after or (not is_flat and (is_flattened or before[-1] == after[-1]))
    return role is Role.ACTIVATION or (role in MONOTONIC and not is_flat)
