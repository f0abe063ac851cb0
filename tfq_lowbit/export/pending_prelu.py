"""A shifted parametric ReLU of an int8 tensor, until a quantizer gives its output a grid."""

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes
from tfq_lowbit.export.operators import Prelu
from tfq_lowbit.export.pending import ClampedPending


class PendingPrelu(ClampedPending):
    """`(x - shift_in) + shift_out` above the knee `x = shift_in`, `slope` times as steep below.

    Args:
        name: path of the layer.
        source: the int8 tensor.
        shift_in: float32 of shape (channels,), as are the others.
        slope: factor below the knee, of any sign.
        shift_out: what is added in the end.
    """

    def __init__(self, name, source, shift_in, slope, shift_out):
        super().__init__(name, source.shape)
        self._source = source
        self._shift_in = np.asarray(shift_in, np.float32)
        self._slope = np.asarray(slope, np.float64)
        self._shift_out = np.asarray(shift_out, np.float64)

    def _emit(self, emitter, grid):
        low, high = clamped_codes(grid, self._clamp)
        output = emitter.tensor(self.name, self.shape, grid)
        above, below = (
            self._affine(slope, grid) for slope in (np.ones_like(self._slope), self._slope)
        )
        operator = Prelu(self.name, self._source, output, self._knee(), above, below, low, high)
        return emitter.add(operator)

    def _affine(self, slope, grid):
        """Return multiplier and bias from raw code to raw code, computed in float64."""
        source, scale = self._source.grid, np.float64(grid.scale)
        multiplier = slope * np.float64(source.scale) / scale
        shift = (self._shift_out - slope * self._shift_in) / scale
        bias = shift - source.zero_point * multiplier + grid.zero_point
        return multiplier.astype(np.float32), bias.astype(np.float32)

    def _knee(self):
        """Return the largest code that is not above the knee, by channel."""
        grid = self._source.grid
        values = grid.decode(np.arange(grid.low, grid.high + 1))
        is_above = values[:, None] - self._shift_in > 0
        return (grid.high - is_above.sum(axis=0)).astype(np.int32)
