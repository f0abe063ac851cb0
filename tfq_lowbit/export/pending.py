"""Values that are computed but on no grid yet.

A kernel's accumulator, a sum or a mean becomes an int8 tensor only where a quantizer says on which
grid. Until then it is pending: batch normalization and activations change what will be emitted, and
pooling, joining and reshaping, which commute with a monotone grid, queue up behind it. A sign needs
no grid: a binary layer takes the packed signs of a pending value.
"""

import math
from dataclasses import replace

import numpy as np

from tfq_lowbit.export.operators import (
    Bound,
    Convert,
    Mean,
    Quantize,
    Requantize,
    Reshape,
)
from tfq_lowbit.model import Clamp

NO_CLAMP = Clamp(None, None)
INT32_RANGE = 2**31


class Pending:
    """A value that `emit` puts on a grid, or `emit_signs` into bits.

    Attributes:
        name: path of the layer that made it.
        shape: with the batch first.
    """

    def __init__(self, name, shape):
        self.name, self.shape = name, shape
        self._emitted = None

    @property
    def can_fold(self):
        """Whether `fold` takes a batch normalization."""
        return False

    def emit(self, emitter, grid):
        """Return the tensor on `grid`, adding its operators the first time.

        Raises:
            ValueError: if it was emitted on another grid, or as signs, before.
        """
        return self._emit_once(grid, f"step size {grid.scale:g}", lambda: self._emit(emitter, grid))

    def emit_signs(self, emitter, thresholds):
        """Return the packed signs, -1 where a value is below its threshold.

        Args:
            emitter: an `Emitter`.
            thresholds: float32, scalar or of shape (channels,).

        Raises:
            ValueError: if it was emitted with other thresholds, or on a grid, before, or if its
                signs cannot be taken without a grid.
        """
        thresholds = np.asarray(thresholds, np.float32)
        return self._emit_once(
            thresholds.tobytes(), "signs", lambda: self._emit_signs(emitter, thresholds)
        )

    def clamp(self, clamp):
        """Apply an activation's bounds to what will be emitted."""
        raise NotImplementedError

    def fold(self, multiplier, shift, rounds_shift=False):
        """Apply a batch normalization, `multiplier * y + shift`, to what will be emitted.

        Args:
            multiplier: float32 of shape (channels,), of any sign.
            shift: float32 of shape (channels,).
            rounds_shift: whether the Keras layer rounds the shift as an integer kernel does, which
                moves the place where a sign changes.
        """
        raise NotImplementedError

    def _emit_once(self, key, label, make):
        if self._emitted is None:
            self._emitted = key, label, make()
        before, before_label, tensor = self._emitted
        if before != key:
            raise ValueError(
                f"The consumers of layer {self.name!r} quantize its output on different grids "
                f"({before_label} and {label}); an integer runtime has one grid a tensor. Share "
                "one quantizer, put a QuantizeActivation behind the layer, or use quantize_model."
            )
        return tensor

    def _emit(self, emitter, grid):
        raise NotImplementedError

    def _emit_signs(self, emitter, thresholds):
        del emitter, thresholds
        raise ValueError(
            f"A binary layer takes the signs of {self.name!r}, which is on no grid yet. Put a "
            "tfq.QuantizeActivation behind it, or use tfq.quantize_model."
        )


class ClampedPending(Pending):
    """A pending value that an operator with bounds emits."""

    def __init__(self, name, shape):
        super().__init__(name, shape)
        self._clamp = NO_CLAMP

    @property
    def is_clamped(self):
        """Whether an activation bounds the value."""
        return self._clamp != NO_CLAMP

    def clamp(self, clamp):
        lower = [bound for bound in (self._clamp.lower, clamp.lower) if bound is not None]
        upper = [bound for bound in (self._clamp.upper, clamp.upper) if bound is not None]
        self._clamp = Clamp(max(lower, default=None), min(upper, default=None))


class PendingInput(Pending):
    """A model input, `factor * x + offset` of what will be fed."""

    def __init__(self, name, shape):
        super().__init__(name, shape)
        self.factor, self.offset = 1.0, 0.0

    def clamp(self, clamp):
        if clamp != NO_CLAMP:
            raise ValueError(
                f"Input {self.name!r} goes through an activation before it is quantized. Put a "
                "tfq.QuantizeActivation behind the input, or apply it in the data pipeline."
            )

    def rescale(self, factor, offset):
        """Apply `factor * x + offset`."""
        self.factor, self.offset = factor * self.factor, factor * self.offset + offset

    def _emit(self, emitter, grid):
        fed = self._fed_grid(grid)
        index = next(
            index for index, name in enumerate(emitter.program.input_names) if name == self.name
        )
        if emitter.input_type != "float32":
            source = emitter.tensor(self.name, self.shape, fed)
            codes = source
            if fed.low > fed.storage.low:
                bounded = emitter.tensor(f"{self.name}/lower", self.shape, fed)
                codes = emitter.add(Bound(self.name, source, bounded, fed.low))
        else:
            source = emitter.reals(self.name, self.shape)
            codes = emitter.bounded(
                f"{self.name}/codes",
                self.shape,
                fed,
                NO_CLAMP,
                lambda output: Quantize(self.name, source, output),
                can_fuse=False,
            )
        emitter.program.inputs[index] = source
        if fed == grid:
            return codes
        # The same codes in another unit.
        return emitter.add(
            Reshape(self.name, codes, emitter.tensor(f"{self.name}/rescaled", self.shape, grid))
        )

    def _emit_signs(self, emitter, thresholds):
        raise ValueError(
            f"A binary layer takes the signs of the model input {self.name!r} itself. Keep the "
            "first layer at 8 bits, or put a tfq.QuantizeActivation behind the input."
        )

    def _fed_grid(self, grid):
        """Return the grid of the input as it is fed, before its rescaling."""
        if self.factor == 1.0 and self.offset == 0.0:
            return grid
        shift = self.offset / float(grid.scale)
        zero_point = grid.zero_point + round(shift)
        if not grid.storage.has_zero_point and self.offset:
            raise ValueError(
                f"The rescaling of input {self.name!r} has an offset, and an int16 tensor has its "
                "zero at code 0. Let quantize_model place the quantizer, or rescale in the data "
                "pipeline."
            )
        is_code = grid.storage.low <= zero_point <= grid.storage.high
        if abs(shift - round(shift)) > 1e-2 or not is_code:
            raise ValueError(
                f"The rescaling of input {self.name!r} shifts its zero off the grid of its "
                f"quantizer (by {shift:.3f} steps of {grid.scale:g}). Let quantize_model place the "
                "quantizer, or rescale in the data pipeline."
            )
        return replace(grid, scale=np.float32(grid.scale / self.factor), zero_point=zero_point)


def check_multiplier(name, multiplier, emitter, grid):
    """Raise a ValueError if an accumulator's unit is more output steps than the runtime takes."""
    limit = emitter.target.beside(grid.type).MAX_MULTIPLIER
    if not multiplier < limit:
        raise ValueError(
            f"Layer {name!r} has an output step {multiplier:g} times finer than its accumulator; "
            f"the runtime takes up to {limit:g} for {grid.type.lower()}. Calibrate anew, or give "
            "the layers behind it eight bits."
        )


def check_count(name, count, grid):
    """Raise a ValueError if the sum of so many codes may leave the runtime's int32."""
    most = INT32_RANGE // -grid.storage.low
    if count > most:
        raise ValueError(
            f"Layer {name!r} averages {count:,} values of {grid.type.lower()}, whose sum may leave "
            f"the runtime's int32: it takes {most:,}. Pool in two steps, or give the layer before "
            "eight bits, recipe.override(layer, activation_bits=8)."
        )


class PendingMean(ClampedPending):
    """The mean over height and width, or other axes, of an int8 tensor."""

    def __init__(self, name, shape, source, keep_dims, axes=(1, 2)):
        super().__init__(name, shape)
        self._source, self._keep_dims, self._axes = source, keep_dims, axes

    def _emit(self, emitter, grid):
        source = self._source.grid
        check_count(self.name, math.prod(self._source.shape[axis] for axis in self._axes), source)
        largest = emitter.target.beside(grid.type).RESCALE_RATIOS[1]
        if not source.scale / grid.scale < largest and not grid.storage.has_zero_point:
            raise ValueError(
                f"The mean {self.name!r} has an input whose scale is {source.scale / grid.scale:g} "
                f"times that of its output; the runtime averages int16 codes up to {largest:g}. "
                "Calibrate the step sizes anew."
            )
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output: Mean(self.name, self._source, output, self._keep_dims, self._axes),
            can_fuse=False,
        )


class PendingCodes(ClampedPending):
    """An integer tensor that is to change its grid, or its type."""

    def __init__(self, name, source):
        super().__init__(name, source.shape)
        self._source = source

    def _emit(self, emitter, grid):
        if self._source.grid == grid and self._clamp == NO_CLAMP:
            return self._source
        if self._source.grid.storage is not grid.storage:
            return self._emit_conversion(emitter, grid)
        smallest, largest = emitter.target.beside(grid.type).RESCALE_RATIOS
        ratio = float(self._source.grid.scale / grid.scale)
        if not smallest <= ratio < largest:
            raise ValueError(
                f"The output of layer {self.name!r} changes its scale {ratio:g} times; the runtime "
                f"does so exactly from {smallest:g} to {largest:g} only. Calibrate the step sizes "
                "anew."
            )
        return emitter.bounded(
            f"{self.name}/requantized",
            self.shape,
            grid,
            self._clamp,
            lambda output, activation: Requantize(self.name, self._source, output, activation),
        )

    def _emit_conversion(self, emitter, grid):
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output: Convert(self.name, self._source, output),
            can_fuse=False,
        )


class PendingMove(Pending):
    """An operator on raw codes behind a pending value: max pooling, padding, reshaping.

    Args:
        name: path of the layer.
        shape: of the output.
        before: the pending value.
        make: `(source, output) -> operator` on int8 tensors.
        move_signs: `(emitter, before, thresholds) -> packed tensor`, None where the signs of the
            output are not those of the input moved.
    """

    def __init__(self, name, shape, before, make, move_signs=None):
        super().__init__(name, shape)
        self._before, self._make, self._move_signs = before, make, move_signs

    @property
    def can_fold(self):
        """Whether a batch normalization fits before it: a change of shape keeps its channels."""
        keeps_channels = self.shape[-1] == self._before.shape[-1]
        return self._move_signs is not None and keeps_channels and self._before.can_fold

    def fold(self, multiplier, shift, rounds_shift=False):
        self._before.fold(multiplier, shift, rounds_shift)

    def clamp(self, clamp):
        self._before.clamp(clamp)

    def _emit(self, emitter, grid):
        source = self._before.emit(emitter, grid)
        return emitter.add(self._make(source, emitter.tensor(self.name, self.shape, grid)))

    def _emit_signs(self, emitter, thresholds):
        if self._move_signs is None:
            return super()._emit_signs(emitter, thresholds)
        return self._move_signs(emitter, self._before, thresholds)
