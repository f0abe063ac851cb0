"""Rules of a target, one row each, and what they have in common."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfq_lowbit.targets.findings import Finding

# The operators whose second input is a filter.
WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
POOLS = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D"})
QUANTIZED = frozenset({"INT4", "INT8", "INT16", "UINT8"})


class Rule(NamedTuple):
    """What a target asks of an operator.

    Attributes:
        operators: names of those it is asked of, None for all.
        breaks: `(operator) -> str`, what the operator has instead, "" where it holds.
        rule: what is asked for, as a sentence without its full stop.
        mend: what to do, as sentences.
        is_error: see `Finding`.
    """

    operators: frozenset | None
    breaks: Callable
    rule: str
    mend: str
    is_error: bool = True

    def findings(self, operator):
        """Return what `operator` breaks of it, a list of at most one `Finding`."""
        if self.operators is not None and operator.code not in self.operators:
            return []
        found = self.breaks(operator)
        if not found:
            return []
        return [Finding(operator.code, operator.name, self.rule, found, self.mend, self.is_error)]


class FileRule(NamedTuple):
    """What a target asks of a file as a whole; as `Rule`, of a `FileView`."""

    breaks: Callable
    rule: str
    mend: str
    is_error: bool = True

    def findings(self, file):
        """Return what `file` breaks of it, a list of at most one `Finding`."""
        found = self.breaks(file)
        return [Finding("", "", self.rule, found, self.mend, self.is_error)] if found else []


# Predicates that several targets share.


def types_beside(*allowed):
    """Return the types of data that are not among `allowed`."""

    def breaks(operator):
        data = (*operator.data, *operator.outputs)
        return ", ".join(sorted({each.type for each in data if each.type not in allowed}))

    return breaks


def weight_types_beside(*allowed):
    """Return the type of a filter that is not among `allowed`."""

    def breaks(operator):
        weights = operator.weights
        return "" if weights is None or weights.type in allowed else weights.type

    return breaks


def differing_grids(operator):
    """Return the quantized inputs whose scale or zero point is not the output's."""
    output = operator.outputs[0]
    if output.type not in QUANTIZED:
        return ""
    tensors = [each for each in operator.inputs if each is not None and each.type == output.type]
    parted = [each for each in tensors if not is_same_grid(each, output)]
    return ", ".join(f"{each.name!r} on {each.grid} into {output.grid}" for each in parted[:2])


def is_same_grid(left, right):
    """Return whether two tensors have the same scales and zero points."""
    return np.array_equal(left.scales, right.scales) and np.array_equal(
        left.zero_points, right.zero_points
    )


def free_sizes(file):
    """Return how many tensors of a `FileView` have sizes that are not fixed."""
    free = {id(each) for operator in file.operators for each in operator.tensors if each.is_free}
    return f"{len(free)} tensors with free sizes" if free else ""


def fused_activation(operator):
    """Return a fused activation, where there is none to be."""
    return "" if operator.activation == "NONE" else f"a fused {operator.activation}"


def reduced_axes(operator):
    """Return the axes that a reduction runs over, from 0."""
    rank = len(operator.source.shape)
    return sorted({int(axis) % rank for axis in operator.weights.values})


def strides(operator):
    """Return strides in height and width."""
    return operator.option("strideH", 1), operator.option("strideW", 1)


def dilations(operator):
    """Return dilations in height and width."""
    return operator.option("dilationHFactor", 1), operator.option("dilationWFactor", 1)
