"""The accumulator of a binary layer, until its consumer says whether codes or signs are wanted."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes
from tfq_lowbit.export.chain import Chain, find_thresholds
from tfq_lowbit.export.operators import (
    Bconv2D,
    Bdense,
    Bmaxpool,
    Reshape,
    ReshapeWords,
    ToCodes,
    ToSigns,
)
from tfq_lowbit.export.pending import Pending, PendingMove


@dataclass(eq=False)
class BinaryWeights:
    """What a binary layer ships.

    Attributes:
        codes: int8 +1 and -1, in the layout of the Keras layer.
        transform: what makes its output from the accumulator, `ToCodes` or `ToSigns`.
        num_bits: 1.
        stored_as: type of the file.
    """

    codes: np.ndarray
    transform: Any
    num_bits: int = 1
    stored_as: str = "UINT8"


@dataclass(eq=False)
class BinarySpec:
    """A binary convolution's geometry.

    Attributes:
        strides: height, width.
        dilation: height, width.
        groups: how many.
        padding: "VALID", "SAME_ONE" or "SAME_ZERO".
    """

    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    padding: str = "VALID"


class PendingBinary(Pending):
    """`chain(acc) + window_sum * sum_scale` by channel, in reals.

    Emitted as codes, the chain is folded into one product and one sum; emitted as signs, into one
    integer threshold.

    Args:
        name: path of the layer.
        shape: of the output.
        spec: the geometry, None for a dense layer.
        source: the packed input.
        kernel: int8 +1 and -1, in the layout of the Keras layer.
        scale: float32 of shape (channels,): the layer computes `acc * scale + shift`.
        shift: float32 of shape (channels,).
        sum_scale: float32 of shape (channels,), None where no window sum is added.
    """

    def __init__(self, name, shape, spec, source, kernel, scale, shift, sum_scale=None):
        super().__init__(name, shape)
        self.spec, self.source, self.kernel = spec, source, kernel
        channels = shape[-1]
        self._chain = Chain(channels)
        self._chain.scale(scale, shift)
        self._sum_scale = None if sum_scale is None else np.asarray(sum_scale, np.float64)
        self._flips = np.zeros(channels, bool)

    @property
    def can_fold(self):
        """Whether a batch normalization fits: bounds apply before a window sum is added."""
        return self._sum_scale is None or not self._chain.ends_in_clamp

    def fold(self, multiplier, shift, rounds_shift=False):
        del rounds_shift  # its shift stays a float
        self._chain.scale(multiplier, shift)
        if self._sum_scale is not None:
            self._sum_scale = self._sum_scale * multiplier

    def clamp(self, clamp):
        self._chain.clamp(clamp)

    def flip_signs(self, flips):
        """Have the other signs emitted for some channels."""
        self._flips = self._flips ^ flips

    def _emit(self, emitter, grid):
        affine, scale = self._chain.fold(), np.float64(grid.scale)
        low, high = clamped_codes(grid, affine.last)
        sums = None if self._sum_scale is None else self._sum_scale / scale
        transform = ToCodes(
            self._finite(affine.multiplier / scale),
            self._finite(affine.bias / scale),
            lower=_bound(affine.lower),
            upper=_bound(affine.upper),
            sum_multiplier=None if sums is None else self._finite(sums),
            low=low,
            high=high,
        )
        return self._add(emitter, transform, lambda shape: emitter.tensor(self.name, shape, grid))

    def _emit_signs(self, emitter, thresholds):
        if self._sum_scale is not None:
            raise ValueError(
                f"Layer {self.name!r} adds a sum over each window (its kernel quantizer has an "
                "offset), so that its signs are no thresholds of its accumulator. Put a "
                "tfq.QuantizeActivation between it and the next binary layer, or use "
                "tfq.quantize_model."
            )
        reach = np.full(self.shape[-1], self.kernel[..., 0].size, np.int64)
        integers, flips = find_thresholds(self._chain, -reach, reach, thresholds)
        transform = ToSigns(integers.astype(np.int32), flips ^ self._flips)
        return self._add(emitter, transform, lambda shape: emitter.packed(self.name, shape))

    def _add(self, emitter, transform, new_tensor):
        emitter.program.weights[self.name] = BinaryWeights(self.kernel, transform)
        if self.spec is not None:
            spec = self.spec
            return emitter.add(
                Bconv2D(
                    self.name,
                    self.source,
                    self.kernel,
                    new_tensor(self.shape),
                    transform,
                    spec.strides,
                    spec.dilation,
                    spec.groups,
                    spec.padding,
                )
            )
        if self.source.shape[-1] == len(self.kernel):
            output = new_tensor(self.shape)
            return emitter.add(Bdense(self.name, self.source, self.kernel, output, transform))
        # The words of an image that is not flattened: the whole of it is one window.
        window = (*self.source.shape[1:], self.shape[-1])
        image = new_tensor((self.shape[0], 1, 1, self.shape[-1]))
        kernel = self.kernel.reshape(window)
        emitter.add(Bconv2D(self.name, self.source, kernel, image, transform))
        reshape = Reshape if isinstance(transform, ToCodes) else ReshapeWords
        return emitter.add(reshape(self.name, image, new_tensor(self.shape)))

    def _finite(self, values):
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError(
                f"Layer {self.name!r} has a scale or bias that is not finite in units of its "
                "output's step: the model was trained to infinity or NaN, or its output quantizer "
                "has seen next to no data."
            )
        return values


class PendingMaxPool(PendingMove):
    """Max pooling behind a pending value.

    It commutes with signs as with codes. A batch normalization that follows goes before it where a
    binary layer is there; in a channel whose multiplier is negative the other signs are pooled.

    Args:
        name: path of the layer.
        shape: of the output.
        before: the pending value.
        make: `(source, output) -> operator` on int8 tensors.
        window: height and width.
        strides: height and width.
        padding: "SAME" or "VALID".
    """

    def __init__(self, name, shape, before, make, window, strides, padding):
        super().__init__(name, shape, before, make)
        self._window = window, strides, padding
        self._is_negative = np.zeros(shape[-1], bool)

    @property
    def can_fold(self):
        """Whether a batch normalization can go before it."""
        return isinstance(self._before, PendingBinary) and self._before.can_fold

    def fold(self, multiplier, shift, rounds_shift=False):
        self._before.fold(multiplier, shift, rounds_shift)
        self._is_negative = self._is_negative ^ (multiplier < 0)

    def _emit(self, emitter, grid):
        count = int(self._is_negative.sum())
        if count:
            raise ValueError(
                f"The batch normalization behind max pooling {self.name!r} has {count} channels "
                "with a negative multiplier, through which a maximum of codes does not pass. Put "
                "a tfq.QuantizeActivation between the two, normalize first, or use "
                "tfq.quantize_model."
            )
        return super()._emit(emitter, grid)

    def _emit_signs(self, emitter, thresholds):
        if self._is_negative.any():
            self._before.flip_signs(self._is_negative)
        source = self._before.emit_signs(emitter, thresholds)
        pooled = emitter.packed(self.name, self.shape)
        emitter.add(Bmaxpool(self.name, source, pooled, *self._window))
        return emitter.flip(pooled, self._is_negative)


def _bound(bound):
    """Return float32 bounds, None where there is none."""
    return bound.astype(np.float32) if np.isfinite(bound).any() else None
