"""Rows of a table, until a quantizer gives them a grid: the table is stored on it."""

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes
from tfq_lowbit.export.operators import Gather
from tfq_lowbit.export.pending import ClampedPending


class PendingEmbedding(ClampedPending):
    """Rows of a table by index.

    Args:
        name: path of the layer.
        shape: of the output.
        source: the int32 tensor of indices.
        table: float32 of shape (rows, channels).
    """

    def __init__(self, name, shape, source, table):
        super().__init__(name, shape)
        self._source, self._table = source, table

    def _emit(self, emitter, grid):
        table = np.clip(grid.encode(self._table), *clamped_codes(grid, self._clamp))
        output = emitter.tensor(self.name, self.shape, grid)
        return emitter.add(Gather(self.name, self._source, output, table.astype(np.int8)))
