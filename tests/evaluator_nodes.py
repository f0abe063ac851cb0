"""What the operators of `tests/evaluator.py` share: tensors, rounding, clamps, windows."""

import math
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

F32 = np.float32
LIMITS = {"INT8": (-128, 127), "INT16": (-32768, 32767)}
REAL_BOUNDS = {"NONE": (-1e9, 1e9), "RELU": (0, 1e9), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}


def name_of(enumeration, code: int) -> str:
    members = vars(enumeration).items()
    return next(name for name, value in members if value == code and name[0] != "_")


@dataclass
class Tensor:
    """One tensor of the file; `data` holds unpacked codes (or floats) once known."""

    name: str
    type: str
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    data: np.ndarray | None = None

    @property
    def grid(self) -> tuple[np.float32, int]:
        """Scale and zero point of a per-tensor integer tensor."""
        require(self.type in LIMITS, f"{self.name}: int8 or int16 expected, found {self.type}")
        require(self.scales.size == 1, f"{self.name}: one scale expected")
        is_right = self.type == "INT8" or self.zero_points[0] == 0
        require(is_right, f"{self.name}: an int16 tensor has its zero at code 0")
        return self.scales[0], int(self.zero_points[0])

    @property
    def codes(self) -> np.ndarray:
        """Codes as int64 with the zero point subtracted."""
        return self.data.astype(np.int64) - self.grid[1]


@dataclass
class Node:
    """One operator: its tensors (None for an absent optional input) and its options."""

    name: str
    inputs: list[Tensor | None]
    output: Tensor
    options: object
    batches: tuple[int, int]  # of the file's input, of the given input

    @property
    def activation(self) -> str:
        if self.name in REAL_BOUNDS:
            return self.name
        code = getattr(self.options, "fusedActivationFunction", 0)
        return name_of(schema.ActivationFunctionType, code)


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def require_same_grid(node: Node, inputs: list[Tensor]) -> None:
    for source, target in ((source, node.output) for source in inputs):
        pairs = (source.scales, target.scales), (source.zero_points, target.zero_points)
        same = source.type == target.type and all(np.array_equal(*pair) for pair in pairs)
        require(same, f"{node.name}: {source.name} and {target.name} must share one grid")


def round_away(value):
    """Nearest integer, halves away from zero."""
    return np.trunc(np.float64(value) + np.copysign(0.5, value))


def fixed_point(factor: float) -> tuple[int, int]:
    """A positive factor as (mantissa, exponent): mantissa * 2**(exponent - 31)."""
    fraction, exponent = math.frexp(factor)
    mantissa = math.floor(fraction * 2.0**31 + 0.5)
    if mantissa == 2**31:
        mantissa, exponent = 2**30, exponent + 1
    return (mantissa, exponent) if exponent >= -31 else (0, 0)


def multiply_fixed(value, factor, scalar):
    """Two-step fixed-point product, as the builtin kernels do it.

    `factor` is one number or one per last-axis channel. The second rounding sends halves away
    from zero where `scalar` is true (plain C code) and upwards elsewhere (vector code).
    """
    mantissa, exponent = np.array([fixed_point(float(one)) for one in np.atleast_1d(factor)]).T
    left, right = np.maximum(exponent, 0), np.maximum(-exponent, 0)
    shifted = (value << left).astype(np.int32).astype(np.int64)
    high = (shifted * mantissa + 2**30) >> 31
    half = (np.int64(1) << right) >> 1
    downwards = scalar & (high < 0) & (right > 0)
    return (high + half - downwards) >> right


def clamp(node: Node, codes, delegated: bool) -> np.ndarray:
    """Codes, output zero point included, held to their type and to the fused activation."""
    scale, zero = node.output.grid
    steps = [F32(real) / scale for real in REAL_BOUNDS[node.activation]]
    bounds = [np.rint(s + F32(zero)) if delegated else zero + round_away(s) for s in steps]
    low, high = LIMITS[node.output.type]
    return np.clip(codes, *np.clip(bounds, low, high)).astype(node.output.type.lower())


def scale_delegated(node: Node, total, factor) -> np.ndarray:
    """Product with a float32 factor, rounded once (halves to even)."""
    require(np.all(factor < 256), f"{node.name}: XNNPACK refuses a multiplier of 256 or more")
    codes = np.rint(total.astype(F32) * factor).astype(np.float64)
    return clamp(node, codes + node.output.grid[1], True)


def in_blocks(data: np.ndarray, block: int) -> np.ndarray:
    """True for the elements that vector code handles in whole blocks, False for the tail."""
    return (np.arange(data.size) < data.size - data.size % block).reshape(data.shape)


def windows_of(node: Node, data, fill, kernel=None) -> np.ndarray:
    """Sliding windows [batch, out height, out width, channel, kernel height, kernel width]."""
    options = node.options
    kernel = kernel or (options.filterHeight, options.filterWidth)
    stride = options.strideH, options.strideW
    dilation = [getattr(options, f"dilation{axis}Factor", 1) for axis in "HW"]
    pads = [(0, 0)] * 4
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    for axis in (0, 1) if options.padding == schema.Padding.SAME else ():
        size = data.shape[axis + 1]
        missing = (-(-size // stride[axis]) - 1) * stride[axis] + spans[axis] - size
        pads[axis + 1] = (max(missing, 0) // 2, (max(missing, 0) + 1) // 2)
    padded = np.pad(data, pads, constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
    return views[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
