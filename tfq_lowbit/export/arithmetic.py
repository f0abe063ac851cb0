"""The integer arithmetic of LiteRT's kernels, in TensorFlow.

Accumulators are integers held in a float type wide enough to be exact. Every operator with weights
that is written is one that the default resolver gives to XNNPACK, which requantizes with a single
rounding in float32. (The builtin kernels round twice, which adds up to half an accumulator step.)
"""

import ctypes
import ctypes.util
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

INT8_MIN, INT8_MAX = -128, 127
# Integers up to this size are exact in float32, whatever the order of summation.
FLOAT32_EXACT = 2**24


def accumulator_type(bound):
    """Return the float type in which sums of magnitude up to `bound` are exact."""
    return tf.float32 if bound < FLOAT32_EXACT else tf.float64


def requantize(accumulator, multiplier, zero_point, low, high):
    """XNNPACK's requantization: `clip(rint(float32(acc) * multiplier) + zero_point)`.

    Args:
        accumulator: integers in a float tensor.
        multiplier: float32, `float32(float32(s_in * s_w) / s_out)`, scalar or by channel.
        zero_point: of the output.
        low: smallest output code.
        high: largest output code.

    Returns:
        float32 codes.
    """
    if accumulator.dtype == tf.float32:
        # In a graph, TensorFlow's optimizer would move the multiplier into the filter of a
        # convolution without a bias, which rounds otherwise. It does not look through integers.
        accumulator = tf.cast(accumulator, tf.int32)
    scaled = tf.cast(accumulator, tf.float32) * tf.constant(multiplier, tf.float32)
    return tf.clip_by_value(tf.round(scaled) + float(zero_point), float(low), float(high))


def fused_bounds(activation, scale, zero_point):
    """Return the codes between which a fused activation of a delegated operator clamps."""
    bounds = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}[activation]
    return tuple(_bound_code(bound, scale, zero_point) for bound in bounds)


def clamped_codes(grid, clamp):
    """Return the smallest and largest code of a grid within the bounds of an activation."""
    low, high = grid.low, grid.high
    if clamp.lower is not None:
        low = max(low, _bound_code(clamp.lower, grid.scale, grid.zero_point))
    if clamp.upper is not None:
        high = min(high, _bound_code(clamp.upper, grid.scale, grid.zero_point))
    return low, high


def _bound_code(bound, scale, zero_point):
    value = np.float32(bound) / np.float32(scale) + np.float32(zero_point)
    return int(np.rint(np.clip(value, INT8_MIN, INT8_MAX)))


# What takes the place of a system without a C math library: float64, rounded once.
_DOUBLE: dict[str, Callable] = {
    "expf": np.exp,
    "expm1f": np.expm1,
    "tanhf": np.tanh,
    "erfcf": np.vectorize(math.erfc, otypes=[np.float64]),
}


@functools.cache
def float32_function(name):
    """Return a function of the system's math library, which the runtime computes with too.

    Its last bit may differ from one system to the next.

    Args:
        name: "expf", "expm1f", "tanhf" or "erfcf".

    Returns:
        A function from a float32 array to one.
    """
    library = ctypes.util.find_library("m")
    if library is None:
        return lambda values: _DOUBLE[name](values.astype(np.float64)).astype(np.float32)
    function = getattr(ctypes.CDLL(library), name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return lambda values: np.array([function(float(value)) for value in values], np.float32)
