"""Operators of `tests/evaluator.py` with int16 tensors: the builtin kernels, all zero points 0."""

import math

import numpy as np

from tests.evaluator_nodes import (
    F32,
    Node,
    clamp,
    fixed_point,
    in_blocks,
    multiply_fixed,
    require,
    round_away,
)


def finish_int16(node: Node, total) -> np.ndarray:
    """Sums of products to codes, for the operators with a filter."""
    require(not total.size or np.abs(total).max() < 2**47, f"{node.name}: more than 48 bits")
    factor = np.float64(node.inputs[0].grid[0]) * node.inputs[1].scales.astype(np.float64)
    factor = factor / np.float64(node.output.grid[0])
    if node.name == "FULLY_CONNECTED":
        return clamp(node, round_away(total.astype(np.float64) * factor), False)
    return clamp(node, _reduced(node, total, factor), False)


def _reduced(node, total, factors):
    """Product with a factor a channel, reduced to 16 bits; one rounding, halves upwards."""
    require(np.all(factors < 128), f"{node.name}: a multiplier of 128 or more")
    codes = np.empty(total.shape, np.int64)
    factors = np.broadcast_to(factors, total.shape[-1])
    for channel, factor in enumerate(factors):
        mantissa, exponent = fixed_point(float(factor))
        reduced = 0x7FFF if mantissa >= 0x7FFF0000 else (mantissa + 2**15) >> 16
        half = np.int64(1) << (14 - exponent)
        codes[..., channel] = (total[..., channel] * reduced + half) >> (15 - exponent)
    return codes


def add(node: Node) -> np.ndarray:
    require(not node.options.potScaleInt16, f"{node.name}: the general form is expected")
    sign = -1 if node.name == "SUB" else 1
    scales = [source.grid[0] for source in node.inputs]
    twice = np.float64(F32(2) * max(scales))
    total = block = 0
    for source, scale, factor in zip(node.inputs, np.float64(scales), (1, sign), strict=True):
        total = total + factor * multiply_fixed(source.codes << 15, scale / twice, True)
        mantissa, exponent = fixed_point(scale / twice)
        left = 15 + exponent
        shifted = source.codes << left if left >= 0 else source.codes >> -left
        block = block + ((shifted * mantissa + 2**30) >> 31)
    shapes = {source.data.shape for source in node.inputs}
    if node.name == "ADD" and len(shapes) == 1:
        total = np.where(in_blocks(total, 16), block, total)
    factor = twice / np.float64(F32(2**15) * node.output.grid[0])
    return clamp(node, multiply_fixed(total, factor, True), False)


def multiply(node: Node) -> np.ndarray:
    first, second = node.inputs
    factor = first.grid[0] * second.grid[0] / node.output.grid[0]
    products = first.codes * second.codes
    left = max(fixed_point(float(factor))[1], 0)
    fits = not products.size or np.abs(products).max() << left < 2**31
    require(fits, "MUL: a product that is shifted beyond 32 bits")
    return clamp(node, multiply_fixed(products, factor, True), False)


def mean(node: Node) -> np.ndarray:
    source = node.inputs[0]
    axes = tuple({int(axis) % source.data.ndim for axis in node.inputs[1].data.ravel()})
    total = source.codes.sum(axes, keepdims=bool(node.options.keepDims))
    require(not total.size or np.abs(total).max() < 2**31, "MEAN: int32 overflow")
    count = math.prod(source.data.shape[axis] for axis in axes)
    ratio = np.float64(source.grid[0]) / np.float64(node.output.grid[0])
    mantissa, exponent = fixed_point(ratio)
    shift = min(int(math.log2(count)), 32, 31 + exponent)
    mantissa, exponent = (mantissa << shift) // count, exponent - shift
    high = (total * mantissa + 2**30) >> 31
    right = -exponent
    require(right >= 0, "MEAN: an output much finer than its input")
    codes = round_away(high / 2.0**right)
    return clamp(node, codes, False)


def matrix_product(node: Node) -> np.ndarray:
    left, right = node.inputs
    require(not node.options.adjX, f"{node.name}: the left side is never transposed")
    second = right.codes.swapaxes(-1, -2) if node.options.adjY else right.codes
    factor = np.float64(left.grid[0] * right.grid[0]) / np.float64(node.output.grid[0])
    return clamp(node, _reduced(node, left.codes @ second, factor), False)


def quantize(node: Node) -> np.ndarray:
    source, (scale_out, zero_out) = node.inputs[0], node.output.grid
    if source.type != "FLOAT32":
        factor = np.float64(source.grid[0]) / np.float64(scale_out)
        return clamp(node, multiply_fixed(source.codes, factor, True) + zero_out, False)
    block = np.rint(source.data * (F32(1) / scale_out)).astype(np.float64)
    rest = round_away(source.data.astype(np.float64) / np.float64(scale_out))
    codes = np.where(in_blocks(source.data, 8), block, rest)
    return clamp(node, np.where(np.abs(codes) < 2.0**31, codes, -(2.0**31)), False)


INT16_OPERATORS = {"ADD": add, "SUB": add, "MUL": multiply, "MEAN": mean, "QUANTIZE": quantize}
INT16_OPERATORS |= {"BATCH_MATMUL": matrix_product}
