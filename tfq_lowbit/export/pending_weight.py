"""A tensor of weights that is no kernel, until a quantizer gives it a grid."""

import numpy as np

from tfq_lowbit.export.pending import Pending
from tfq_lowbit.export.program import Constant


class PendingWeight(Pending):
    """A tensor of weights, which becomes a constant.

    Args:
        name: path of the layer.
        shape: of the output.
        values: float32, of one sample.
    """

    def __init__(self, name, shape, values):
        super().__init__(name, shape)
        self._values = values

    def _emit(self, emitter, grid):
        scales = np.array([grid.scale], np.float32)
        return Constant(self.name, grid.encode(self._values), grid.type, scales, grid.zero_point)
