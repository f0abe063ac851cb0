"""What becomes of pending values: bounds, grids, biases."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.export.arithmetic_int8 import MAX_BIAS_STEPS, SMALLEST_MULTIPLIER
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.operators import Add, Bound, Mean
from tfq_lowbit.export.pending import (
    PendingCodes,
    PendingInput,
    PendingMean,
    PendingMove,
)
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.export.pending_matmul import PendingMatMul
from tfq_lowbit.export.pending_merge import PendingJoin, PendingSum
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.export.storage import INT16
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]
MAX_BIAS = MAX_BIAS_STEPS / SMALLEST_MULTIPLIER

NONE, RELU, RELU6 = Clamp(None, None), Clamp(0.0, None), Clamp(0.0, 6.0)


def grid(num_bits, signed, scale=0.5, narrow=False):
    """Returns the grid of b-bit codes, the largest at 127."""
    top = 2 ** (num_bits - signed) - 1
    zero = 127 - top
    low = zero - (top + (not narrow)) if signed else zero
    return Grid(np.float32(scale), zero, low, 127)


WIDE = Grid(np.float32(0.1), 3)
WIDER = Grid(np.float32(4.0), 3)  # reaches both ends of every grid in the tables


@pytest.fixture
def emitter():
    return Emitter(Program("test", input_names=["input"], inputs=[None]), LITERT)


def codes_of(emitter):
    return [operator.code for operator in emitter.program.operators]


def source(*shape, grid=WIDE, name="source"):
    return Tensor(name, (None, *shape), grid)


# Grid, clamp: operators behind a sum, its fused activation, lowest and highest code.
BOUNDS = {
    "unsigned 8": (grid(8, False), NONE, [], "NONE", -128, 127),
    "unsigned 8 relu": (grid(8, False), RELU, [], "NONE", -128, 127),
    "unsigned 4 saturates and fuses": (grid(4, False), NONE, [], "RELU", 112, 127),
    "unsigned 4 relu": (grid(4, False), RELU, [], "RELU", 112, 127),
    "unsigned 4 relu6 below the top": (grid(4, False), RELU6, [], "RELU6", 112, 124),
    "unsigned 4 relu6 above the top": (grid(4, False, 0.3), RELU6, [], "RELU", 112, 127),
    "unsigned 8 relu6": (grid(8, False, 0.1), RELU6, [], "RELU6", -128, -68),
    "signed 8": (grid(8, True), NONE, [], "NONE", -128, 127),
    "signed 8 narrow": (grid(8, True, narrow=True), NONE, ["MAXIMUM"], "NONE", -127, 127),
    "signed 8 relu": (grid(8, True), RELU, [], "RELU", 0, 127),
    "signed 4": (grid(4, True), NONE, ["MAXIMUM"], "NONE", 112, 127),
    "signed 4 narrow": (grid(4, True, narrow=True), NONE, ["MAXIMUM"], "NONE", 113, 127),
    "signed 4 relu": (grid(4, True), RELU, [], "RELU", 120, 127),
    "signed 2": (grid(2, True), NONE, ["MAXIMUM"], "NONE", 124, 127),
    "zero between the ends": (
        Grid(np.float32(0.5), 100, 90, 127),
        RELU6,
        [],
        "RELU6",
        100,
        112,
    ),
    "upper bound alone": (
        Grid(np.float32(0.5), 0, -128, 100),
        NONE,
        ["MINIMUM"],
        "NONE",
        -128,
        100,
    ),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_sum_is_bounded_by_what_comes_for_free_first(name, emitter):
    target, clamp, behind, activation, low, high = BOUNDS[name]
    sides = [source(400, grid=WIDER, name=name) for name in ("left", "right")]
    pending = PendingSum("sum", (None, 400), *sides)
    pending.clamp(clamp)
    output = pending.emit(emitter, target)
    first, *others = emitter.program.operators
    assert isinstance(first, Add) and first.activation == activation
    assert [operator.code for operator in others] == behind
    assert output is emitter.program.operators[-1].output
    emitter.program.inputs = [first.left, first.right]
    ramp = np.linspace(-128, 127, 400).round().astype(np.int8)[None]
    codes = emitter.program.run([ramp, ramp])[output].numpy()
    assert (codes.min(), codes.max()) == (low, high)


@pytest.mark.parametrize("name", BOUNDS)
def test_an_operator_that_fuses_nothing_is_bounded_as_well(name, emitter):
    target, clamp, *_, low, high = BOUNDS[name]
    pending = PendingMean("mean", (None, 400), source(1, 1, 400, grid=WIDER), False)
    pending.clamp(clamp)
    output = pending.emit(emitter, target)
    first, *others = emitter.program.operators
    assert isinstance(first, Mean)
    assert all(isinstance(each, Bound) for each in others)
    emitter.program.inputs = [first.source]
    ramp = np.linspace(-128, 127, 400).round().astype(np.int8)[None, None, None]
    codes = emitter.program.run([ramp])[output].numpy()
    assert (codes.min(), codes.max()) == (low, high)


def test_clamps_add_up(emitter):
    pending = PendingSum("sum", (None, 4), source(4), source(4, name="right"))
    assert not pending.is_clamped
    pending.clamp(RELU)
    pending.clamp(RELU6)
    pending.clamp(NONE)
    assert pending.is_clamped
    pending.emit(emitter, grid(8, False, 0.1))
    assert emitter.program.operators[0].activation == "RELU6"


def test_a_value_is_emitted_once_and_on_one_grid(emitter):
    pending = PendingMean("mean", (None, 3), source(2, 2, 3), False)
    first = pending.emit(emitter, WIDE)
    assert pending.emit(emitter, Grid(np.float32(0.1), 3)) is first
    assert codes_of(emitter) == ["MEAN"]
    with pytest.raises(ValueError, match="layer 'mean' quantize its output on different grids"):
        pending.emit(emitter, grid(4, False))


def test_codes_on_their_grid_stay_as_they_are(emitter):
    tensor = source(4)
    assert PendingCodes("same", tensor).emit(emitter, tensor.grid) is tensor
    assert not emitter.program.operators
    output = PendingCodes("other", tensor).emit(emitter, grid(8, False, 0.2))
    assert codes_of(emitter) == ["MUL"] and output.name == "other/requantized"


@pytest.mark.parametrize("scale", [0.1 / 256, 0.1 * 2.0**17])
def test_a_change_of_grid_that_the_runtime_does_not_make_exactly_is_refused(emitter, scale):
    with pytest.raises(ValueError, match="layer 'far' changes its scale"):
        PendingCodes("far", source(4)).emit(emitter, Grid(np.float32(scale), 0))


def test_a_sum_that_the_runtime_does_not_make_exactly_is_refused(emitter):
    pending = PendingSum("far", (None, 4), source(4), source(4, name="right"))
    with pytest.raises(ValueError, match="sum 'far' has an input whose scale"):
        pending.emit(emitter, Grid(np.float32(0.1 / 256), 0))


def test_a_join_puts_its_parts_on_its_grid(emitter):
    target = grid(4, False)
    fitting, other = source(4, grid=target, name="fitting"), source(4, name="other")
    mean = PendingMean("mean", (None, 4), source(2, 2, 4), False)
    parts = [PendingCodes("a", fitting), PendingCodes("b", other), mean]
    join = PendingJoin("join", (None, 12), parts, 1)
    output = join.emit(emitter, target)
    assert codes_of(emitter) == ["MUL", "MEAN", "MAXIMUM", "CONCATENATION"]
    assert output.grid == target
    assert {part.grid for part in emitter.program.operators[-1].sources} == {target}


def test_a_move_hands_grid_and_clamp_to_what_it_moves(emitter):
    mean = PendingMean("mean", (None, 4), source(2, 2, 4), False)
    move = PendingMove("move", (None, 2, 2), mean, lambda before, after: Bound("b", before, after))
    move.clamp(RELU)
    assert mean.is_clamped
    assert move.emit(emitter, grid(8, True)).shape == (None, 2, 2)
    assert codes_of(emitter) == ["MEAN", "MAXIMUM", "MAXIMUM"]


def test_an_input_in_codes_is_held_to_its_grid(emitter):
    emitter.input_type = "int8"
    output = PendingInput("input", (None, 4)).emit(emitter, grid(4, True))
    assert codes_of(emitter) == ["MAXIMUM"]
    assert emitter.program.inputs[0].grid == output.grid


def test_a_rescaled_input_is_fed_in_its_own_unit(emitter):
    pending = PendingInput("input", (None, 4))
    pending.rescale(0.5, 0.0)
    pending.rescale(2.0, 3.0)  # x + 3
    target = Grid(np.float32(0.25), -20)
    pending.emit(emitter, target)
    assert codes_of(emitter) == ["QUANTIZE", "RESHAPE"]
    assert emitter.program.operators[0].output.grid == Grid(np.float32(0.25), -8)


@pytest.mark.parametrize("offset", [0.1, 40.0])
def test_a_rescaling_that_leaves_the_grid_is_refused(emitter, offset):
    pending = PendingInput("image", (None, 4))
    pending.rescale(1.0, offset)
    with pytest.raises(ValueError, match="input 'image' shifts its zero off the grid"):
        pending.emit(emitter, Grid(np.float32(0.25), 0))


def test_an_activation_of_an_input_is_refused():
    with pytest.raises(ValueError, match="Input 'image' goes through an activation"):
        PendingInput("image", (None, 4)).clamp(RELU)


# Kernels.

CHANNELS = 6


def dense(codes=None, steps=None, bias=None, depth=5):
    if codes is None:
        codes = np.random.default_rng(0).integers(-7, 8, (depth, CHANNELS))
    steps = np.full(CHANNELS, 0.02, np.float32) if steps is None else np.float32(steps)
    bias = np.zeros(CHANNELS, np.float32) if bias is None else np.float32(bias)
    spec = KernelSpec("FULLY_CONNECTED", num_bits=4)
    return PendingKernel("dense", (None, CHANNELS), spec, source(depth), codes, steps, bias)


def emitted(emitter, pending, target=Grid(np.float32(0.05), 0)):  # noqa: B008
    pending.emit(emitter, target)
    return emitter.program.weights["dense"]


def test_a_bias_is_rounded_to_the_accumulator_half_to_even(emitter):
    unit = np.float32(0.1) * np.float32(0.02)
    pending = dense(bias=unit * np.array([0.5, 1.5, 2.5, -0.5, 7.2, -1000.7]))
    assert emitted(emitter, pending).bias.tolist() == [0, 2, 2, 0, 7, -1001]


def test_a_negative_gamma_flips_the_codes_and_adds_its_shift(emitter):
    codes = np.random.default_rng(0).integers(-7, 8, (5, CHANNELS))
    pending = dense(codes, bias=np.full(CHANNELS, 0.04))
    pending.fold(np.array([1, -1, 2, -0.5, 1, 1], np.float32), np.full(CHANNELS, 0.08, np.float32))
    weights = emitted(emitter, pending)
    np.testing.assert_array_equal(weights.codes, codes * [1, -1, 1, -1, 1, 1])
    np.testing.assert_allclose(weights.scales, 0.02 * np.array([1, 1, 2, 0.5, 1, 1]), rtol=1e-6)
    assert weights.bias.tolist() == [60, 20, 40, 60, 60, 60]


def test_a_bias_without_a_unit_survives_the_folding(emitter):
    steps = np.array([0, 0, 0, 0.02, 0.02, 0.02])
    pending = dense(np.ones((5, CHANNELS)) * (steps > 0), steps, bias=np.full(CHANNELS, 0.5))
    multiplier = np.array([-2, 0, 1e-42, -2, 0, 1e-42], np.float32)
    pending.fold(multiplier, np.full(CHANNELS, 0.25, np.float32))
    weights = emitted(emitter, pending)
    reals = weights.bias * weights.scales.astype(np.float64) * weights.input_scale
    # An accumulator step of the live channel is 0.004.
    np.testing.assert_allclose(reals, [-0.75, 0.25, 0.25, -0.75, 0.25, 0.25], atol=0.002)


def test_dead_channels_get_a_scale_at_the_floor_and_keep_their_bias(emitter):
    codes = np.ones((5, CHANNELS), int)
    codes[:, 0] = 0
    steps = np.array([0.02, 0, 1e-30, 1e-12, 0.02, 0.02])
    bias = np.array([0.3, 0.3, -0.3, 0.3, 0.3, 0.3])
    target = Grid(np.float32(0.05), 0)
    weights = emitted(emitter, dense(codes, steps, bias), target)
    floor = SMALLEST_MULTIPLIER * 0.05 / 0.1
    np.testing.assert_allclose(weights.scales[:4], floor, rtol=1e-6)
    reals = weights.bias * weights.scales.astype(np.float64) * weights.input_scale
    np.testing.assert_allclose(reals[:4], bias[:4], rtol=1e-5)
    assert not weights.codes[:, :4].any()
    codes = np.random.default_rng(0).integers(-128, 128, (9, 5))
    emitter.program.inputs = [emitter.program.operators[0].source]
    output = emitter.program.operators[0].output
    run = emitter.program.run([codes])[output].numpy()
    np.testing.assert_array_equal(run[:, :4], np.broadcast_to([6, 6, -6, 6], (9, 4)))


def test_a_huge_bias_is_held_within_int32_and_still_saturates(emitter):
    bias = np.array([1e9, -1e9, 1e9, -1e9, 1e30, -1e30])
    codes = np.ones((5, CHANNELS), int)
    codes[:, :2] = 0
    weights = emitted(emitter, dense(codes, bias=bias))
    assert np.abs(weights.bias.astype(np.int64)).max() <= MAX_BIAS
    # With room for the products, in the accumulators of every container.
    assert 2 * MAX_BIAS <= min(LITERT.ACCUMULATOR_LIMITS.values())
    steps = weights.bias * weights.scales.astype(np.float64) * 0.1 / 0.05
    assert (np.abs(steps) >= 255).all()
    assert (np.sign(steps) == np.sign(bias)).all()


def test_a_product_whose_multiplier_the_runtime_refuses_saturates_just_so(emitter):
    shapes, scales = ((1, 4, 8), (1, 8, 5)), (0.5, 2.0)
    grids = [Grid(np.float32(scale), 0) for scale in scales]
    sides = [
        emitter.tensor(name, shape, grid)
        for name, shape, grid in zip(("left", "right"), shapes, grids, strict=True)
    ]
    output = PendingMatMul("product", (1, 4, 5), *sides).emit(emitter, Grid(np.float32(1e-3), -3))
    random = np.random.default_rng(0)
    codes = [random.integers(-1, 2, shape) for shape in shapes]
    emitter.program.inputs = sides
    run = emitter.program.run(codes)[output].numpy()
    sums = codes[0] @ codes[1]
    assert len(np.unique(sums)) > 3
    np.testing.assert_array_equal(run, np.select([sums < 0, sums > 0], [-128, 127], -3))


def test_at_16_bits_a_multiplier_that_the_runtime_refuses_is_refused(emitter):
    wide = Grid.whole(np.float32(0.1), 0, INT16)
    layer = PendingKernel(
        *("dense", (None, CHANNELS), KernelSpec("FULLY_CONNECTED"), source(5, grid=wide)),
        *(np.ones((5, CHANNELS), int), np.full(CHANNELS, 2.0, np.float32), np.zeros(CHANNELS)),
    )
    with pytest.raises(ValueError, match="'dense' has an output step 200 times finer .* up to 128"):
        layer.emit(emitter, Grid.whole(np.float32(0.001), 0, INT16))


@pytest.mark.parametrize("zero_point", [-128, -3, 127])
def test_a_multiplier_that_the_runtime_refuses_is_held_where_every_unit_saturates(
    emitter, zero_point
):
    bias = np.arange(CHANNELS, dtype=np.float32) - 1
    layer = dense(steps=np.full(CHANNELS, 2.0), bias=0.2 * bias)
    output = layer.emit(emitter, Grid(np.float32(0.0007), zero_point))
    weights = emitter.program.weights["dense"]
    multiplier = np.float32(0.1) * weights.scales / np.float32(0.0007)
    assert (255.5 < multiplier).all() and (multiplier < LITERT.MAX_MULTIPLIER).all()
    codes = np.random.default_rng(0).integers(-128, 128, (16, *layer.source.shape[1:]))
    emitter.program.inputs = [layer.source]
    run = emitter.program.run([codes])[output].numpy()
    sums = (codes - layer.source.grid.zero_point) @ weights.codes.astype(int) + weights.bias
    expected = np.clip(np.rint(sums * (0.2 / 0.0007)) + zero_point, -128, 127)
    np.testing.assert_array_equal(run, expected)


@pytest.mark.parametrize(("depth", "expected"), [(40_000, "INT4"), (90_000, "INT8")])
def test_sums_beyond_a_container_take_the_next(emitter, depth, expected):
    # 7 * 131 * 90,000 is 2^26.3, and the bias 2^26.
    codes, bias = np.full((depth, CHANNELS), 7), np.full(CHANNELS, 1e9)
    assert emitted(emitter, dense(codes, bias=bias, depth=depth)).stored_as == expected


def test_sums_beyond_int32_are_refused(emitter):
    codes = np.full((200_000, CHANNELS), 127)
    with pytest.raises(ValueError, match="Layer 'dense' may sum up to 3,3.* int32 accumulators"):
        dense(codes, depth=200_000).emit(emitter, Grid(np.float32(50.0), 0))


def test_a_kernel_computes_the_folded_layer(emitter):
    codes = np.random.default_rng(0).integers(-7, 8, (5, CHANNELS))
    pending = dense(codes, bias=np.linspace(-0.1, 0.1, CHANNELS))
    multiplier = np.linspace(-1.5, 1.5, CHANNELS).astype(np.float32)
    shift = np.linspace(0.3, -0.3, CHANNELS).astype(np.float32)
    pending.fold(multiplier, shift)
    pending.clamp(RELU)
    target = grid(8, False, 0.01)
    output = pending.emit(emitter, target)
    assert codes_of(emitter) == ["FULLY_CONNECTED"]
    emitter.program.inputs = [emitter.program.operators[0].source]
    fed = np.random.default_rng(1).integers(-128, 128, (30, 5))
    run = target.decode(emitter.program.run([fed])[output].numpy())
    reals = WIDE.decode(fed) @ (codes * np.float32(0.02)) + np.linspace(-0.1, 0.1, CHANNELS)
    expected = np.clip(reals * multiplier + shift, 0, 2.55)
    # Half a step of the output and two roundings of the bias by half an accumulator step.
    bound = 0.005 + 2 * 0.5 * 0.1 * 0.02 * 1.5
    assert np.abs(run - expected).max() <= bound + 1e-6
    assert isinstance(emitter.program.run([fed])[output], tf.Tensor)
