"""What the arithmetic of LiteRT's kernels shares, whatever the type of their activations.

Accumulators are integers held in a float type wide enough to be exact.
"""

import ctypes
import ctypes.util
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Integers up to this size are exact in float32, whatever the order of summation.
FLOAT32_EXACT = 2**24


def accumulator_type(bound):
    """Return the float type in which sums of magnitude up to `bound` are exact."""
    return tf.float32 if bound < FLOAT32_EXACT else tf.float64


def fused_bounds(activation, grid):
    """Return the codes between which a fused activation clamps an output on `grid`."""
    storage = grid.storage
    lower, upper = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0)}[activation]

    def code(bound):
        return storage.arithmetic.bound_code(bound, grid.scale, grid.zero_point)

    low = storage.low if lower is None else code(lower)
    return low, storage.high if upper is None else code(upper)


def clamped_codes(grid, clamp):
    """Return the smallest and largest code of a grid within the bounds of an activation."""
    low, high = grid.low, grid.high
    if clamp.lower is not None:
        low = max(low, grid.nearest(clamp.lower))
    if clamp.upper is not None:
        high = min(high, grid.nearest(clamp.upper))
    return low, high


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
