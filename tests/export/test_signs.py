"""The signs of int8 tensors, of batch normalization behind them, and of integer accumulators."""

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.chain import Chain
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.pending import PendingInput, PendingMean
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.export.pending_merge import PendingSum
from tfq_lowbit.export.pending_norm import PendingNorm, pack_signs
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS
from tfq_lowbit.wrappers import STANDALONE_CODE

LITERT = TARGETS["litert"]

CHANNELS = 70
GRIDS = {
    "8 bits": Grid(np.float32(0.05), -17),
    "4 bits unsigned": Grid(np.float32(0.3), 112, 112, 127),
    "2 bits signed": Grid(np.float32(0.7), 126, 124, 127),
}


class Net:
    """A program of one int8 input."""

    def __init__(self, *shape, grid="8 bits", seed=0):
        self.random = np.random.default_rng(seed)
        self.source = Tensor("input", (None, *shape), GRIDS[grid])
        self.program = Program("test", inputs=[self.source], input_names=["input"])
        self.emitter = Emitter(self.program, LITERT)

    def affine(self, channels=CHANNELS):
        """Returns multipliers of every kind, and shifts."""
        multiplier = self.random.normal(0, 1, channels)
        multiplier[::9], multiplier[1::9] = 0, 1e-9
        shift = self.random.normal(0, 2, channels)
        shift[::4] = 0
        return multiplier.astype(np.float32), shift.astype(np.float32)

    def codes(self, batch):
        grid = self.source.grid
        return self.random.integers(
            grid.low, grid.high + 1, (batch, *self.source.shape[1:]), np.int8
        )

    def run(self, packed, codes):
        """Returns the signs that program, evaluator and LiteRT compute of codes."""
        self.program.outputs, self.program.output_names = [packed], ["output"]
        signs = self.program.run([codes])[packed].numpy()
        content = write_tflite(self.program, LITERT)
        for (made,) in (evaluate(content, [codes]), run_litert(content, [codes])):
            np.testing.assert_array_equal(packed.unpack(made), signs)
        return signs

    @property
    def operators(self):
        return [operator.code for operator in self.program.operators]


def every_code(grid):
    """Returns each code of a grid, in every channel."""
    codes = np.arange(GRIDS[grid].low, GRIDS[grid].high + 1, dtype=np.int8)
    return np.repeat(codes[:, None], CHANNELS, 1)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("threshold", [0.0, 0.3, -0.1, 1e9, -1e9])
def test_the_signs_of_a_tensor_are_those_of_its_values(grid, threshold):
    net, codes = Net(CHANNELS, grid=grid), every_code(grid)
    chain = Chain(1)
    chain.scale(net.source.grid.scale, 0.0)
    packed = pack_signs(net.emitter, net.source, chain, np.float32(threshold))
    assert net.operators == ["TfqBitpack"]
    assert net.program.operators[0].thresholds.shape == (1,)
    values = net.source.grid.decode(codes)
    expected = np.where(values < np.float32(threshold), -1, 1)
    np.testing.assert_array_equal(net.run(packed, codes), expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_thresholds_may_differ_by_channel(grid):
    net, codes = Net(CHANNELS, grid=grid), every_code(grid)
    chain = Chain(CHANNELS)
    chain.scale(net.source.grid.scale, 0.0)
    thresholds = net.affine()[1]
    packed = pack_signs(net.emitter, net.source, chain, thresholds)
    expected = np.where(net.source.grid.decode(codes) < thresholds, -1, 1)
    np.testing.assert_array_equal(net.run(packed, codes), expected)


def test_signs_are_packed_once_for_all_who_ask_alike():
    net = Net(CHANNELS)
    chain = Chain(1)
    chain.scale(net.source.grid.scale, 0.0)
    packed = [
        pack_signs(net.emitter, net.source, chain, np.float32(value)) for value in (0, 1, 0, 0.99)
    ]
    assert packed[0] is packed[2] and packed[1] is packed[3]
    assert net.operators == ["TfqBitpack", "TfqBitpack"]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("rounds_shift", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_the_signs_of_a_batch_norm_are_thresholds_of_its_input(grid, rounds_shift, relu):
    net, codes = Net(CHANNELS, grid=grid), every_code(grid)
    pending = PendingNorm("norm", net.source)
    multiplier, shift = net.affine()
    pending.fold(multiplier, shift, rounds_shift)
    if relu:
        pending.clamp(Clamp(0.0, None))
    packed = pending.emit_signs(net.emitter, np.float32(0.2))
    assert net.operators == ["TfqBitpack", "BITWISE_XOR"]
    unit = np.abs(multiplier) * net.source.grid.scale / np.float32(STANDALONE_CODE)
    shift = round_to(shift, unit) if rounds_shift else shift
    y = net.source.grid.decode(codes) * multiplier + shift
    y = np.maximum(y, 0) if relu else y
    np.testing.assert_array_equal(net.run(packed, codes), np.where(y < np.float32(0.2), -1, 1))


def round_to(values, unit):
    """Returns the nearest multiples of a unit; a unit of 0 leaves the values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(unit > 0, np.rint(values / unit) * unit, values).astype(np.float32)


KERNELS = {
    "convolution": (KernelSpec("CONV_2D", (2, 1), padding="SAME"), (3, 3, 5, CHANNELS)),
    "depthwise": (KernelSpec("DEPTHWISE_CONV_2D"), (3, 2, 5, 14)),
    "dense": (KernelSpec("FULLY_CONNECTED"), (5, CHANNELS)),
}


def accumulators(codes, kernel, spec):
    if spec.operator == "FULLY_CONNECTED":
        return codes @ kernel
    if spec.operator == "DEPTHWISE_CONV_2D":
        return tf.nn.depthwise_conv2d(codes, kernel, (1, 1, 1, 1), spec.padding).numpy()
    return tf.nn.conv2d(codes, kernel, spec.strides, spec.padding).numpy()


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("limit", [1, 7, 127])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("rounds_shift", [False, True])
def test_no_sign_of_an_accumulator_is_lost(name, grid, limit, relu, rounds_shift):
    spec, shape = KERNELS[name]
    net = Net(*((9, 8, 5) if len(shape) == 4 else (5,)), grid=grid)
    kernel = net.random.integers(-limit, limit + 1, shape)
    kernel[..., 3] = 0
    steps = net.random.uniform(0.01, 0.1, CHANNELS).astype(np.float32)
    steps[1] = 0
    multiplier, shift = net.affine()
    output_shape = {"convolution": (5, 8, 70), "depthwise": (7, 7, 70), "dense": (70,)}[name]
    bias = net.random.normal(0, 1, CHANNELS).astype(np.float32)
    bias[::5] = 0
    pending = PendingKernel("kernel", (None, *output_shape), spec, net.source, kernel, steps, bias)
    pending.fold(multiplier, shift, rounds_shift)
    if relu:
        pending.clamp(Clamp(0.0, None))
    thresholds = np.where(np.arange(CHANNELS) % 2, 0.0, 0.3).astype(np.float32)
    codes = net.codes(64)
    packed = pending.emit_signs(net.emitter, thresholds)
    assert net.operators[-1] == "TfqBitpack"
    signs = net.run(packed, codes)
    # As Keras computes them: the layer, whose bias is a multiple of its unit, then the fold.
    unit = net.source.grid.scale * steps
    centered = codes.astype(np.float64) - net.source.grid.zero_point
    y = accumulators(centered, kernel * 1.0, spec).astype(np.float32) * unit
    y = y + round_to(bias, unit)
    y = y * multiplier + (round_to(shift, np.abs(multiplier) * unit) if rounds_shift else shift)
    y = np.maximum(y, 0) if relu else y
    np.testing.assert_array_equal(signs, np.where(y < thresholds, -1, 1))
    assert len(np.unique(signs)) == 2


def test_a_sum_or_mean_has_no_signs_without_a_grid():
    net = Net(4, 4, 8)
    for pending in (
        PendingSum("inner", net.source.shape, net.source, net.source),
        PendingMean("inner", (None, 8), net.source, False),
    ):
        with pytest.raises(ValueError, match="signs of 'inner', which is on no grid.*Activation"):
            pending.emit_signs(net.emitter, 0.0)


def test_the_signs_of_a_float_input_are_refused():
    net = Net(4)
    with pytest.raises(ValueError, match="the model input 'image' itself. Keep the first layer at"):
        PendingInput("image", (None, 4)).emit_signs(net.emitter, 0.0)
