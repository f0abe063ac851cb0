"""The accumulator of a convolution or dense layer, until a quantizer gives it a grid."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfq_lowbit.export.chain import INT32_MIN, Chain, find_thresholds
from tfq_lowbit.export.lowbit import emit_lowbit, why_not_lowbit
from tfq_lowbit.export.operators import (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Reshape,
    TransposeConv,
)
from tfq_lowbit.export.pending import ClampedPending, check_multiplier
from tfq_lowbit.export.program import Constant, Grid
from tfq_lowbit.export.windows import count_window_operators, gather_windows
from tfq_lowbit.wrappers import bias_codes, round_bias

# What an operator that gathers windows adds to a file: itself, its tensor and its constants.
OPERATOR_BYTES = 300

OPERATORS = {
    "CONV_2D": Conv2D,
    "DEPTHWISE_CONV_2D": DepthwiseConv2D,
    "FULLY_CONNECTED": FullyConnected,
    "TRANSPOSE_CONV": TransposeConv,
}


@dataclass(eq=False)
class IntegerWeights:
    """What a layer ships.

    Attributes:
        codes: int8 codes of the kernel, in the layout of the Keras layer.
        scales: float32, one for each output channel: `kernel = codes * scales`.
        bias: int32 (int64 beside 16-bit activations), in units of `input_scale * scales`.
        num_bits: width that the layer was trained at.
        stored_as: type of the file, "INT8", "INT4" or "INT2", "UINT8" for packed bits.
        input_scale: float32 scale of the layer's input.
        input_zero_point: code of 0 of the layer's input.
        gathers_windows: whether a convolution is stored as a matrix product of its windows.
        is_one_pixel: whether a dense layer is stored as a convolution of one pixel.
    """

    codes: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    num_bits: int
    stored_as: str
    input_scale: float
    input_zero_point: int
    gathers_windows: bool = False
    is_one_pixel: bool = False


@dataclass(eq=False)
class KernelSpec:
    """A kernel layer's geometry.

    Attributes:
        operator: a key of `OPERATORS`.
        strides: height, width.
        dilation: height, width.
        padding: "SAME" or "VALID".
        num_bits: width of the codes.
        to_layer: from codes in the operator's layout to those in the layout of the Keras layer.
    """

    operator: str
    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: str = "VALID"
    num_bits: int = 8
    to_layer: Callable = np.asarray


class PendingKernel(ClampedPending):
    """`scale * (sum(codes * (x - z)) + bias)` by channel, in reals.

    Args:
        name: path of the layer.
        shape: of the output.
        spec: the geometry.
        source: the input.
        codes: integer array in the operator's layout: of shape (height, width, inputs, outputs),
            for a depthwise kernel (height, width, inputs, multiplier), for a dense one (inputs,
            outputs).
        step_sizes: float32 of shape (channels,).
        bias: float32 of shape (channels,).
    """

    def __init__(self, name, shape, spec, source, codes, step_sizes, bias):
        super().__init__(name, shape)
        self.spec, self.source = spec, source
        self._layout = codes.shape
        # One column a channel, whatever the layout.
        self._codes = codes.reshape(-1, self._channels(codes)).astype(np.int64)
        self._scales = np.asarray(step_sizes, np.float32)
        # In units of the accumulator, and in reals: a channel whose unit is 0 has only the latter.
        self._bias_codes, self._bias = np.zeros(len(bias)), np.zeros(len(bias))
        unit = source.grid.scale * self._scales
        self._add_bias(bias, unit)
        # What Keras computes of an accumulator, for its sign.
        self._chain = Chain(len(self._scales))
        self._chain.scale(unit, round_bias(bias, unit))
        self._sign = np.ones(len(self._scales), np.int64)  # of codes against those of the layer

    @property
    def can_fold(self):
        """Whether a batch normalization fits."""
        return not self.is_clamped

    def fold(self, multiplier, shift, rounds_shift=False):
        # As the Keras layer computes it, product by product.
        unit = np.abs(multiplier) * (self.source.grid.scale * self._scales)
        sign = np.where(multiplier < 0, -1, 1)
        self._codes = self._codes * sign
        self._scales = (self._scales * np.abs(multiplier)).astype(np.float32)
        self._bias_codes, self._bias = self._bias_codes * sign, self._bias * multiplier
        self._add_bias(shift, unit)
        self._chain.scale(multiplier, round_bias(shift, unit) if rounds_shift else shift)
        self._sign = self._sign * sign

    def _add_bias(self, bias, unit):
        self._bias_codes = self._bias_codes + np.asarray(bias_codes(bias, unit))
        self._bias = self._bias + np.asarray(round_bias(bias, unit))

    def _emit(self, emitter, grid):
        if self._is_to_be_convolution(emitter.target):
            return self._emit_convolution(emitter, grid)
        codes, scales, bias = self._floored(grid)
        scales = self._capped(scales, grid)
        largest = float(self.source.grid.scale * scales.max() / grid.scale)
        check_multiplier(self.name, largest, emitter, grid)
        reason = why_not_lowbit(self.spec, codes, self.source.grid)
        if emitter.custom_ops == "lowbit" and not reason:
            self._record(emitter, codes, scales, bias, "UINT8", False)
            kernel = codes.reshape(self._layout).astype(np.int8)
            return emit_lowbit(emitter, self, kernel, scales, bias, grid, self._clamp)
        emitter.program.plain_layers[self.name] = reason or "custom_ops='lowbit' runs it on bits"
        self._check_reach(codes, scales, bias, grid)
        make, *stored = self._operator(emitter, codes, scales, bias)
        self._record(emitter, codes, scales, bias, *stored)
        return emitter.bounded(self.name, self.shape, grid, self._clamp, make)

    def _emit_signs(self, emitter, thresholds):
        """Emit the accumulator less its threshold, at a multiplier of 1: it saturates, signs stay.

        An accumulator needs no grid then, and no sign is lost to rounding.
        """
        source = self.source.grid
        self._chain.clamp(self._clamp)
        reach = (np.abs(self._codes).sum(axis=0) * _widest(source)).astype(np.int64)
        integers, is_set = find_thresholds(
            lambda sums: self._chain(sums * self._sign), -reach, reach, thresholds
        )
        never_crosses = np.where(is_set, -reach - 1, reach)
        bias = np.where(integers == INT32_MIN, never_crosses, -integers).astype(np.int32)
        emitter.program.plain_layers[self.name] = why_not_lowbit(self.spec, self._codes, source)
        make, *stored = self._operator(emitter, self._codes, np.ones_like(self._scales), bias)
        self._record(emitter, self._codes, self._scales, bias, *stored)
        output = emitter.tensor(f"{self.name}/accumulator", self.shape, Grid(source.scale, 0))
        emitter.add(make(output))
        return emitter.pack_signs(output, np.zeros(1, np.int32))

    def _operator(self, emitter, codes, scales, bias):
        """Return `(output, activation) -> operator`, the stored type, and if it has windows."""
        facts = self._facts(codes, scales, bias, emitter)
        operator, source, layout = self._choose_operator(emitter, codes, facts)
        stored_as = self._tables(emitter).choose_container(operator, **facts)
        axis = 3 if operator == "DEPTHWISE_CONV_2D" else 0
        if emitter.target.SINGLE_SCALE and operator == "FULLY_CONNECTED" and _is_single(scales):
            scales = scales[:1]
        bias_scales = (self.source.grid.scale * scales).astype(np.float32)
        arguments = dict(
            name=self.name,
            source=source,
            filter=Constant(
                f"{self.name}/filter", layout.astype(np.int8), stored_as, scales, axis=axis
            ),
            bias=Constant(f"{self.name}/bias", bias, source.grid.arithmetic.BIAS_TYPE, bias_scales),
        )
        if operator != "FULLY_CONNECTED":
            arguments |= dict(
                strides=self.spec.strides, dilation=self.spec.dilation, padding=self.spec.padding
            )

        def make(output, activation="NONE"):
            return OPERATORS[operator](output=output, activation=activation, **arguments)

        return make, stored_as, source is not self.source

    def _record(self, emitter, codes, scales, bias, stored_as, gathers_windows):
        grid = self.source.grid
        emitter.program.weights[self.name] = IntegerWeights(
            self.spec.to_layer(codes.reshape(self._layout).astype(np.int8)),
            scales,
            bias,
            self.spec.num_bits,
            stored_as,
            float(grid.scale),
            grid.zero_point,
            gathers_windows,
        )

    def _is_to_be_convolution(self, target):
        """Whether the target takes a dense layer of this kind only as a 1x1 convolution."""
        if self.spec.operator != "FULLY_CONNECTED":
            return False
        is_vector = np.prod(self.shape[1:-1]) == 1
        needs_single = ("FULLY_CONNECTED", "INT8") in target.SINGLE_SCALE
        return (needs_single and not _is_single(self._scales)) or (
            target.DENSE_IS_ONE_VECTOR and not is_vector
        )

    def _emit_convolution(self, emitter, grid):
        """Emit a dense layer as a convolution of one pixel, which has a scale for each channel."""

        def reshaped(source, shape, label):
            if source.shape == shape:
                return source
            output = emitter.tensor(f"{self.name}{label}", shape, source.grid)
            return emitter.add(Reshape(self.name, source, output))

        batch, *positions, channels = self.shape
        image = (batch, int(np.prod(positions)), 1)
        layer = copy.copy(self)
        layer.spec = KernelSpec(
            "CONV_2D",
            num_bits=self.spec.num_bits,
            to_layer=lambda codes: self.spec.to_layer(codes.reshape(self._layout)),
        )
        layer.source = reshaped(self.source, (*image, self._layout[0]), "/image")
        layer.shape, layer._layout = (*image, channels), (1, 1, *self._layout)
        output = reshaped(layer._emit(emitter, grid), self.shape, "/vectors")
        emitter.program.weights[self.name].is_one_pixel = True
        return output

    def _check_reach(self, codes, scales, bias, grid):
        """Raise a ValueError where a sum in output steps may leave the runtime's integers."""
        unit = np.float64(self.source.grid.scale) * scales / np.float64(grid.scale)
        most = float((_largest_sums(codes, bias, self.source.grid) * unit).max())
        if most >= grid.arithmetic.MAX_STEPS:
            raise ValueError(
                f"Layer {self.name!r} may sum up to {most:g} steps of its output, which the "
                f"runtime computes with up to {grid.arithmetic.MAX_STEPS:g}. Calibrate the step "
                "sizes anew."
            )

    def _facts(self, codes, scales, bias, emitter):
        """Return what decides the container of the codes."""
        sums = _largest_sums(codes, bias, self.source.grid)
        largest_sum, limit = int(sums.max()), self._tables(emitter).ACCUMULATOR_LIMITS["INT8"]
        if largest_sum >= limit:
            raise ValueError(
                f"Layer {self.name!r} may sum up to {largest_sum:,}, beyond the runtime's "
                f"{self.source.grid.arithmetic.BIAS_TYPE.lower()} accumulators. Use fewer bits for "
                "its weights or its input."
            )
        return dict(
            low=int(codes.min()),
            high=int(codes.max()),
            depth=len(codes),
            prefer=emitter.prefer,
            largest_sum=largest_sum,
            is_per_channel=not _is_single(scales),
        )

    def _tables(self, emitter):
        return emitter.target.beside(self.source.grid.type)

    def _choose_operator(self, emitter, codes, facts):
        """Return the operator, its input and the codes in its layout."""
        spec, shaped = self.spec, codes.reshape(self._layout)
        if spec.operator == "FULLY_CONNECTED":
            return spec.operator, self.source, codes.T
        if spec.operator == "DEPTHWISE_CONV_2D":
            return spec.operator, self.source, shaped.reshape(1, *self._layout[:2], -1)
        if spec.operator == "TRANSPOSE_CONV":
            return spec.operator, self.source, shaped.transpose(3, 0, 1, 2)
        is_grouped = self._layout[2] != self.source.shape[-1]
        tables = self._tables(emitter)
        packed = tables.choose_container("FULLY_CONNECTED", **facts)
        plain = tables.choose_container("CONV_2D", **facts)
        bits = tables.BITS
        saved_bytes = codes.size * (bits[plain] - bits[packed]) // 8
        copies = count_window_operators(self._layout[:2], spec)
        is_worth_it = emitter.prefer == "size" and saved_bytes > copies * OPERATOR_BYTES
        if saved_bytes and not is_grouped and (not copies or is_worth_it):
            source = gather_windows(
                emitter, self.name, self.source, self._layout[:2], spec, self.shape[1:3]
            )
            return "FULLY_CONNECTED", source, codes.T
        return spec.operator, self.source, shaped.transpose(3, 0, 1, 2)

    def _capped(self, scales, grid):
        """Return scales whose multipliers the runtime takes, with the same codes.

        An output that varies by next to nothing has a step so fine that a single unit of the
        accumulator passes over many codes. What the runtime takes at most saturates just so.
        """
        most = np.float64(grid.arithmetic.SATURATING_MULTIPLIER)
        most = most * grid.scale / self.source.grid.scale
        return np.minimum(scales, most).astype(np.float32)

    def _floored(self, grid):
        """Return codes, scales and integer bias with the scales of dead channels lifted."""
        codes, scales = self._codes.copy(), self._scales.astype(np.float64)
        source = np.float64(self.source.grid.scale)
        arithmetic = grid.arithmetic
        floor = arithmetic.SMALLEST_MULTIPLIER * np.float64(grid.scale) / source
        # A scale for all channels stays one, though some of them are dead.
        is_dead = (scales < floor) | (~codes.any(axis=0) & ~_is_single(scales))
        codes[:, is_dead] = np.rint(codes[:, is_dead] * np.minimum(scales[is_dead] / floor, 1.0))
        scales = np.where(is_dead, floor, scales).astype(np.float32)
        unit = source * scales
        reach = arithmetic.MAX_BIAS_STEPS * float(grid.scale)
        lifted = np.rint(np.clip(self._bias, -reach, reach) / unit)
        bias = np.where(is_dead, lifted, self._bias_codes)
        # So far beyond saturation the exact value of a bias does not matter.
        most = arithmetic.MAX_BIAS_STEPS / arithmetic.SMALLEST_MULTIPLIER
        dtype = np.dtype(arithmetic.BIAS_TYPE.lower())
        return codes, scales, np.clip(bias, -most, most).astype(dtype)

    def _channels(self, codes):
        is_depthwise = self.spec.operator == "DEPTHWISE_CONV_2D"
        return codes.shape[-1] * (codes.shape[-2] if is_depthwise else 1)


def _is_single(scales):
    """Return whether all channels have the same scale."""
    return np.all(scales == scales[0])


def _largest_sums(codes, bias, grid):
    """Return a bound on the accumulators by channel."""
    return np.abs(codes).sum(axis=0) * _widest(grid) + np.abs(bias.astype(np.int64))


def _widest(grid):
    """Return the largest distance of a code from the zero point."""
    return max(grid.high - grid.zero_point, grid.zero_point - grid.low)
