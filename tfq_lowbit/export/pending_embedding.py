"""Rows of a table, until a quantizer gives them a grid."""

from typing import NamedTuple

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes
from tfq_lowbit.export.operators import (
    EmbeddingLookup,
    FlattenRows,
    Gather,
    Quantize,
    Reshape,
)
from tfq_lowbit.export.pending import ClampedPending
from tfq_lowbit.export.program import Constant

LOOKUP = "EMBEDDING_LOOKUP"
# What a scale takes in a file (float32, and an int64 zero point), and what the operators do that a
# packed table needs beside a GATHER.
SCALE_BYTES, OPERATOR_BYTES = 12, 900


class TrainedTable(NamedTuple):
    """A quantized table.

    Attributes:
        num_bits: width of the codes.
        codes: integers of shape (rows, channels).
        scales: float32 of shape (rows,) or (1,).
    """

    num_bits: int
    codes: np.ndarray
    scales: np.ndarray


class PendingEmbedding(ClampedPending):
    """Rows of a table by index.

    The table is stored on the grid of the output, in int8, and a GATHER moves its codes. Where it
    was quantized itself, or that grid has few bits, it is stored packed, if that makes the file
    smaller: EMBEDDING_LOOKUP and QUANTIZE then make the same codes of it.

    Args:
        name: path of the layer.
        shape: of the output.
        source: the int32 tensor of indices.
        table: float32 of shape (rows, channels).
        trained: its codes, None where it has no quantizer.
    """

    def __init__(self, name, shape, source, table, trained: TrainedTable | None = None):
        super().__init__(name, shape)
        self._source, self._table, self._trained = source, table, trained

    def _emit(self, emitter, grid):
        codes = np.clip(grid.encode(self._table), *clamped_codes(grid, self._clamp))
        packed = self._pack(emitter, grid, codes.astype(np.int64))
        if packed is None:
            output = emitter.tensor(self.name, self.shape, grid)
            return emitter.add(
                Gather(self.name, self._source, output, codes.astype(grid.storage.dtype))
            )
        return self._look_up(emitter, grid, *packed)

    def _pack(self, emitter, grid, codes):
        """Return the packed table and its width, None where int8 takes fewer bytes or must be."""
        if LOOKUP not in emitter.target.CONTAINERS or self._source.shape.count(None) > 1:
            return None
        num_bits, values, scales = self._trained or TrainedTable(
            (grid.high - grid.low).bit_length(),
            codes - grid.zero_point,
            np.array([grid.scale], np.float32),
        )
        low, high, depth = values.min(), values.max(), values.shape[1]
        stored_as = emitter.target.choose_container(LOOKUP, low, high, depth, emitter.prefer)
        bits = emitter.target.BITS[stored_as]
        saved = values.size * (8 - bits) // 8 - SCALE_BYTES * scales.size
        if saved <= OPERATOR_BYTES:
            return None
        table = Constant(f"{self.name}/table", values.astype(np.int8), stored_as, scales)
        return table, num_bits

    def _look_up(self, emitter, grid, table, num_bits):
        rows, is_vector = self._source, len(self._source.shape) == 1
        if not is_vector:
            flat = emitter.indices(f"{self.name}/rows", (None,))
            rows = emitter.add(FlattenRows(self.name, rows, flat))
        shape = (None, self.shape[-1])
        reals = emitter.reals(f"{self.name}/reals", shape)
        reals = emitter.add(EmbeddingLookup(self.name, rows, reals, table, num_bits))
        name = self.name if is_vector else f"{self.name}/flat"
        codes = emitter.bounded(
            name,
            shape,
            grid,
            self._clamp,
            lambda output: Quantize(self.name, reals, output),
            can_fuse=False,
        )
        if is_vector:
            return codes
        output = emitter.tensor(self.name, self.shape, grid)
        return emitter.add(Reshape(self.name, codes, output))
