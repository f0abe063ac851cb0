"""A float32 tensor, until a quantizer gives it a grid."""

from tfq_lowbit.export.operators import Quantize
from tfq_lowbit.export.pending import ClampedPending


class PendingReals(ClampedPending):
    """What a float layer computed.

    Args:
        name: path of the layer.
        source: the float32 tensor.
    """

    def __init__(self, name, source):
        super().__init__(name, source.shape)
        self._source = source

    def _emit(self, emitter, grid):
        return emitter.bounded(
            self.name,
            self.shape,
            grid,
            self._clamp,
            lambda output: Quantize(self.name, self._source, output),
            can_fuse=False,
        )
