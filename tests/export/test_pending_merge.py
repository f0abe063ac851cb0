"""Merges of two grids: every pair of codes becomes the nearest code of its value."""

import numpy as np
import pytest

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import operators, write_tflite
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.pending import PendingCodes
from tfq_lowbit.export.pending_merge import PendingExtremum, PendingProduct, PendingSum
from tfq_lowbit.export.program import Constant, Grid, Program, Tensor
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

SOURCES = (Grid(np.float32(0.0713137), 11, -120, 127), Grid(np.float32(0.0431913), -128))
GRIDS = {
    "8 bits": Grid(np.float32(0.0927733), -3),
    "4 bits": Grid(np.float32(0.831771), 120, 112, 127),
}
CLAMPS = {"none": Clamp(None, None), "relu": Clamp(0.0, None), "relu6": Clamp(0.0, 6.0)}
LEFT = np.repeat(np.arange(-120, 128, dtype=np.int8)[:, None], 64, 1)
RIGHT = np.random.default_rng(0).integers(-128, 128, LEFT.shape).astype(np.int8)
SHAPE = (None, 64)


def extremum(operator):
    return lambda *sources: PendingExtremum(
        "layer", SHAPE, [PendingCodes(each.name, each) for each in sources], operator
    )


TABLE = {
    "sum": (lambda *sources: PendingSum("layer", SHAPE, *sources), np.add),
    "difference": (
        lambda *sources: PendingSum("layer", SHAPE, *sources, operators.Subtract),
        np.subtract,
    ),
    "mean": (
        lambda *sources: PendingSum("layer", SHAPE, *sources, divisor=2),
        lambda x, y: (x + y) / 2,
    ),
    "product": (lambda *sources: PendingProduct("layer", SHAPE, *sources), np.multiply),
    "larger": (extremum(operators.Maximum), np.maximum),
    "smaller": (extremum(operators.Minimum), np.minimum),
}


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", TABLE)
def test_every_pair_of_codes_becomes_the_nearest_code_of_its_value(name, grid, clamp):
    check_merge(*TABLE[name], SOURCES, GRIDS[grid], [LEFT, RIGHT], CLAMPS[clamp])


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["sum", "difference", "mean"])
def test_an_operand_of_few_codes_may_be_far_coarser_than_the_sum(name, side):
    sources = [Grid(np.float32(0.0356424), 3), Grid(np.float32(0.0356424), 3)]
    sources[side] = Grid(np.float32(5.1034665), 1, -1, 2)
    fed = [LEFT, RIGHT]
    fed[side] = np.random.default_rng(1).integers(-1, 3, LEFT.shape).astype(np.int8)
    grid = Grid(np.float32(0.0168582 / (2 if name == "mean" else 1)), -128)
    check_merge(*TABLE[name], sources, grid, fed, CLAMPS["none"])


@pytest.mark.parametrize("is_constant", [False, True])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["sum", "difference", "mean"])
@pytest.mark.parametrize("ratio", [2.0**-13, 2.0**-20])
def test_an_operand_may_be_far_finer_than_the_sum(ratio, name, side, is_constant):
    grid, sources = GRIDS["8 bits"], list(SOURCES)
    sources[side] = Grid(np.float32(grid.scale * ratio), 0)
    fed = [LEFT, RIGHT]
    constants = {}
    if is_constant:
        fed[side] = np.arange(-32, 32, dtype=np.int8)[None]
        constants[side] = fed[side]
    check_merge(*TABLE[name], sources, grid, fed, CLAMPS["none"], constants)


def test_an_operand_of_all_codes_may_not():
    sources = [Tensor(name, SHAPE, Grid(np.float32(5.0), 0)) for name in ("left", "right")]
    pending = PendingSum("far", SHAPE, *sources)
    with pytest.raises(ValueError, match="'far' has an input whose scale is .* times .*calibrate"):
        pending.emit(Emitter(Program("test", inputs=sources), LITERT), Grid(np.float32(0.01), 0))


def check_merge(make, function, grids, grid, fed, clamp, constants=()):
    names = ["left", "right"]
    sources = [
        Constant(name, constants[side], "INT8", [own.scale], own.zero_point)
        if side in constants
        else Tensor(name, SHAPE, own)
        for side, (name, own) in enumerate(zip(names, grids, strict=True))
    ]
    inputs = [each for each in sources if isinstance(each, Tensor)]
    program = Program(
        "test", inputs, input_names=[each.name for each in inputs], output_names=["output"]
    )
    pending = make(*sources)
    pending.clamp(clamp)
    program.outputs = [pending.emit(Emitter(program, LITERT), grid)]
    values = [each.decode(codes).astype(float) for each, codes in zip(grids, fed, strict=True)]
    fed = [codes for side, codes in enumerate(fed) if side not in constants]
    computed = program.run(fed)[program.outputs[0]].numpy()
    content = write_tflite(program, LITERT)
    for (made,) in (run_litert(content, fed), evaluate(content, fed)):
        np.testing.assert_array_equal(made, computed)
    values = np.clip(function(*values), clamp.lower, clamp.upper)
    codes = np.clip(np.rint(values / grid.scale) + grid.zero_point, grid.low, grid.high)
    assert np.mean(computed == codes) > 0.999
    np.testing.assert_allclose(computed, codes, atol=1)
    assert len(np.unique(codes)) >= 8


def test_a_unit_far_from_the_output_is_refused_by_name():
    sources = [Tensor(name, SHAPE, Grid(np.float32(1e-4), 0)) for name in ("left", "right")]
    program = Program("test", inputs=sources)
    pending = PendingProduct("tiny", SHAPE, *sources)
    with pytest.raises(ValueError, match="'tiny' has a unit .* times .*calibrate"):
        pending.emit(Emitter(program, LITERT), Grid(np.float32(1.0), 0))
