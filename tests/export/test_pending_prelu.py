"""A parametric ReLU between two grids."""

import numpy as np
import pytest

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.pending_prelu import PendingPrelu
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

SOURCE_GRID = Grid(np.float32(0.07), 11, -120, 127)
GRIDS = {"8 bits": Grid(np.float32(0.05), -3), "4 bits": Grid(np.float32(0.5), 120, 112, 127)}
CHANNELS = 37
EVERY_CODE = np.repeat(np.arange(-120, 128, dtype=np.int8)[:, None], CHANNELS, 1)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("clamp", [Clamp(None, None), Clamp(0.0, None)])
def test_every_code_becomes_the_nearest_code_of_its_value(grid, clamp):
    random, grid = np.random.default_rng(0), GRIDS[grid]
    shift_in, slope, shift_out = random.normal(0, 1.5, (3, CHANNELS)).astype(np.float32)
    shift_in[:3], slope[3:5] = (0, 99, -99), (0, 1)
    source = Tensor("input", (None, CHANNELS), SOURCE_GRID)
    program = Program("test", inputs=[source], input_names=["input"], output_names=["output"])
    pending = PendingPrelu("prelu", source, shift_in, slope, shift_out)
    pending.clamp(clamp)
    output = pending.emit(Emitter(program, LITERT), grid)
    program.outputs = [output]
    computed = program.run([EVERY_CODE])[output].numpy()
    content = write_tflite(program, LITERT)
    for (made,) in (run_litert(content, [EVERY_CODE]), evaluate(content, [EVERY_CODE])):
        np.testing.assert_array_equal(made, computed)
    x = SOURCE_GRID.decode(EVERY_CODE).astype(np.float64) - shift_in
    y = np.where(x > 0, x, slope * x) + shift_out
    y = np.clip(y, clamp.lower, clamp.upper)
    codes = np.clip(np.rint(y / grid.scale) + grid.zero_point, grid.low, grid.high)
    # float32 may round a value near the middle between two codes to the other one.
    assert np.mean(computed == codes) > 0.999
    np.testing.assert_allclose(computed, codes, atol=1)
    assert len(np.unique(codes)) >= 8
