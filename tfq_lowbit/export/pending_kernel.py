"""The accumulator of a convolution or dense layer, until a quantizer gives it a grid."""

from dataclasses import dataclass

import numpy as np

from tfq_lowbit.export.operators import Conv2D, DepthwiseConv2D, FullyConnected
from tfq_lowbit.export.pending import _Clamped
from tfq_lowbit.export.program import Constant

# A channel whose multiplier s_in * s_w / s_out is smaller contributes next to nothing: its scale is
# lifted to this, so that its int32 bias, in units of the accumulator, cannot overflow (a bias of
# 1,024 output steps, far beyond saturation, is 2^30 units).
SMALLEST_MULTIPLIER = 2.0**-20
MAX_BIAS_STEPS = 1024.0


@dataclass(eq=False)
class IntegerWeights:
    """What a layer ships.

    Attributes:
        codes: int8 codes of the kernel, in the layout of the Keras layer.
        scales: float32, one for each output channel: `kernel = codes * scales`.
        bias: int32, in units of `input_scale * scales`.
        num_bits: width that the layer was trained at.
        stored_as: type of the file, "INT8", "INT4" or "INT2".
        input_scale: float32 scale of the layer's input.
        input_zero_point: int8 code of 0 of the layer's input.
    """

    codes: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    num_bits: int
    stored_as: str
    input_scale: float
    input_zero_point: int


@dataclass(eq=False)
class KernelSpec:
    """A kernel layer's geometry.

    Attributes:
        operator: "CONV_2D", "DEPTHWISE_CONV_2D" or "FULLY_CONNECTED".
        strides: height, width.
        dilation: height, width.
        padding: "SAME" or "VALID".
        num_bits: width of the codes.
    """

    operator: str
    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    padding: str = "VALID"
    num_bits: int = 8


class PendingKernel(_Clamped):
    """`scale * (sum(codes * (x - z)) + bias)` by channel, in reals.

    Args:
        name: path of the layer.
        shape: of the output.
        spec: the geometry.
        source: the int8 input.
        codes: integer array in the layout of the Keras layer, output channels last (for a
            depthwise kernel, inputs and multiplier last).
        step_sizes: float32 of shape (channels,).
        bias_codes: integers of shape (channels,), in units of `s_in * step_size`.
    """

    def __init__(self, name, shape, spec, source, codes, step_sizes, bias_codes):
        super().__init__(name, shape)
        self.spec, self.source = spec, source
        self._layout = codes.shape
        # One column a channel, whatever the layout.
        self._codes = codes.reshape(-1, self._channels(codes)).astype(np.int64)
        self._scales = np.asarray(step_sizes, np.float32)
        unit = np.float64(source.grid.scale) * self._scales
        self._bias_codes = np.asarray(bias_codes, np.float64)
        self._bias = self._bias_codes * unit

    @property
    def accumulator_step(self):
        """The unit of the accumulator, float32 of shape (channels,)."""
        return self.source.grid.scale * self._scales

    def fold(self, multiplier, shift, shift_codes):
        """Apply a batch normalization, `multiplier * y + shift`.

        Args:
            multiplier: float32 of shape (channels,), of any sign.
            shift: float32 of shape (channels,).
            shift_codes: `shift` in units of `abs(multiplier) * accumulator_step`, rounded.
        """
        sign = np.where(multiplier < 0, -1, 1)
        self._codes = self._codes * sign
        self._scales = (self._scales * np.abs(multiplier)).astype(np.float32)
        unit = np.float64(self.source.grid.scale) * self._scales
        self._bias_codes = self._bias_codes * sign + shift_codes
        self._bias = np.where(unit > 0, self._bias_codes * unit, shift)

    def _emit(self, emitter, grid):
        codes, scales, bias = self._floored(grid)
        operator, layout = self.spec.operator, self._filter_layout(codes)
        low, high, depth = int(codes.min()), int(codes.max()), codes.shape[0]
        choose = emitter.target.choose_container
        stored_as = choose(operator, low, high, depth, emitter.prefer)
        if self._is_pointwise():
            packed = choose("FULLY_CONNECTED", low, high, depth, emitter.prefer)
            if packed != "INT8":
                # The same sums by an operator that reads packed weights at full speed.
                operator, stored_as, layout = "FULLY_CONNECTED", packed, codes.T
        limit = emitter.target.MAX_MULTIPLIER
        largest = float((self.source.grid.scale * scales / grid.scale).max())
        if not largest < limit:
            raise ValueError(
                f"Layer {self.name!r} has an output step {largest:g} times finer than its "
                f"accumulator; the runtime takes up to {limit:g}. Its output quantizer has seen "
                "next to no data: calibrate it anew."
            )
        axis = 3 if operator == "DEPTHWISE_CONV_2D" else 0
        weights = Constant(f"{self.name}/filter", layout.astype(np.int8), stored_as, scales, 0, axis)
        bias_scales = (self.source.grid.scale * scales).astype(np.float32)
        if operator == "CONV_2D" and stored_as != "INT8":
            bias = _centered_bias(bias, bias_scales / grid.scale)

        def make(output, activation):
            arguments = dict(
                name=self.name,
                source=self.source,
                filter=weights,
                bias=Constant(f"{self.name}/bias", bias, "INT32", bias_scales),
                output=output,
                activation=activation,
            )
            if operator == "FULLY_CONNECTED":
                return FullyConnected(**arguments)
            return {"CONV_2D": Conv2D, "DEPTHWISE_CONV_2D": DepthwiseConv2D}[operator](
                **arguments,
                strides=self.spec.strides,
                dilation=self.spec.dilation,
                padding=self.spec.padding,
            )

        output = emitter.bounded(self.name, self.shape, grid, self._clamp, make)
        emitter.program.weights[self.name] = IntegerWeights(
            codes.reshape(self._layout).astype(np.int8),
            scales,
            bias,
            self.spec.num_bits,
            stored_as,
            float(self.source.grid.scale),
            self.source.grid.zero_point,
        )
        return output

    def _floored(self, grid):
        """Return codes, scales and int32 bias with the scales of dead channels lifted."""
        codes, scales = self._codes.copy(), self._scales.astype(np.float64)
        source = np.float64(self.source.grid.scale)
        floor = SMALLEST_MULTIPLIER * np.float64(grid.scale) / source
        is_dead = (scales < floor) | ~codes.any(axis=0)
        codes[:, is_dead] = np.rint(codes[:, is_dead] * np.minimum(scales[is_dead] / floor, 1.0))
        scales = np.where(is_dead, floor, scales).astype(np.float32)
        unit = source * scales
        reach = MAX_BIAS_STEPS * float(grid.scale)
        lifted = np.rint(np.clip(self._bias, -reach, reach) / unit)
        bias = np.where(is_dead, lifted, self._bias_codes)
        # Beyond saturation of every input the exact value of a bias does not matter.
        bias = np.clip(bias, -(2**30), 2**30)
        return codes, scales, bias.astype(np.int32)

    def _filter_layout(self, codes):
        """Return the codes in the layout of the file."""
        if self.spec.operator == "FULLY_CONNECTED":
            return codes.T
        shaped = codes.reshape(self._layout)
        if self.spec.operator == "CONV_2D":
            return shaped.transpose(3, 0, 1, 2)
        return shaped.reshape(1, *self._layout[:2], -1)

    def _channels(self, codes):
        is_depthwise = self.spec.operator == "DEPTHWISE_CONV_2D"
        return codes.shape[-1] * (codes.shape[-2] if is_depthwise else 1)

    def _is_pointwise(self):
        return (
            self.spec.operator == "CONV_2D"
            and self._layout[:2] == (1, 1)
            and self.spec.strides == (1, 1)
            and self._layout[2] == self.source.shape[-1]
        )


def _centered_bias(bias, multipliers):
    """Return the bias that undoes most of the builtin kernels' second rounding.

    For a multiplier `m * 2^-k` with `0.5 <= m < 1` they compute
    `floor(acc * m * 2^-k + 1/2 + 2^-(k+1))`: two roundings add 2^-(k+1) output steps, which is
    `1 / (2 m)` units of the accumulator, more than half of one wherever k > 0. One unit less
    leaves the smaller error of the two.
    """
    return np.where(multipliers < 0.5, bias - 1, bias).astype(np.int32)
