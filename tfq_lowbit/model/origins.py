"""How what a quantizer gets was computed, so that evaluation rounds it as the kernel does."""

import math

import keras

from tfq_lowbit.model.activations import clamp_of
from tfq_lowbit.model.rules import Role
from tfq_lowbit.wrappers import AxisMean, MatMul

# Operations on two tensors of codes, as an origin has them (see `wrappers.kernel_rounding`).
OPERATIONS = {
    keras.layers.Add: "add",
    keras.layers.Subtract: "subtract",
    keras.layers.Average: "average",
    keras.layers.Multiply: "multiply",
    MatMul: "multiply",
}


class Origins:
    """What the builder of a quantized model tells its quantizers.

    Args:
        placement: a `Placement`.

    Attributes:
        scaled: edges whose accumulator scales a quantizer needs.
    """

    def __init__(self, placement):
        self._placement = placement
        self.scaled = set()
        for edge in placement.quantized:
            self._find_scaled(edge)

    def describe(self, edge, built):
        """Return the origin of an edge that is to be quantized, None where it is not known.

        Args:
            edge: the edge.
            built: has `tensors`, `grids` and `scales`, each from edge to Keras tensor.
        """
        node, clamps, is_pooled = self._before(edge)
        if node is None:
            return None
        is_bounded = any(clamp.upper is not None or clamp.lower for clamp in clamps)
        if node.output in built.scales:
            return {"bounded" if is_bounded else "accumulate": built.scales[node.output]}
        operation = OPERATIONS.get(type(node.layer))
        edges = node.data_inputs
        if operation and not (len(edges) == 2 and all(each in built.grids for each in edges)):
            return None
        if operation == "multiply":
            factor = getattr(node.layer, "scale", 1.0)  # of a `MatMul`
            return {operation: {str(factor): [built.grids[each] for each in edges]}}
        # Sums are computed anew, from their operands: only what a ReLU does can be done again.
        if is_pooled or is_bounded:
            return None
        if operation:
            return {operation: [[built.tensors[each], built.grids[each]] for each in edges]}
        if isinstance(node.layer, keras.layers.Concatenate):
            return self._concatenated(node, built)
        if self._placement.roles[node] is Role.MEAN and edges[0] in built.grids:
            count = _count_averaged(node)
            return {"mean": {str(count): built.grids[edges[0]]}} if count else None
        return None

    def _concatenated(self, node, built):
        parts = []
        for edge in node.data_inputs:
            kept = {"keep": built.grids[edge]} if edge in built.grids else None
            parts.append([built.tensors[edge], kept or self.describe(edge, built)])
        if any(origin is None for _, origin in parts):
            return None
        axis = node.layer.axis % len(node.output.shape)
        return {"concatenate": {str(axis): parts}}

    def _before(self, edge):
        """Return the call whose integers are rounded, the clamps behind it, and if it is pooled."""
        placement, clamps, is_pooled = self._placement, [], False
        node = placement.producer(edge)
        while node is not None and self._passes(node):
            if placement.roles[node] is Role.ACTIVATION:
                clamps.append(clamp_of(node.layer))
            else:
                is_pooled = True
            node = placement.producer(node.data_inputs[0])
        if node is not None and placement.roles[node] is Role.KERNEL:
            clamps.append(clamp_of(node.layer))
        return node, clamps, is_pooled

    def _passes(self, node):
        """Whether a call passes on what is pending."""
        passes = self._placement.roles[node] in (Role.ACTIVATION, Role.MAX_POOL)
        return passes and self._placement.is_pending(node.data_inputs[0])

    def _find_scaled(self, edge):
        node, _, _ = self._before(edge)
        placement = self._placement
        if node is None or placement.is_binary(node):
            return
        role = placement.roles[node]
        if role is Role.CONCATENATE:
            for each in node.data_inputs:
                if placement.is_pending(each):
                    self._find_scaled(each)
        elif role is Role.KERNEL:
            self.scaled.add(node.output)
        elif role is Role.BATCH_NORM:
            self.scaled.add(node.output)
            if placement.folds(node):
                self._find_scaled(node.data_inputs[0])


def _count_averaged(node):
    """Return how many values each mean has, None where the shape leaves it open."""
    shape = node.data_inputs[0].shape
    axes = node.layer.axes(len(shape)) if isinstance(node.layer, AxisMean) else (1, 2)
    sizes = [shape[axis] for axis in axes]
    return None if None in sizes else math.prod(sizes)
