"""Other shapes of the same codes: sequences as images, several axes as one."""

from tfq_lowbit.export.operators import Reshape, ReshapeWords
from tfq_lowbit.export.pending import Pending


def view(emitter, name, source, shape):
    """Return an int8 tensor in another shape; itself where it has that shape already.

    Args:
        emitter: an `Emitter`.
        name: path of the layer.
        source: the tensor.
        shape: with the batch first.
    """
    if tuple(source.shape) == tuple(shape):
        return source
    return emitter.add(Reshape(name, source, emitter.tensor(f"{name}/view", shape, source.grid)))


class PendingView(Pending):
    """A pending value that will be emitted in one shape and is wanted in another.

    Args:
        name: path of the layer.
        shape: the shape that is wanted.
        before: the pending value.
    """

    def __init__(self, name, shape, before):
        super().__init__(name, shape)
        self._before = before

    @property
    def can_fold(self):
        """Whether a batch normalization over the last axis fits."""
        return self._before.can_fold and self.shape[-1] == self._before.shape[-1]

    def clamp(self, clamp):
        self._before.clamp(clamp)

    def fold(self, multiplier, shift, rounds_shift=False):
        self._before.fold(multiplier, shift, rounds_shift)

    def _emit(self, emitter, grid):
        return view(emitter, self.name, self._before.emit(emitter, grid), self.shape)

    def _emit_signs(self, emitter, thresholds):
        if self.shape[-1] != self._before.shape[-1]:
            return super()._emit_signs(emitter, thresholds)
        source = self._before.emit_signs(emitter, thresholds)
        output = emitter.packed(f"{self.name}/view", self.shape)
        return emitter.add(ReshapeWords(self.name, source, output))
