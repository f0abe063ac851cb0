"""Functions between two grids: every code becomes the nearest code of its value."""

import numpy as np
import pytest

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import operators, write_tflite
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.pending_function import PendingAffine, PendingSlopes, PendingTable
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

SOURCE_GRID = Grid(np.float32(0.0713137), 11, -120, 127)
GRIDS = {
    "8 bits": Grid(np.float32(0.0507391), -3),
    "4 bits": Grid(np.float32(0.5119123), 120, 112, 127),
}
CLAMPS = {"none": Clamp(None, None), "relu": Clamp(0.0, None), "band": Clamp(-0.7, 1.3)}
CHANNELS = 5
EVERY_CODE = np.repeat(np.arange(-120, 128, dtype=np.int8)[:, None], CHANNELS, 1)
SLOPES = {
    "a slope": np.float32(0.2),
    "a steep slope": np.float32(1.5),
    "a negative slope": np.float32(-0.4),
    "no slope": np.float32(0),
    "slopes": np.array([0.1, 0, -1, 1, 0.9], np.float32),
    "steep slopes": np.array([1, 1.1, 2, 3, 1.5], np.float32),
    "any slopes": np.array([0.1, 0, -1, 1.4, 3], np.float32),
}


def slopes(slope):
    return lambda source: PendingSlopes("layer", source, slope), lambda x: np.where(
        x >= 0, x, slope.astype(np.float64) * x
    )


def affine(scale, offset=0.0):
    return (
        lambda source: PendingAffine("layer", source, scale, offset),
        lambda x: scale * x + offset,
    )


def table(function, **options):
    return lambda source: PendingTable("layer", source, function, **options), function


# Name: (source -> pending value, the function in float64).
TABLE = {name: slopes(slope) for name, slope in SLOPES.items()} | {
    "scale": affine(0.3),
    "negative scale": affine(-2.0),
    "offset": affine(1.0, 0.8),
    "scale and offset": affine(1 / 6, 0.5),
    "one minus": affine(-1.0, 1.0),
    "small offset": affine(0.9, 0.013),
    "tiny offset": affine(-1.1, -1e-9),
    "large offset": affine(0.1, 900.0),
    "negative offset": affine(0.9, -2.2),
    "look-up": table(np.sin),
    "the runtime's table": table(
        lambda x: np.where(x < 0, np.expm1(x), x),
        operator=operators.Elu,
    ),
    "the runtime's table, for another grid": table(
        lambda x: 1 / (1 + np.exp(-x)),
        operator=operators.Logistic,
        operator_grid=(1 / 256, -128),
    ),
}


def emitted(make, grid, clamp, target=LITERT):
    source = Tensor("input", (None, CHANNELS), SOURCE_GRID)
    program = Program("test", inputs=[source], input_names=["input"], output_names=["output"])
    pending = make(source)
    pending.clamp(clamp)
    program.outputs = [pending.emit(Emitter(program, target), grid)]
    return program


@pytest.mark.parametrize("clamp", CLAMPS)
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", TABLE)
def test_every_code_becomes_the_nearest_code_of_its_value(name, grid, clamp):
    make, function = TABLE[name]
    grid, clamp = GRIDS[grid], CLAMPS[clamp]
    program = emitted(make, grid, clamp)
    computed = program.run([EVERY_CODE])[program.outputs[0]].numpy()
    content = write_tflite(program, LITERT)
    for (made,) in (run_litert(content, [EVERY_CODE]), evaluate(content, [EVERY_CODE])):
        np.testing.assert_array_equal(made, computed)
    values = SOURCE_GRID.decode(EVERY_CODE).astype(np.float64)
    values = np.clip(function(values), clamp.lower, clamp.upper)
    codes = np.clip(np.rint(values / grid.scale) + grid.zero_point, grid.low, grid.high)
    # A bound may lie between two codes; float32 may round a value near the middle to either side.
    assert np.mean(computed == codes) > 0.995
    np.testing.assert_allclose(computed, codes, atol=1)


def test_the_runtimes_table_is_used_on_its_own_grid_only():
    make, _ = TABLE["the runtime's table, for another grid"]
    codes = [each.code for each in emitted(make, GRIDS["8 bits"], CLAMPS["none"]).operators]
    assert codes == ["CAST", "ADD", "GATHER"]
    own = Grid(np.float32(1 / 256), -128)
    assert [each.code for each in emitted(make, own, CLAMPS["none"]).operators] == ["LOGISTIC"]


def test_a_table_that_a_target_lacks_is_looked_up():
    make, _ = table(lambda x: x, operator=operators.Gelu)
    for target, codes in (("litert", ["GELU"]), ("tflm", ["CAST", "ADD", "GATHER"])):
        program = emitted(make, GRIDS["8 bits"], CLAMPS["none"], TARGETS[target])
        assert [each.code for each in program.operators] == codes


def test_a_slope_that_a_relu_hides_costs_nothing():
    make, _ = TABLE["a slope"]
    program = emitted(make, Grid(np.float32(0.05), -128), CLAMPS["relu"])
    assert [each.code for each in program.operators] == ["MUL"]


def test_a_scale_that_the_runtime_does_not_take_is_refused_by_name():
    make, _ = affine(1e-7)
    with pytest.raises(ValueError, match="'layer' changes its scale.*times.*[Cc]alibrate"):
        emitted(make, Grid(np.float32(1.0), 0), CLAMPS["none"])
