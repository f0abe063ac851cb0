"""Products of two int8 tensors, until a quantizer gives them a grid."""

import numpy as np

from tfq_lowbit.export.operators import BatchMatMul, Mask, Reshape
from tfq_lowbit.export.pending import (
    ClampedPending,
    PendingCodes,
    PendingMove,
    check_multiplier,
)
from tfq_lowbit.export.program import Grid


class PendingMatMul(ClampedPending):
    """`scale * left @ right`.

    Args:
        name: path of the layer.
        shape: of the output.
        left: int8 tensor.
        right: int8 tensor.
        transpose_right: multiply with `right` transposed.
        scale: a positive number; it is part of the unit of `left`.
    """

    def __init__(self, name, shape, left, right, transpose_right=False, scale=1.0):
        super().__init__(name, shape)
        self._left, self._right = left, right
        self._transpose_right, self._scale = transpose_right, np.float32(scale)

    def _emit(self, emitter, grid):
        left, right = self._left, self._centered(emitter)
        scale = self._capped(grid)
        if scale != 1:
            unit = left.grid.rescaled(scale)
            scaled = emitter.tensor(f"{self.name}/scaled", left.shape, unit)
            left = emitter.add(Reshape(self.name, left, scaled))
        largest = left.grid.scale * right.grid.scale / grid.scale
        check_multiplier(self.name, largest, emitter, grid)
        reach = float(largest) * left.shape[-1] * left.grid.storage.low * right.grid.storage.low
        if reach >= grid.arithmetic.MAX_STEPS:
            raise ValueError(
                f"The product {self.name!r} may sum up to {reach:g} steps of its output, which the "
                f"runtime computes with up to {grid.arithmetic.MAX_STEPS:g}. Calibrate anew."
            )
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output: BatchMatMul(self.name, left, right, output, self._transpose_right),
            can_fuse=False,
        )

    def _capped(self, grid):
        """Return a factor whose multiplier the runtime takes, with the same codes.

        Scores that are nearly alike have a step so fine that one product of codes passes over all
        of them: what the runtime takes at most saturates just so.
        """
        unit = np.float64(self._left.grid.scale) * self._right.grid.scale / grid.scale
        most = np.float64(grid.arithmetic.SATURATING_MULTIPLIER)
        return np.float32(min(self._scale, most / unit))

    def _centered(self, emitter):
        """Return the right operand with its zero point at 0, on the same step."""
        right, old = self._right, self._right.grid
        if old.zero_point == 0:
            return right
        low, high = (code - old.zero_point for code in (old.low, old.high))
        if low < old.storage.low or high > old.storage.high:
            raise ValueError(
                f"The right operand of the product {self.name!r} has codes from {low} to {high} "
                "about its zero, which an int8 kernel cannot hold. Quantize it with a signed, "
                "symmetric grid, or use tfq.quantize_model."
            )
        pending = PendingCodes(f"{self.name}/right", right)
        return pending.emit(emitter, Grid(old.scale, 0, low, high))


class PendingMask(PendingMove):
    """Upper bounds of a pending value, place by place.

    Args:
        name: path of the layer.
        shape: of the value.
        before: the pending value.
        bounds: real numbers that broadcast to the shape, infinite for none.
    """

    def __init__(self, name, shape, before, bounds):
        super().__init__(name, shape, before, self._mask)
        rank = len(shape)
        self._bounds = np.asarray(bounds, np.float32).reshape(
            *[1] * (rank - np.ndim(bounds)), *np.shape(bounds)
        )

    def _mask(self, source, output):
        is_free = np.isinf(self._bounds)
        codes = source.grid.encode(np.where(is_free, np.float32(0), self._bounds))
        storage = source.grid.storage
        bounds = np.where(is_free, storage.high, codes).astype(storage.dtype)
        return Mask(self.name, source, output, bounds)
