"""Sums, products, extrema and joins of int8 tensors, until a quantizer gives them a grid."""

from dataclasses import replace

import numpy as np

from tfq_lowbit.export.operators import Add, Concatenation, Multiply, Reshape
from tfq_lowbit.export.pending import ClampedPending, Pending, PendingCodes
from tfq_lowbit.export.program import Constant, Grid
from tfq_lowbit.model import Clamp


class PendingSum(ClampedPending):
    """The sum or difference of two int8 tensors, or their mean.

    Args:
        name: path of the layer.
        shape: of the output.
        left: the first tensor, or a constant.
        right: the second, likewise.
        operator: `Add` or `Subtract`.
        divisor: by what the sum is divided. A division is a change of unit: the sum is written on
            a grid that is `divisor` times coarser, and its codes copied to the output's.
    """

    def __init__(self, name, shape, left, right, operator=Add, divisor=1):
        super().__init__(name, shape)
        self._left, self._right = left, right
        self._operator, self._divisor = operator, divisor

    def _emit(self, emitter, grid):
        if self._divisor != 1:
            return self._emit_divided(emitter, grid)
        sides = [_in_reach(emitter, self.name, side, grid) for side in (self._left, self._right)]
        check_sum(emitter, self.name, sides, grid)
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output, activation: self._operator(self.name, *sides, output, activation),
        )

    def _emit_divided(self, emitter, grid):
        divisor = np.float32(self._divisor)
        total = PendingSum(f"{self.name}/sum", self.shape, self._left, self._right, self._operator)
        bounds = (None if bound is None else bound * self._divisor for bound in self._clamp)
        total.clamp(Clamp(*bounds))
        codes = total.emit(emitter, grid.rescaled(divisor))
        return emitter.add(Reshape(self.name, codes, emitter.tensor(self.name, self.shape, grid)))


class PendingProduct(ClampedPending):
    """The product of two int8 tensors.

    Args:
        name: path of the layer.
        shape: of the output.
        left: the first tensor.
        right: the second.
    """

    def __init__(self, name, shape, left, right):
        super().__init__(name, shape)
        self._left, self._right = left, right

    def _emit(self, emitter, grid):
        smallest, largest = emitter.target.beside(grid.type).MUL_RATIOS
        ratio = float(self._left.grid.scale * self._right.grid.scale / grid.scale)
        if not smallest <= ratio < largest:
            raise ValueError(
                f"The product {self.name!r} has a unit {ratio:g} times the step of its output; the "
                f"runtime multiplies exactly from {smallest:g} to {largest:g} only. Train or "
                "calibrate the step sizes of its inputs and output anew."
            )
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output, activation: Multiply(
                self.name, self._left, self._right, output, activation
            ),
        )


class PendingParts(Pending):
    """A value made from parts that will all be emitted on its grid."""

    def __init__(self, name, shape, parts):
        super().__init__(name, shape)
        self._parts = parts

    def clamp(self, clamp):
        for part in self._parts:
            part.clamp(clamp)


class PendingJoin(PendingParts):
    """A concatenation."""

    def __init__(self, name, shape, parts, axis):
        super().__init__(name, shape, parts)
        self._axis = axis

    def _emit(self, emitter, grid):
        tensors = [part.emit(emitter, grid) for part in self._parts]
        output = emitter.tensor(self.name, self.shape, grid)
        return emitter.add(Concatenation(self.name, tensors, output, self._axis))


class PendingExtremum(PendingParts):
    """The largest or smallest of several values, code by code: rounding is monotone.

    Args:
        name: path of the layer.
        shape: of the output.
        parts: the pending values.
        operator: `Maximum` or `Minimum`.
    """

    def __init__(self, name, shape, parts, operator):
        super().__init__(name, shape, parts)
        self._operator = operator

    def _emit(self, emitter, grid):
        first, *others = (part.emit(emitter, grid) for part in self._parts)
        for count, other in enumerate(others, start=1):
            is_last = count == len(others)
            name = self.name if is_last else f"{self.name}/part_{count}"
            shape = self.shape if is_last else np.broadcast_shapes(*_known(first, other))
            output = emitter.tensor(name, (self.shape[0], *shape[1:]), grid)
            first = emitter.add(self._operator(self.name, first, other, output))
        return first


def _in_reach(emitter, name, side, grid):
    """Return an operand with a scale that a sum takes: another one where its own is too far.

    Where its own is too large, the few codes that it has become multiples, and nothing is rounded.
    Where it is too small, it is rounded to the smallest that a sum takes, a thousandth of a step.
    """
    smallest, largest = emitter.target.beside(grid.type).ADD_RATIOS
    own, ratio = side.grid, side.grid.scale / grid.scale
    reach = max(abs(code - own.zero_point) for code in (own.low, own.high))
    factor = own.storage.high // max(reach, 1)
    if ratio < smallest:
        scale = np.nextafter(grid.scale * np.float32(smallest), np.float32(np.inf))
    elif ratio >= largest and factor > 1:
        scale = own.scale / np.float32(factor)
    else:
        return side
    other = Grid.whole(scale, storage=own.storage)
    if isinstance(side, Constant):
        codes, scales = other.encode(own.decode(side.values)), np.array([scale], np.float32)
        return replace(side, values=codes, scales=scales, zero_point=0)
    return PendingCodes(f"{name}/{side.name}", side).emit(emitter, other)


def check_sum(emitter, name, sides, grid):
    """Raise a ValueError if the scale of an operand is too large for the runtime."""
    largest = emitter.target.beside(grid.type).ADD_RATIOS[1]
    for side in sides:
        ratio = float(side.grid.scale / grid.scale)
        if ratio >= largest:
            raise ValueError(
                f"The sum {name!r} has an input whose scale is {ratio:g} times that of its output; "
                f"the runtime adds exactly below {largest:g} only. Train or calibrate the step "
                "sizes of its inputs and output anew."
            )


def _known(*tensors):
    """Return the shapes of tensors with 1 for the batch."""
    return [(1, *tensor.shape[1:]) for tensor in tensors]
