"""Equations of `EinsumDense` that are a dense layer over the last axes of their input."""

from dataclasses import dataclass

import numpy as np

# Stands for the axes of an ellipsis in a parsed equation; no letter.
ELLIPSIS = "."


@dataclass(frozen=True)
class DenseEquation:
    """`sum over k of x[..., k] * kernel[k, n]`, with several axes for k and for n.

    Attributes:
        order: axes of the kernel in the order of the matrix: first those summed over, as they lie
            in the input, then those of the output.
        num_inputs: how many last axes of the input are summed over.
        num_outputs: how many last axes of the output are new.

    Example:
        >>> parse_equation("abc,cde->abde")
        DenseEquation(order=(0, 1, 2), num_inputs=1, num_outputs=2)
    """

    order: tuple
    num_inputs: int
    num_outputs: int

    @property
    def channel_axes(self):
        """The axes of the kernel that make up the output channels."""
        return self.order[self.num_inputs :]

    def to_matrix(self, kernel):
        """Return a kernel, an array, as a matrix of shape (inputs, outputs)."""
        kernel = np.transpose(kernel, self.order)
        return kernel.reshape(int(np.prod(kernel.shape[: self.num_inputs])), -1)

    def from_matrix(self, matrix, shape):
        """Return a matrix as a kernel of `shape`: the inverse of `to_matrix`."""
        ordered = matrix.reshape([shape[axis] for axis in self.order])
        return np.transpose(ordered, np.argsort(self.order))


def parse_equation(equation) -> DenseEquation:
    """Return what an equation `"inputs,kernel->outputs"` does, as a dense layer.

    Raises:
        ValueError: if it is no dense layer over the last axes; the message says why not.
    """
    left, outputs = equation.replace(" ", "").replace("...", ELLIPSIS).split("->")
    inputs, kernel = left.split(",")
    summed = [label for label in inputs if label not in outputs]
    new = [label for label in outputs if label not in inputs]
    kept = [label for label in inputs if label in outputs]
    if not kept or set(kernel) != {*summed, *new}:
        raise ValueError("its kernel must be summed over or new in the output, axis by axis")
    is_last = inputs == "".join(kept + summed) and outputs == "".join(kept + new)
    if not (is_last and summed and new):
        raise ValueError(
            "it must sum over the last axes of the input and make the last of the output"
        )
    if [label for label in kernel if label in new] != new:
        raise ValueError("the new axes must come in the same order in kernel and output")
    order = tuple(kernel.index(label) for label in summed + new)
    return DenseEquation(order, len(summed), len(new))


def bias_reason(equation, bias_axes):
    """Return why a bias cannot be exported, None if it is one a channel or there is none."""
    outputs = equation.replace(" ", "").split("->")[1]
    num_new = parse_equation(equation).num_outputs
    if bias_axes and not set(bias_axes) <= set(outputs[len(outputs) - num_new :]):
        return f"its bias_axes {bias_axes!r} must be among the new axes of the output"
    return None
