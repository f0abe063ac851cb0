"""A batch normalization that stands alone, behind an int8 tensor."""

import numpy as np

from tfq_lowbit.export.chain import INT32_MIN, Chain, find_thresholds
from tfq_lowbit.export.operators import Reshape
from tfq_lowbit.export.pending import ClampedPending
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.wrappers import STANDALONE_CODE, round_bias


class PendingNorm(ClampedPending):
    """`multiplier * x + shift` by channel of an int8 tensor.

    Emitted on a grid it is a depthwise convolution with the single code 127; emitted as signs, a
    threshold of the codes of its input.

    Args:
        name: path of the layer.
        source: the int8 tensor.
    """

    def __init__(self, name, source):
        super().__init__(name, source.shape)
        self._source = source
        self._folds = []

    @property
    def can_fold(self):
        """Whether another batch normalization fits."""
        return not self.is_clamped

    def fold(self, multiplier, shift, rounds_shift=False):
        self._folds.append((multiplier, shift, rounds_shift))

    def _emit(self, emitter, grid):
        source, shape = self._source, self.shape
        channels = shape[-1]
        if len(shape) != 4:
            shape = (shape[0], int(np.prod(shape[1:-1])), 1, channels)
            image = emitter.tensor(f"{self.name}/image", shape, source.grid)
            source = emitter.add(Reshape(self.name, source, image))
        codes = np.full((1, 1, channels, 1), STANDALONE_CODE)
        steps = np.full(channels, 1.0 / STANDALONE_CODE, np.float32)
        spec = KernelSpec("DEPTHWISE_CONV_2D")
        kernel = PendingKernel(self.name, shape, spec, source, codes, steps, np.zeros_like(steps))
        for fold in self._folds:
            kernel.fold(*fold)
        kernel.clamp(self._clamp)
        output = kernel.emit(emitter, grid)
        if output.shape == self.shape:
            return output
        restored = emitter.tensor(self.name, self.shape, grid)
        return emitter.add(Reshape(self.name, output, restored))

    def _emit_signs(self, emitter, thresholds):
        step = self._source.grid.scale
        chain = Chain(self.shape[-1])
        chain.scale(step, 0.0)
        unit = np.float32(step / np.float32(STANDALONE_CODE))
        for multiplier, shift, rounds_shift in self._folds:
            unit = np.abs(multiplier) * unit
            chain.scale(multiplier, round_bias(shift, unit) if rounds_shift else shift)
        chain.clamp(self._clamp)
        return pack_signs(emitter, self._source, chain, thresholds)


def pack_signs(emitter, source, chain, thresholds):
    """Pack the signs of a function of an int8 tensor.

    Args:
        emitter: an `Emitter`.
        source: the tensor.
        chain: a `Chain` from `code - zero_point` to the values.
        thresholds: float32, scalar or of shape (channels,): -1 is a value below it.

    Returns:
        A `PackedTensor`.
    """
    grid = source.grid
    lowest, highest = (np.full(chain.channels, code) for code in (grid.low, grid.high))
    integers, flips = find_thresholds(
        lambda codes: chain(codes - grid.zero_point), lowest, highest, thresholds
    )
    is_always_set = flips & (integers == INT32_MIN)
    integers = np.where(is_always_set, grid.high + 1, integers).astype(np.int32)
    return emitter.pack_signs(source, integers, flips & ~is_always_set)
