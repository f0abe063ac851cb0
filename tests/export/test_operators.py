"""Each operator alone: its `compute` equals LiteRT and the NumPy evaluator bit for bit.

A new operator is some rows. Odd seeds draw scales that are powers of two, which makes ties, where
rounding rules differ, frequent.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluator import evaluate
from tests.export import test_bit_operators as bits
from tests.promise import run_litert
from tfq_lowbit.export import operators, write_tflite
from tfq_lowbit.export.arithmetic import FLOAT32_EXACT, accumulator_type
from tfq_lowbit.export.program import Constant, FloatTensor, Grid, IndexTensor, Program, Tensor
from tfq_lowbit.export.storage import INT8, INT16
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

SEEDS = range(4)
BATCH = 3  # the files are written for one
CODE_RANGES = {"INT8": 127, "INT4": 7, "INT2": 1}


class Draw:
    """Random scales, grids and tensors for one case, of one type."""

    def __init__(self, seed, storage=INT8):
        self.random = np.random.default_rng(seed)
        self.powers = seed % 2 == 1
        self.storage = storage

    def scale(self, about=0.05):
        exact = about * np.exp(self.random.uniform(-0.7, 0.7))
        return np.float32(2.0 ** np.rint(np.log2(exact)) if self.powers else exact)

    def grid(self, about=0.05, zero_point=None):
        """Returns a grid whose range is about that of 256 codes of a step `about`."""
        if not self.storage.has_zero_point:
            return Grid.whole(self.scale(about * INT8.high / self.storage.high), 0, self.storage)
        if zero_point is None:
            zero_point = int(self.random.integers(-128, 128))
        return Grid(self.scale(about), zero_point)

    def tensor(self, *shape, name="input", **options):
        return Tensor(name, (None, *shape), self.grid(**options))

    def output(self, *shape, **options):
        return self.tensor(*shape, name="output", **options)

    def codes(self, shape):
        """Returns random codes, in some draws the ends alone."""
        low, high = self.storage.low, self.storage.high
        codes = self.random.integers(low, high + 1, shape)
        if self.storage is INT16 and self.random.random() < 0.3:
            codes = self.random.choice([low, high, -high, 0, 1, -1], shape)
        return codes.astype(self.storage.dtype)


def out_size(source, size, stride, dilation, padding):
    span = (size - 1) * dilation + 1
    return -(-source // stride) if padding == "SAME" else (source - span) // stride + 1


def spatial(source, window, strides=(1, 1), dilation=(1, 1), padding="VALID"):
    """Returns the height and width of an output."""
    axes = zip(source, window, strides, dilation, strict=True)
    return [out_size(*axis, padding) for axis in axes]


def weights(draw, shape, axis, source, kind="INT8", bias=2000, single=False):
    """Returns filter and bias constants, one scale a channel or for all of them."""
    limit, channels = CODE_RANGES[kind], shape[axis]
    codes = draw.random.integers(-limit, limit + 1, shape).astype(np.int8)
    scales = np.array([draw.scale(0.02) for _ in range(1 if single else channels)], np.float32)
    bias_type = source.grid.arithmetic.BIAS_TYPE
    biases = draw.random.integers(-bias, bias + 1, channels).astype(bias_type.lower())
    return (
        Constant("filter", codes, kind, scales, axis=axis),
        Constant("bias", biases, bias_type, source.grid.scale * scales),
    )


def output_of(draw, shape, source, filter, multiplier=None, zero_point=None):
    """Returns an output whose scale suits the accumulator, or a given largest multiplier."""
    depth = filter.values.size // shape[-1]
    step = float(source.grid.scale * filter.scales.max())
    about = step * 0.5 * CODE_RANGES[filter.type] * math.sqrt(depth)
    if multiplier is not None:
        grid = Grid.whole(step / multiplier, draw.grid().zero_point, draw.storage)
    else:
        grid = replace(draw.grid(zero_point=zero_point), scale=draw.scale(about))
    return Tensor("output", (None, *shape), grid)


def conv(channels, size=(3, 3), image=(7, 6, 5), groups=1, zero=None, kind="INT8", **options):
    activation = options.pop("activation", "NONE")

    def make(draw):
        source = draw.tensor(*image, zero_point=zero)
        shape = (channels, *size, image[2] // groups)
        filter, bias = weights(draw, shape, 0, source, kind)
        shape = (*spatial(image[:2], size, **options), channels)
        output = output_of(draw, shape, source, filter, zero_point=zero)
        return operators.Conv2D("layer", source, filter, bias, output, activation, **options)

    return make


def depthwise(multiplier=1, size=(3, 3), image=(7, 6, 5), zero=None, kind="INT8", **options):
    activation = options.pop("activation", "NONE")

    def make(draw):
        source = draw.tensor(*image, zero_point=zero)
        channels = multiplier * image[2]
        filter, bias = weights(draw, (1, *size, channels), 3, source, kind)
        shape = (*spatial(image[:2], size, **options), channels)
        output = output_of(draw, shape, source, filter, zero_point=zero)
        return operators.DepthwiseConv2D(
            "layer", source, filter, bias, output, activation, **options
        )

    return make


def transposed(
    channels, size=(3, 3), strides=(2, 2), padding="VALID", activation="NONE", zero=None
):
    def make(draw):
        source = draw.tensor(5, 6, 3, zero_point=zero)
        filter, bias = weights(draw, (channels, *size, 3), 0, source)
        reach = [max(count - stride, 0) for count, stride in zip(size, strides, strict=True)]
        reach = (0, 0) if padding == "SAME" else reach
        shape = [n * stride + more for n, stride, more in zip((5, 6), strides, reach, strict=True)]
        output = output_of(draw, (*shape, channels), source, filter, zero_point=zero)
        return operators.TransposeConv(
            "layer", source, filter, bias, output, activation, strides, padding=padding
        )

    return make


def dense(depth, channels, kind="INT8", before=(), bias=2000, multiplier=None, **options):
    single, activation = options.get("single", False), options.get("activation", "NONE")

    def make(draw):
        source = draw.tensor(*before, depth)
        filter, biases = weights(draw, (channels, depth), 0, source, kind, bias, single)
        output = output_of(draw, (*before, channels), source, filter, multiplier)
        return operators.FullyConnected("layer", source, filter, biases, output, activation)

    return make


def large_sums(draw):
    """Sums that no float32 holds, whose rounding to float32 is part of the arithmetic."""
    source = draw.tensor(3000, zero_point=-128)
    filter, bias = weights(draw, (7, 3000), 0, source, bias=2**26)
    filter.values[:] = np.abs(filter.values) | 64
    output = Tensor("output", (None, 7), Grid(np.float32(source.grid.scale * 0.02 * 400000), -100))
    return operators.FullyConnected("layer", source, filter, bias, output)


def add(left=0.05, right=0.05, output=0.05, activation="NONE", zero=None):
    def make(draw):
        sources = [
            Tensor(name, (None, 5, 4, 3), draw.grid(about, zero))
            for name, about in (("left", left), ("right", right))
        ]
        sums = draw.output(5, 4, 3, about=output, zero_point=zero)
        return operators.Add("layer", *sources, sums, activation)

    return make


def large_sum(operator, left, right, about=(0.05, 0.05)):
    """Returns a row with so many codes that rounding once and twice differ."""

    def make(draw):
        tensors = [
            Tensor(name, (None, *shape), draw.grid(size))
            for name, shape, size in zip(("left", "right"), (left, right), about)
        ]
        sums = draw.output(*np.broadcast_shapes(left, right), about=0.05)
        return operator("layer", *tensors, sums)

    return make


def requantize(about, output, activation="NONE", zero=None):
    def make(draw):
        source = draw.tensor(5, 4, 3, about=about, zero_point=zero)
        target = draw.output(5, 4, 3, about=output, zero_point=zero)
        return operators.Requantize("layer", source, target, activation)

    return make


def merge(operator, left=(5, 4, 3), right=(5, 4, 3), about=0.05, output=0.05, **options):
    """Returns a row for an operator of two tensors, whose shapes may broadcast."""

    def make(draw):
        sources = [
            Tensor(name, (None, *shape), draw.grid(about))
            for name, shape in (("left", left), ("right", right))
        ]
        target = draw.output(*np.broadcast_shapes(left, right), about=output)
        return operator("layer", *sources, target, **options)

    return make


def extremum(operator, left=(5, 4, 3), right=(5, 4, 3)):
    def make(draw):
        grid = draw.grid()
        shapes = {"left": left, "right": right, "output": np.broadcast_shapes(left, right)}
        tensors = [Tensor(name, (None, *shape), grid) for name, shape in shapes.items()]
        return operator("layer", *tensors)

    return make


def with_constant(operator, is_left=False):
    """Returns a row for a sum or difference with a constant."""

    def make(draw):
        source, storage = draw.tensor(5, 4, 3), draw.storage
        code, grid = np.array([storage.high], storage.dtype), draw.grid(0.02)
        offset = Constant("offset", code, storage.name, np.array([grid.scale], np.float32))
        sides = (offset, source) if is_left else (source, offset)
        return operator("layer", *sides, draw.output(5, 4, 3))

    return make


def scaled(factor, about=0.05, output=0.05):
    def make(draw):
        ends = draw.tensor(5, 4, 3, about=about), draw.output(5, 4, 3, about=output)
        return operators.Requantize("layer", *ends, factor=factor)

    return make


def function(operator, about=0.05, grid=None, output=0.03, **options):
    """Returns a row for a table of the runtime, on its own grid or a random one."""

    def make(draw):
        target = draw.output(9, 31, about=output)
        if grid is not None:
            target = Tensor("output", target.shape, Grid(np.float32(grid[0]), grid[1]))
        return operator("layer", draw.tensor(9, 31, about=about), target, **options)

    return make


def cast(draw):
    return operators.Cast("layer", draw.tensor(9, 31), IndexTensor("output", (None, 9, 31)))


def offset(draw):
    ends = (IndexTensor(name, (None, 9, 31)) for name in ("input", "output"))
    return operators.Offset("layer", *ends)


def gather(draw):
    source = IndexTensor("input", (None, 9, 31))
    return operators.Gather("layer", source, draw.output(9, 31), draw.codes(256))


def same_grid(shape, output_shape, build):
    """Returns a row for an operator that keeps the grid."""

    def make(draw):
        source = draw.tensor(*shape)
        return build(source, Tensor("output", (None, *output_shape), source.grid))

    return make


def bound(value, is_lower):
    return same_grid((5, 3), (5, 3), lambda *ends: operators.Bound("layer", *ends, value, is_lower))


def softmax(*shape, about):
    def make(draw):
        source = draw.tensor(*shape, about=about)
        output = Tensor("output", source.shape, Grid(np.float32(1 / 256), -128))
        return operators.Softmax("layer", source, output)

    return make


def pool(operator, window, strides, padding, image=(7, 8, 5)):
    shape = (*spatial(image[:2], window, strides, padding=padding), image[2])
    return same_grid(image, shape, lambda *ends: operator("layer", *ends, window, strides, padding))


def mean(keep_dims, image=(7, 5, 11), **options):
    def make(draw):
        shape = (1, 1, image[2]) if keep_dims else image[2:]
        return operators.Mean("layer", draw.tensor(*image), draw.output(*shape), keep_dims)

    return make


def gather_rows(draw):
    source = IndexTensor("input", (None, 7))
    return operators.Gather("layer", source, draw.output(7, 5), draw.codes((256, 5)))


def lookup(type, is_per_row, channels=12):
    def make(draw):
        limit = CODE_RANGES[type]
        codes = draw.random.integers(-limit, limit + 1, (256, channels)).astype(np.int8)
        scales = np.array([draw.scale() for _ in range(256 if is_per_row else 1)], np.float32)
        table = Constant("table", codes, type, scales)
        output = FloatTensor("output", (None, channels))
        source = IndexTensor("input", (None,))
        return operators.EmbeddingLookup("layer", source, output, table, 4)

    return make


def flatten_rows(draw):
    ends = IndexTensor("input", (None, 9, 31)), IndexTensor("output", (None,))
    return operators.FlattenRows("layer", *ends)


def mean_over(axes, keep_dims, shape, output):
    def make(draw):
        return operators.Mean("layer", draw.tensor(*shape), draw.output(*output), keep_dims, axes)

    return make


def slices(begin, strides, shape, image=(9, 8, 3)):
    return same_grid(image, shape, lambda *ends: operators.Slice("layer", *ends, begin, strides))


def resized(operator, shape, image=(4, 5, 3)):
    return same_grid(image, (*shape, image[-1]), lambda *ends: operator("layer", *ends))


def transpose(axes, shape=(4, 3, 5)):
    output = [(None, *shape)[axis] for axis in axes[1:]]
    return same_grid(shape, output, lambda *ends: operators.Transpose("layer", *ends, axes))


def concatenation(axis, sizes):
    def make(draw):
        grid, shapes = draw.grid(), [[4, 3, 5] for _ in sizes]
        for shape, size in zip(shapes, sizes, strict=True):
            shape[axis - 1] = size
        parts = [Tensor(f"part{k}", (None, *shape), grid) for k, shape in enumerate(shapes)]
        shape = shapes[0].copy()
        shape[axis - 1] = sum(sizes)
        return operators.Concatenation("layer", parts, Tensor("output", (None, *shape), grid), axis)

    return make


def reshape(draw):
    return operators.Reshape("layer", draw.tensor(4, 3, 5), draw.output(12, 5))


def pad(paddings):
    shape = [size + sum(pair) for size, pair in zip((4, 5), paddings, strict=True)]
    return same_grid((4, 5, 3), (*shape, 3), lambda *ends: operators.Pad("layer", *ends, paddings))


def matmul(left, right, transpose=False, zero=None):
    def make(draw):
        first = draw.tensor(*left, zero_point=zero)
        second = draw.tensor(*right, name="right", about=0.02, zero_point=0)
        columns = right[-2] if transpose else right[-1]
        size = 0.5 * draw.storage.high * math.sqrt(left[-1])
        scale = draw.scale(float(first.grid.scale * second.grid.scale) * size)
        shape = (None, *left[:-1], columns)
        output = Tensor("output", shape, replace(draw.grid(), scale=scale))
        return operators.BatchMatMul("layer", first, second, output, transpose)

    return make


def mask(draw):
    high, dtype = draw.storage.high, draw.storage.dtype
    bounds = np.where(np.tri(5, dtype=bool), high, -90).astype(dtype)[None, None]
    source = draw.tensor(2, 5, 5)
    return operators.Mask("layer", source, Tensor("output", source.shape, source.grid), bounds)


def quantize(draw):
    return operators.Quantize("layer", FloatTensor("input", (None, 7, 5)), draw.output(7, 5))


def dequantize(draw):
    return operators.Dequantize("layer", draw.tensor(7, 5), FloatTensor("output", (None, 7, 5)))


def convert(before, after, output=0.05, ratio=None):
    """Returns a row for a change of type."""

    def make(draw):
        grids = [
            replace(Draw(0, storage).grid(zero_point=draw.grid().zero_point), scale=scale)
            for storage, scale in (
                (before, draw.scale(0.05 * INT8.high / before.high)),
                (after, draw.scale(output * INT8.high / after.high)),
            )
        ]
        if ratio is not None:
            grids[1] = replace(grids[1], scale=np.float32(grids[0].scale / ratio))
        ends = (Tensor(name, (None, 9, 31), grid) for name, grid in zip(("input", "output"), grids))
        return operators.Convert("layer", *ends)

    return make


def conv_multiplier(multiplier, bias=2000):
    """Returns a row for a convolution with a given largest multiplier."""

    def make(draw):
        source = draw.tensor(4, 4, 2)
        filter, biases = weights(draw, (5, 2, 2, 2), 0, source, bias=bias)
        output = output_of(draw, (3, 3, 5), source, filter, multiplier)
        return operators.Conv2D("layer", source, filter, biases, output)

    return make


def quantize_shape(*shape):
    def make(draw):
        return operators.Quantize(
            "layer", FloatTensor("input", (None, *shape)), draw.output(*shape)
        )

    return make


def quantize_far(draw):
    grid = Grid.whole(2.0**-30, 0, draw.storage)
    ends = FloatTensor("input", (None, 7, 5)), Tensor("output", (None, 7, 5), grid)
    return operators.Quantize("layer", *ends)


TABLE = {
    "conv": conv(7),
    "conv of one pixel": conv(9, (1, 1)),
    "conv same": conv(8, padding="SAME"),
    "conv even window same": conv(3, (2, 4), padding="SAME"),
    "conv strided": conv(7, (3, 2), strides=(2, 2)),
    "conv unequal strides same": conv(7, strides=(2, 1), padding="SAME"),
    "conv stride beyond window": conv(5, (1, 2), strides=(3, 3)),
    "conv dilated": conv(6, dilation=(2, 1)),
    "conv dilated same": conv(6, dilation=(2, 3), padding="SAME"),
    "conv in groups": conv(9, image=(7, 6, 6), groups=3),
    "conv in groups strided same": conv(
        4, image=(7, 6, 6), groups=2, strides=(2, 2), padding="SAME"
    ),
    "conv relu": conv(7, activation="RELU", padding="SAME"),
    "conv relu6": conv(7, activation="RELU6"),
    "conv zero points at the lower end": conv(7, zero=-128, padding="SAME", activation="RELU"),
    "conv zero points at the upper end": conv(7, zero=127, padding="SAME"),
    "depthwise": depthwise(),
    "depthwise same strided": depthwise(strides=(2, 2), padding="SAME", image=(7, 6, 11)),
    "depthwise multiplier": depthwise(2, padding="SAME", activation="RELU6"),
    "depthwise multiplier 3 even window": depthwise(3, (2, 4), padding="SAME"),
    "depthwise dilated": depthwise(dilation=(2, 2), padding="SAME"),
    "depthwise unequal dilation": depthwise(dilation=(1, 2)),
    "depthwise zero points at the upper end": depthwise(zero=127, padding="SAME"),
    "depthwise of one pixel": depthwise(1, (1, 1), activation="RELU"),
    "transposed": transposed(7),
    "transposed same": transposed(9, padding="SAME"),
    "transposed even window same": transposed(3, (4, 2), (2, 1), "SAME"),
    "transposed without overlap": transposed(8, (2, 3), (2, 3), activation="RELU"),
    "transposed of a sequence": transposed(5, (1, 4), (1, 3), "SAME"),
    "transposed relu6": transposed(5, (4, 4), activation="RELU6", zero=-128),
    "transposed zero points at the upper end": transposed(4, (5, 4), (3, 2), "SAME", zero=127),
    "dense": dense(7, 5),
    "dense relu": dense(33, 9, activation="RELU"),
    "dense of a sequence": dense(7, 5, before=(4,)),
    "dense of an image": dense(8, 3, "INT4", before=(4, 5)),
    "dense of one scale": dense(17, 6, single=True),
    "dense of a sequence and one scale": dense(17, 6, before=(3,), single=True),
    "dense int4 of one scale": dense(18, 6, "INT4", single=True),
    "dense int4": dense(34, 9, "INT4"),
    "dense int4 one channel": dense(10, 1, "INT4", before=(20,), activation="RELU"),
    "dense int2": dense(36, 9, "INT2"),
    "dense int2 of a sequence": dense(12, 7, "INT2", before=(6,), activation="RELU"),
    "dense large sums": large_sums,
    "dense large biases": dense(9, 7, bias=2**30, multiplier=2.0**-23),
    "dense large biases int4": dense(12, 7, "INT4", bias=2**26, multiplier=2.0**-19),
    "dense large biases int2": dense(12, 7, "INT2", bias=2**30, multiplier=2.0**-23),
    "dense tiny multipliers": dense(64, 7, bias=2**20, multiplier=2.0**-20),
    "dense large multipliers": dense(4, 9, "INT2", bias=2, multiplier=255.0),
    "add": add(),
    "add relu": add(activation="RELU"),
    "add relu6": add(activation="RELU6", output=0.04),
    "add coarse to fine": add(output=0.001),
    "add fine to coarse": add(output=2.0),
    "add far apart": add(left=0.001, right=0.2),
    "add zero points at the lower end": add(zero=-128),
    "add zero points at the upper end": add(zero=127),
    "add broadcast": merge(operators.Add, (1, 1, 3), (5, 4, 3)),
    "add a constant": with_constant(operators.Add),
    "subtract": merge(operators.Subtract),
    "subtract relu": merge(operators.Subtract, activation="RELU"),
    "subtract far apart": merge(operators.Subtract, about=0.2, output=0.5),
    "subtract broadcast": merge(operators.Subtract, (5, 4, 3), (1, 1, 3)),
    "subtract from a constant": with_constant(operators.Subtract, is_left=True),
    "multiply": merge(operators.Multiply, output=0.1),
    "multiply to finer": merge(operators.Multiply, about=1.3, output=0.9),
    "multiply relu6": merge(operators.Multiply, output=0.1, activation="RELU6"),
    "multiply by channels": merge(operators.Multiply, (5, 4, 3), (1, 1, 3), output=0.1),
    "multiply channels": merge(operators.Multiply, (1, 1, 3), (5, 4, 3), output=0.1),
    "multiply by one channel": merge(operators.Multiply, (5, 4, 3), (5, 4, 1), output=0.1),
    "multiply vectors": merge(operators.Multiply, (37,), (37,), output=0.1),
    "maximum of two": extremum(operators.Maximum),
    "maximum broadcast": extremum(operators.Maximum, (5, 4, 3), (1, 1, 3)),
    "minimum of two": extremum(operators.Minimum),
    "minimum of one channel": extremum(operators.Minimum, (5, 4, 1), (5, 4, 3)),
    "scale by a third": scaled(1 / 3),
    "scale by a negative number": scaled(-1.7),
    "scale up": scaled(3.0, output=0.1),
    "logistic": function(operators.Logistic, grid=(1 / 256, -128)),
    "logistic of large values": function(operators.Logistic, 2.0, grid=(1 / 256, -128)),
    "tanh": function(operators.Tanh, grid=(1 / 128, 0)),
    "tanh of small values": function(operators.Tanh, 0.004, grid=(1 / 128, 0)),
    "elu": function(operators.Elu),
    "elu to coarser": function(operators.Elu, 0.2, output=0.1),
    "gelu": function(operators.Gelu),
    "gelu of small values": function(operators.Gelu, 0.005, output=0.003),
    "gelu by tanh": function(operators.Gelu, approximate=True),
    "cast": cast,
    "offset": offset,
    "gather": gather,
    "gather of rows": gather_rows,
    "lookup of int8": lookup("INT8", True, 7),
    "lookup of int4": lookup("INT4", True),
    "lookup of int4, one scale": lookup("INT4", False),
    "lookup of int2": lookup("INT2", True),
    "lookup of int2, one scale": lookup("INT2", False),
    "flatten rows": flatten_rows,
    "requantize to finer": requantize(0.05, 0.03),
    "requantize to coarser": requantize(0.05, 0.3),
    "requantize far": requantize(0.05, 1.0),
    "requantize relu": requantize(0.05, 0.06, "RELU"),
    "requantize relu6": requantize(0.05, 0.06, "RELU6", zero=-128),
    "maximum": bound(-30, True),
    "minimum": bound(90, False),
    "softmax": softmax(10, about=0.1),
    "softmax of a sequence": softmax(4, 7, about=0.02),
    "softmax of many classes": softmax(1000, about=0.05),
    "softmax of an image": softmax(3, 4, 5, about=0.5),
    "max pooling": pool(operators.MaxPool, (2, 2), (2, 2), "VALID"),
    "max pooling same": pool(operators.MaxPool, (3, 2), (2, 1), "SAME"),
    "max pooling stride beyond window": pool(operators.MaxPool, (1, 2), (2, 3), "VALID"),
    "average pooling": pool(operators.AveragePool, (2, 2), (2, 2), "VALID"),
    "average pooling same": pool(operators.AveragePool, (3, 4), (2, 1), "SAME"),
    "average pooling large": pool(operators.AveragePool, (7, 8), (1, 1), "SAME"),
    "mean": mean(False),
    "mean keepdims": mean(True),
    "mean of a large image": mean(False, (40, 41, 3)),
    "mean of channels": mean_over((2,), True, (7, 11), (7, 1)),
    "mean of rows": mean_over((1,), False, (7, 5, 3), (5, 3)),
    "mean of all but rows": mean_over((2, 3), True, (7, 5, 3), (7, 1, 1)),
    "reshape to another grid": reshape,
    "pad": pad(((1, 2), (0, 3))),
    "pad of a sequence": same_grid(
        (4, 3), (7, 3), lambda *ends: operators.Pad("layer", *ends, ((1, 2),))
    ),
    "slice of rows": slices((2, 0, 0), (1, 1, 1), (5, 8, 3)),
    "slice of columns": slices((0, 1, 0), (1, 1, 1), (9, 7, 3)),
    "slice of every axis": slices((1, 2, 1), (1, 1, 1), (4, 5, 2)),
    "slice of a sequence": slices((3, 1), (1, 1), (4, 2), (7, 3)),
    "strided slice of rows": slices((1, 0, 0), (2, 1, 1), (4, 8, 3)),
    "strided slice of columns": slices((0, 0, 0), (1, 3, 1), (9, 3, 3)),
    "strided slice of every axis": slices((1, 0, 1), (3, 2, 2), (3, 4, 1)),
    "transpose": transpose((0, 3, 1, 2)),
    "transpose of a sequence": transpose((0, 2, 1), (4, 5)),
    "transpose of five axes": transpose((0, 3, 1, 4, 2), (2, 3, 4, 5)),
    "nearest, larger": resized(operators.ResizeNearest, (8, 15)),
    "nearest, smaller and larger": resized(operators.ResizeNearest, (3, 13)),
    "bilinear, doubled": resized(operators.ResizeBilinear, (8, 10)),
    "bilinear, odd": resized(operators.ResizeBilinear, (7, 13)),
    "bilinear, smaller": resized(operators.ResizeBilinear, (3, 2)),
    "bilinear of one row": resized(operators.ResizeBilinear, (3, 11), (1, 7, 5)),
    "concatenation of channels": concatenation(3, (5, 1, 3)),
    "concatenation of rows": concatenation(1, (2, 4)),
    "concatenation of seven": concatenation(2, (1, 2, 3, 1, 2, 3, 1)),
    "product of matrices": matmul((4, 9), (9, 5)),
    "product with a transposed matrix": matmul((4, 9), (7, 9), True),
    "product by head": matmul((3, 4, 8), (3, 7, 8), True),
    "product by head, plain": matmul((3, 4, 7), (3, 7, 8), zero=-128),
    "product with large sums": matmul((2, 1500), (1500, 3), zero=127),
    "mask": mask,
    "quantize": quantize,
    "dequantize": dequantize,
    "widen": convert(INT8, INT16),
    "widen exactly": convert(INT8, INT16, ratio=128),
    "narrow": convert(INT16, INT8),
    "narrow to coarser": convert(INT16, INT8, output=2.0),
}
# Rows whose operators have no int16 kernel, or have their types in themselves.
NOT_IN_INT16 = (
    *("add fine to coarse", "bilinear", "dense large", "dense tiny", "elu"),
    *(
        "gelu",
        "logistic",
        "multiply to finer",
        "narrow",
        "offset",
        "softmax",
        "tanh",
        "transposed",
        "widen",
    ),
)


def fed(draw, tensor):
    """Returns codes, or reals of which many lie on ties and some outside of the grid."""
    shape = (BATCH, *tensor.shape[1:])
    if isinstance(tensor, IndexTensor):
        return draw.random.integers(0, 256, shape).astype(np.int32)
    if tensor.grid is not None:
        low, high = tensor.grid.storage.low, tensor.grid.storage.high
        is_own = tensor.grid.storage is draw.storage
        codes = draw.codes(shape) if is_own else draw.random.integers(low, high + 1, shape)
        return codes.astype(tensor.grid.storage.dtype)
    return (draw.random.integers(-40, 400, shape) / 64).astype(np.float32)


def program_of(operator):
    sources = [each for each in operator.inputs if not isinstance(each, Constant)]
    return Program(
        "one operator",
        sources,
        [operator.output],
        [operator],
        input_names=[source.name for source in sources],
        output_names=["output_0"],
    )


# Rows that are computed with int16 tensors as well: all but those that need a zero point.
INT16_TABLE = {
    **{
        name: TABLE[name]
        for name in TABLE
        if not name.startswith(NOT_IN_INT16) and "zero points" not in name
    },
    "conv int4": conv(7, kind="INT4", activation="RELU"),
    "conv int4 in groups": conv(9, image=(7, 6, 6), groups=3, kind="INT4"),
    "dense int4 in odd rows": dense(17, 5, "INT4"),
    "dense int2 of one scale": dense(18, 6, "INT2", single=True),
    "dense int2 in odd rows": dense(17, 5, "INT2"),
    "dense largest biases": dense(9, 7, bias=2**45, multiplier=2.0**-28),
    "conv multipliers of 1 and more": conv_multiplier(100.0),
    "conv tiny multipliers": conv_multiplier(2.0**-27, bias=2**44),
    "add many": large_sum(operators.Add, (200, 501), (200, 501)),
    "add many far apart": large_sum(operators.Add, (200, 501), (200, 501), (0.1, 3e-7)),
    "add many broadcast": large_sum(operators.Add, (200, 501), (1, 501)),
    "subtract many": large_sum(operators.Subtract, (200, 501), (200, 501)),
    "quantize far beyond": quantize_far,
    "quantize one value": quantize_shape(1),
    "quantize a whole block": quantize_shape(8),
}
CASES = [pytest.param(name, INT8, id=name) for name in TABLE]
CASES += [pytest.param(name, INT16, id=f"int16 {name}") for name in INT16_TABLE]


@pytest.mark.parametrize(("name", "storage"), CASES)
def test_compute_equals_litert_and_the_evaluator(name, storage):
    levels = []
    for seed in SEEDS:
        draw = Draw(seed, storage)
        operator = (TABLE if storage is INT8 else INT16_TABLE)[name](draw)
        program = program_of(operator)
        inputs = [fed(draw, tensor) for tensor in program.inputs]
        content = write_tflite(program, LITERT)
        (run,), (evaluated,) = run_litert(content, inputs), evaluate(content, inputs)
        computed = operator.compute(*(tf.constant(each, tf.float32) for each in inputs))
        np.testing.assert_array_equal(computed, run)
        np.testing.assert_array_equal(evaluated, run)
        levels.append(len(np.unique(run)))
    assert max(levels) > 2, "only saturated codes: the test could not fail"


@pytest.mark.parametrize("name", ["conv", "conv of one pixel", "depthwise", "dense"])
def test_a_graph_computes_what_is_computed_eagerly_without_a_bias(name):
    for seed in SEEDS:
        draw = Draw(seed)
        operator = TABLE[name](draw)
        operator.bias.values[:] = 0
        codes = draw.random.integers(-128, 128, (64, *operator.source.shape[1:]))
        codes = tf.constant(codes, tf.float32)
        computed = tf.function(lambda codes: operator.compute(codes), autograph=False)(codes)
        np.testing.assert_array_equal(computed, operator.compute(codes))


def test_every_operator_is_in_the_table():
    draw = Draw(0)
    made = {type(row(draw)).__name__ for row in TABLE.values()}
    draw = bits.Draw(0)
    made |= {type(row(draw)).__name__ for row in bits.TABLE.values()}
    written = {name for name in operators.__all__ if getattr(getattr(operators, name), "code", "")}
    assert made == written - {"Island"}  # float operators of a layer: tests/test_islands.py


def test_sums_beyond_float32_are_added_in_float64():
    assert accumulator_type(FLOAT32_EXACT - 1) is tf.float32
    assert accumulator_type(FLOAT32_EXACT) is tf.float64
    operator = large_sums(Draw(0))
    codes = np.full((1, 3000), 127, np.int8)
    centered = codes.astype(np.int64) - operator.source.grid.zero_point
    total = centered @ operator.filter.values.T.astype(np.int64) + operator.bias.values
    assert total.max() > FLOAT32_EXACT and np.any(total % 2)
