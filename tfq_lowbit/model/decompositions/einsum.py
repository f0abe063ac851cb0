"""Equations over two tensors: axes in order, one product of matrices, axes back."""

import math

import keras

from tfq_lowbit.model.decompositions.arrays import decompose_kernel_equation
from tfq_lowbit.model.graph import is_edge
from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import MatMul

layers = keras.layers


def decompose_einsum(parts):
    """Take an equation, as `"bqhd,bkhd->bhqk"`, apart.

    Axes of both tensors that the output has are one batch, axes of both that it has not are summed
    over. With an array in the place of a tensor it is a dense layer.
    """
    call = parts.call
    operation, edges = call.layer, [leaf for leaf in call.args if is_edge(leaf)]
    if len(call.args) != 2 or not edges:
        raise refusal(operation, f"it must have two operands, received {len(call.args)}")
    if len(edges) == 1:
        return decompose_kernel_equation(parts)
    left, right, outputs = _labels(operation)
    shared = [label for label in outputs if label in left and label in right]
    summed = [label for label in left if label in right and label not in outputs]
    rows = [label for label in outputs if label in left and label not in right]
    columns = [label for label in outputs if label in right and label not in left]
    sizes = dict(zip(left + right, edges[0].shape + edges[1].shape, strict=True))
    _check(operation, (left, right, outputs), shared[:1], sizes)
    batch = [sizes[label] for label in shared[1:]]
    num_rows, num_columns, num_summed = (
        math.prod(sizes[label] for label in labels) for labels in (rows, columns, summed)
    )
    ordered = _order(parts, "left", edges[0], left, shared + rows + summed)
    first = parts.reshape("rows", ordered, (*batch, num_rows, num_summed))
    ordered = _order(parts, "right", edges[1], right, shared + columns + summed)
    second = parts.reshape("columns", ordered, (*batch, num_columns, num_summed))
    made = shared + rows + columns
    shape = tuple(sizes[label] for label in made[1:])
    is_whole = made == outputs and shape == (*batch, num_rows, num_columns)
    product = parts.add(
        "" if is_whole else "product",
        lambda **options: MatMul(transpose_right=True, **options),
        [first, second],
    )
    if is_whole:
        return product
    is_last = made == outputs
    unfolded = parts.reshape("" if is_last else "unfolded", product, shape)
    return unfolded if is_last else _order(parts, "", unfolded, made, outputs)


def _labels(operation):
    equation = operation.subscripts.replace(" ", "")
    if "->" not in equation or "." in equation:
        raise refusal(operation, f"it must name every axis, '->' and no '...': {equation!r}")
    terms, outputs = equation.split("->")
    left, right = terms.split(",")
    return list(left), list(right), list(outputs)


def _check(operation, terms, batch, sizes):
    left, right, outputs = terms
    subscripts = operation.subscripts
    if any(len(set(term)) != len(term) for term in terms):
        raise refusal(operation, f"an axis must not come twice in one term: {subscripts!r}")
    if not batch or not left[0] == right[0] == outputs[0] == batch[0]:
        raise refusal(operation, f"the batch must be the first axis of all terms: {subscripts!r}")
    lone = [each for each in set(left) ^ set(right) if each not in outputs]
    if lone:
        raise refusal(operation, f"it sums over an axis of one tensor alone: {subscripts!r}")
    if not set(left) & set(right) - set(outputs):
        raise refusal(operation, f"it sums over no axis: {subscripts!r}; multiply them instead")
    if any(sizes[label] is None for label in sizes if label != batch[0]):
        raise refusal(operation, "all sizes but the batch must be known")


def _order(parts, part, edge, labels, wanted):
    """Add the change of the axes of an edge from one order to another; nothing where it is that."""
    if labels == wanted:
        return edge
    axes = tuple(labels.index(label) for label in wanted[1:])
    return parts.add(part, lambda **options: layers.Permute(axes, **options), edge)
