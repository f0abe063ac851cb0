"""Each custom operator alone: its `compute` equals the delegate and the NumPy evaluator.

A new operator is some rows.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import operators, write_tflite
from tfq_lowbit.export.program import Grid, PackedTensor, Program, Tensor
from tfq_lowbit.packing import pack_planes, pack_signs
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

SEEDS = range(3)
BATCH = 3  # the files are written for one
GRID, OUTPUT_GRID = Grid(np.float32(0.1), 5, -100, 120), Grid(np.float32(0.3), -9)


class Draw:
    """Random tensors for one case."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def floats(self, count, size=1.0):
        return self.random.normal(0, size, count).astype(np.float32)

    def transform(self, kind, channels, reach):
        """Returns a transform of accumulators of magnitude up to about `reach`."""
        if kind == "signs":
            thresholds = self.random.integers(-reach, reach, channels).astype(np.int32)
            thresholds[::7] = -(2**31)
            return operators.ToSigns(thresholds, self.random.random(channels) < 0.3)
        parts = {"bias": self.floats(channels, 20.0)}
        if "integer" in kind:
            bias = self.random.integers(-reach, reach, channels).astype(np.int32)
            parts = {"integer_bias": bias}
        if "bounded" in kind:
            parts |= {
                "lower": self.floats(channels, reach) - reach / 2,
                "upper": self.floats(channels, reach) + reach / 2,
            }
            parts["lower"][0], parts["upper"][1] = -np.inf, np.inf
        if "sum" in kind:
            parts["sum_multiplier"] = self.floats(channels, 20.0 / reach)
        return operators.ToCodes(self.floats(channels, 60.0 / reach), low=-100, high=90, **parts)


def source_of(shape, planes, has_codes=False):
    return PackedTensor("input", (None, *shape), planes, has_codes)


def output_of(transform, shape):
    if isinstance(transform, operators.ToSigns):
        return PackedTensor("output", (None, *shape))
    return Tensor("output", (None, *shape), OUTPUT_GRID)


def conv(
    kind="codes",
    channels=(40, 37),
    size=(3, 3),
    image=(7, 6),
    planes=0,
    weights=(-1, 1),
    groups=1,
    strides=(1, 1),
    dilation=(1, 1),
    padding="VALID",
):
    """Returns a maker of convolutions; `planes` 0 stands for values +1 and -1."""

    def make(draw):
        kernel = draw.random.choice(weights, (*size, channels[0] // groups, channels[1]))
        reach = 2 * int(np.sqrt(kernel[..., 0].size)) * max(2**planes - 1, 1)
        transform = draw.transform(kind, channels[1], reach)
        source = source_of((*image, channels[0]), max(planes, 1), bool(planes))
        out = [
            -(-length // step)
            if padding != "VALID"
            else (length - (each - 1) * spread - 1) // step + 1
            for length, each, step, spread in zip(image, size, strides, dilation, strict=True)
        ]
        output = output_of(transform, (*out, channels[1]))
        return operators.Bconv2D(
            "layer", source, kernel, output, transform, strides, dilation, groups, padding
        )

    return make


def dense(kind="codes", channels=(70, 33), planes=0, weights=(-1, 1), before=()):
    def make(draw):
        kernel = draw.random.choice(weights, channels)
        reach = 2 * int(np.sqrt(channels[0])) * max(2**planes - 1, 1)
        transform = draw.transform(kind, channels[1], reach)
        source = source_of((*before, channels[0]), max(planes, 1), bool(planes))
        output = output_of(transform, (*before, channels[1]))
        return operators.Bdense("layer", source, kernel, output, transform)

    return make


def pack_signs_of(channels, per_channel):
    def make(draw):
        count = channels if per_channel else 1
        thresholds = draw.random.integers(-90, 90, count).astype(np.int32)
        source = Tensor("input", (None, 3, 4, channels), GRID)
        output = PackedTensor("output", source.shape)
        return operators.BitpackSigns("layer", source, output, thresholds)

    return make


def pack_codes_of(channels, planes):
    def make(draw):
        grid = Grid(np.float32(0.1), 128 - 2**planes, 128 - 2**planes, 127)
        source = Tensor("input", (None, 5, channels), grid)
        return operators.BitpackCodes(
            "layer", source, PackedTensor("output", source.shape, planes, True)
        )

    return make


def flip(shape):
    def make(draw):
        source, output = (PackedTensor(name, (None, *shape)) for name in ("input", "output"))
        flips = draw.random.random(shape[-1]) < 0.5
        return operators.FlipSigns("layer", source, output, flips)

    return make


def pool(window, strides, padding, shape=(7, 6, 40)):
    def make(draw):
        del draw
        out = tf.nn.max_pool2d(tf.zeros((1, *shape)), window, strides, padding).shape[1:]
        ends = source_of(shape, 1), PackedTensor("output", (None, *out))
        return operators.Bmaxpool("layer", *ends, window, strides, padding)

    return make


def reshape(before, after):
    def make(draw):
        del draw
        return operators.ReshapeWords(
            "layer", source_of(before, 1), PackedTensor("output", (None, *after))
        )

    return make


def prelu(shape):
    def make(draw):
        count = shape[-1]
        knee = draw.random.integers(-60, 60, count).astype(np.int32)
        above, below = ((draw.floats(count), draw.floats(count, 30.0)) for _ in range(2))
        above[0][::2], above[1][::2] = 0.5, 0.0  # ties
        source = Tensor("input", (None, *shape), GRID)
        output = Tensor("output", (None, *shape), OUTPUT_GRID)
        return operators.Prelu("layer", source, output, knee, above, below, -120, 99)

    return make


TABLE = {
    "conv": conv(),
    "conv to signs": conv("signs", padding="SAME_ONE"),
    "conv same with one": conv(padding="SAME_ONE"),
    "conv same with zero": conv(padding="SAME_ZERO"),
    "conv strided": conv(strides=(2, 3), padding="SAME_ZERO"),
    "conv dilated": conv("signs", dilation=(2, 1), padding="SAME_ZERO"),
    "conv in groups": conv(channels=(40, 36), groups=4, padding="SAME_ONE"),
    "conv in single channels to signs": conv("signs", channels=(33, 66), groups=33),
    "conv of one pixel": conv(size=(1, 1)),
    "conv bounded": conv("bounded"),
    "conv with window sums": conv("sum", padding="SAME_ONE"),
    "conv with window sums in groups": conv("sum", channels=(40, 36), groups=2),
    "conv bounded with window sums": conv("bounded sum", padding="SAME_ZERO"),
    "conv of a window": conv(size=(7, 6)),
    "conv ternary": conv("integer", weights=(-1, 0, 1), padding="SAME_ZERO"),
    "conv ternary to signs": conv("signs", weights=(-1, 0, 1), padding="SAME_ONE"),
    "conv of one plane": conv("integer", planes=1, padding="SAME_ZERO"),
    "conv of two planes": conv("integer", planes=2, padding="SAME_ZERO"),
    "conv of two planes ternary": conv("integer", planes=2, weights=(-1, 0, 1)),
    "conv of four planes": conv("integer", planes=4, padding="SAME_ZERO"),
    "dense": dense(),
    "dense to signs": dense("signs"),
    "dense of a sequence": dense(before=(4,)),
    "dense of an image to signs": dense("signs", before=(2, 3)),
    "dense with window sums": dense("sum"),
    "dense ternary of two planes": dense("integer", planes=2, weights=(-1, 0, 1)),
    "bitpack": pack_signs_of(70, False),
    "bitpack by channel": pack_signs_of(33, True),
    "bitpack of one plane": pack_codes_of(33, 1),
    "bitpack of two planes": pack_codes_of(33, 2),
    "bitpack of four planes": pack_codes_of(64, 4),
    "flips": flip((5, 4, 40)),
    "flips of vectors": flip((70,)),
    "max pooling": pool((2, 2), (2, 2), "VALID"),
    "max pooling same": pool((3, 2), (2, 1), "SAME"),
    "max pooling stride beyond window": pool((1, 2), (2, 3), "VALID"),
    "reshape to a vector": reshape((2, 3, 64), (384,)),
    "reshape of rows": reshape((2, 3, 40), (6, 40)),
    "prelu": prelu((4, 3, 37)),
    "prelu of vectors": prelu((64,)),
}


def values_of(draw, tensor):
    """Returns random values of a tensor, as `compute` takes them, and as the file does."""
    shape = (BATCH, *tensor.shape[1:])
    if isinstance(tensor, Tensor):
        codes = draw.random.integers(tensor.grid.low, tensor.grid.high + 1, shape, np.int8)
        return codes, codes
    if tensor.has_codes:
        codes = draw.random.integers(0, 2**tensor.num_planes, shape)
        return codes, pack_planes(codes, tensor.num_planes)
    signs = draw.random.choice([-1, 1], shape)
    return signs, pack_signs(signs)


def program_of(operator):
    program = Program("one operator", [operator.source], [operator.output], [operator])
    program.input_names, program.output_names = ["input"], ["output"]
    return program


@pytest.mark.parametrize("name", TABLE)
def test_compute_equals_the_delegate_and_the_evaluator(name):
    levels = []
    for seed in SEEDS:
        draw = Draw(seed)
        operator = TABLE[name](draw)
        output = operator.output
        values, stored = values_of(draw, operator.source)
        computed = operator.compute(tf.constant(values, tf.float32)).numpy()
        content = write_tflite(program_of(operator), LITERT)
        for (made,) in (run_litert(content, [stored]), evaluate(content, [stored])):
            made = output.unpack(made) if isinstance(output, PackedTensor) else made
            np.testing.assert_array_equal(computed, made)
        levels.append(len(np.unique(computed)))
    least = 2 if isinstance(output, PackedTensor) else 9
    assert max(levels) >= least, "hardly any values: the test could not fail"
