"""Functions of single values of an int8 tensor, until a quantizer gives their output a grid."""

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes
from tfq_lowbit.export.operators import (
    Add,
    Bound,
    Cast,
    Gather,
    Maximum,
    Minimum,
    Offset,
    Requantize,
    Reshape,
    Subtract,
)
from tfq_lowbit.export.pending import NO_CLAMP, ClampedPending
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.export.pending_merge import PendingSum
from tfq_lowbit.export.program import Constant, Grid
from tfq_lowbit.model import Clamp
from tfq_lowbit.wrappers import STANDALONE_CODE


class PendingTable(ClampedPending):
    """A function as a table of all codes, 256 at int8.

    Args:
        name: path of the layer.
        source: the int8 tensor.
        function: from a float32 array to one, as Keras computes it.
        operator: class of the runtime's own table, None where it has none.
        operator_grid: scale and zero point without which the runtime's operator is not to be
            used, None for any.
        options: further arguments of the operator.
    """

    def __init__(self, name, source, function, operator=None, operator_grid=None, **options):
        super().__init__(name, source.shape)
        self._source, self._function = source, function
        self._operator, self._operator_grid = operator, operator_grid
        self._options = options

    def _emit(self, emitter, grid):
        is_own_grid = self._operator_grid in (None, (float(grid.scale), grid.zero_point))
        storage = self._source.grid.storage
        is_known = self._operator is not None and emitter.takes(self._operator.code, storage)
        if is_known and is_own_grid:
            return emitter.bounded(
                self.name,
                self.shape,
                grid,
                self._clamp,
                lambda output: self._operator(self.name, self._source, output, **self._options),
                can_fuse=False,
            )
        return self._emit_lookup(emitter, grid)

    def _emit_lookup(self, emitter, grid):
        source, storage = self._source, self._source.grid.storage
        values = np.asarray(self._function(source.grid.decode(storage.all_codes)), np.float32)
        table = np.clip(grid.encode(values), *clamped_codes(grid, self._clamp))
        number = emitter.indices(f"{self.name}/codes", self.shape)
        number = emitter.add(Cast(self.name, source, number))
        index = emitter.indices(f"{self.name}/indices", self.shape)
        index = emitter.add(Offset(self.name, number, index, -storage.low))
        output = emitter.tensor(self.name, self.shape, grid)
        return emitter.add(Gather(self.name, index, output, table.astype(grid.storage.dtype)))


class PendingAffine(ClampedPending):
    """`scale * x + offset` with two numbers.

    A scale alone is a MUL. With an offset the tensor changes its unit, which copies its codes, and
    a constant is added: both are rounded once.

    Args:
        name: path of the layer.
        source: the int8 tensor.
        scale: of any sign, not 0.
        offset: any number.
    """

    def __init__(self, name, source, scale, offset=0.0):
        super().__init__(name, source.shape)
        self._source, self._scale, self._offset = source, float(scale), float(offset)

    def _emit(self, emitter, grid):
        if self._offset == 0.0:
            return self._emit_product(emitter, grid)
        source, size = self._source, np.abs(np.float32(self._scale))
        if size != 1:
            scaled = emitter.tensor(f"{self.name}/scaled", self.shape, source.grid.rescaled(size))
            source = emitter.add(Reshape(self.name, source, scaled))
        limits = emitter.target.beside(grid.type).ADD_RATIOS
        offset = self._constant(limits[0] * float(grid.scale), grid.storage)
        sides = (source, offset, Add) if self._scale > 0 else (offset, source, Subtract)
        total = PendingSum(self.name, self.shape, *sides)
        total.clamp(self._clamp)
        return total.emit(emitter, grid)

    def _constant(self, smallest, storage):
        """Return the offset as a code and a scale that is not below `smallest`.

        The largest code gives the sum its precision. An offset far below the step of the output
        has a smaller one, and what lies under a thousandth of a step is that thousandth.
        """
        size = abs(self._offset)
        code = int(np.clip(np.floor(0.99 * size / smallest), 1, storage.high))
        return Constant(
            f"{self.name}/offset",
            np.array([np.sign(self._offset) * code], storage.dtype),
            storage.name,
            np.array([max(size / code, 1.01 * smallest)], np.float32),
        )

    def _emit_product(self, emitter, grid):
        smallest, largest = emitter.target.beside(grid.type).RESCALE_RATIOS
        ratio = float(self._source.grid.scale / grid.scale * abs(self._scale))
        if not smallest <= ratio < largest:
            raise ValueError(
                f"Layer {self.name!r} changes its scale {ratio:g} times; the runtime does so "
                f"exactly from {smallest:g} to {largest:g} only. Calibrate the step sizes anew."
            )
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output, activation: Requantize(
                self.name, self._source, output, activation, self._scale
            ),
        )


class PendingSlopes(ClampedPending):
    """`x` where it is at least 0, else `slope * x`.

    The runtime's LEAKY_RELU carries its multipliers with eight fractional bits and its PRELU rounds
    twice. So both sides are rounded once onto the grid of the output, and the right one is taken:
    the larger where no slope exceeds 1, the smaller where none is below; else they are added, each
    0 where the other is not.

    Args:
        name: path of the layer.
        source: the int8 tensor.
        slope: one number, or float32 of the shape of the tensor without the batch, or of its
            last axis.
    """

    def __init__(self, name, source, slope):
        super().__init__(name, source.shape)
        self._source, self._slope = source, np.asarray(slope, np.float32)

    def _emit(self, emitter, grid):
        is_convex, is_concave = np.all(self._slope <= 1), np.all(self._slope >= 1)
        if not (is_convex or is_concave):
            return self._emit_sum(emitter, grid)
        if is_convex and self._clamp.lower is not None and self._clamp.lower >= 0:
            if np.all(self._slope >= 0):  # a ReLU comes behind: the slope is never seen
                return self._above(emitter, grid, self._clamp)
        whole = Grid.whole(grid.scale, grid.zero_point, grid.storage)
        sides = self._above(emitter, whole, NO_CLAMP), self._below(emitter, whole, self._source)
        operator = Maximum if is_convex else Minimum
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output: operator(self.name, *sides, output),
            can_fuse=False,
        )

    def _emit_sum(self, emitter, grid):
        whole = Grid.whole(grid.scale, grid.zero_point, grid.storage)
        source = self._source
        zero = source.grid.zero_point
        negative = emitter.tensor(f"{self.name}/negative", self.shape, source.grid)
        negative = emitter.add(Bound(self.name, source, negative, zero, is_lower=False))
        total = PendingSum(
            self.name,
            self.shape,
            self._above(emitter, whole, Clamp(0.0, None)),
            self._below(emitter, whole, negative),
        )
        total.clamp(self._clamp)
        return total.emit(emitter, grid)

    def _above(self, emitter, grid, clamp):
        pending = PendingAffine(f"{self.name}/above", self._source, 1.0)
        pending.clamp(clamp)
        return pending.emit(emitter, grid)

    def _below(self, emitter, grid, source):
        name = f"{self.name}/below"
        if not self._slope.ndim and self._slope:
            return PendingAffine(name, source, self._slope).emit(emitter, grid)
        return _scale_channels(emitter, name, source, self._slope, grid)


def _scale_channels(emitter, name, source, factors, grid):
    """Multiply by a factor a channel: a depthwise convolution with the single code 127."""
    channels = factors.size if factors.ndim else source.shape[-1]
    factors = np.broadcast_to(factors.ravel(), (channels,))
    shape = (source.shape[0], int(np.prod(source.shape[1:])) // channels, 1, channels)
    image = emitter.tensor(f"{name}/image", shape, source.grid)
    image = emitter.add(Reshape(name, source, image))
    codes = np.where(factors < 0, -STANDALONE_CODE, STANDALONE_CODE).reshape(1, 1, channels, 1)
    steps = np.abs(factors) / np.float32(STANDALONE_CODE)
    spec = KernelSpec("DEPTHWISE_CONV_2D")
    kernel = PendingKernel(name, shape, spec, image, codes, steps, np.zeros_like(steps))
    output = kernel.emit(emitter, grid)
    return emitter.add(Reshape(name, output, emitter.tensor(f"{name}/values", source.shape, grid)))
