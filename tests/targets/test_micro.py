"""TensorFlow Lite for Microcontrollers beside LiteRT, operator by operator."""

import numpy as np
import pytest

import tfq_lowbit as tfq
from tests.absent import skip_without
from tests.export.test_operators import TABLE, Draw, conv, dense, depthwise, program_of
from tests.promise import run_litert
from tests.targets.test_check import IMAGE, same, tensor
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.operators import EmbeddingLookup, FlattenRows
from tfq_lowbit.export.program import IndexTensor
from tfq_lowbit.targets import TARGETS, micro

TARGET = TARGETS["tflm"]
SEEDS = range(3)
# Reference kernels round twice.
MAX_STEP_DIFFERENCE = 1
# What LiteRT runs in kernels that round twice, too.
PACKED = {
    "conv int4": conv(7, kind="INT4"),
    "conv int4 in groups": conv(9, image=(7, 6, 6), groups=3, kind="INT4"),
    "conv int4 strided": conv(7, (3, 2), strides=(2, 2), kind="INT4", activation="RELU"),
    "depthwise int4": depthwise(padding="SAME", kind="INT4"),
    "depthwise int4 multiplier": depthwise(2, kind="INT4"),
    "dense int4 of one scale": dense(18, 6, "INT4", single=True),
    "dense int4 in odd rows": dense(17, 5, "INT4", single=True),
}


@pytest.fixture(autouse=True)
def needs_micro():
    if not micro.has_micro():
        skip_without("tflite-micro: pip install tflite-micro --pre")


def is_for_lookups(operator):
    """Whether it is written for LiteRT alone: tflite-micro ignores the scales of rows."""
    return isinstance(operator, EmbeddingLookup | FlattenRows)


def is_taken(operator):
    """Whether the target's tables have the operator, as it is stored."""
    if operator.code not in TARGET.rules.OPERATORS or is_for_lookups(operator):
        return False
    filter = getattr(operator, "filter", None)
    if filter is None:
        return True
    kind = filter.type
    has_scales = (operator.code, kind) not in TARGET.SINGLE_SCALE or filter.scales.size == 1
    return kind in TARGET.CONTAINERS[operator.code] and has_scales


def fed(draw, tensor):
    shape = (1, *tensor.shape[1:])
    if isinstance(tensor, IndexTensor):
        return draw.random.integers(0, 256, shape).astype(np.int32)
    if tensor.grid is not None:
        storage = tensor.grid.storage
        return draw.random.integers(storage.low, storage.high + 1, shape).astype(storage.dtype)
    return (draw.random.integers(-40, 400, shape) / 64).astype(np.float32)


def run(content, inputs):
    """Runs a file in this process."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content, arena_size=4 * 2**20)
    for index, values in enumerate(inputs):
        interpreter.set_input(values, index)
    interpreter.invoke()
    return interpreter.get_output(0)


ROWS = TABLE | PACKED
TAKEN = [name for name, row in ROWS.items() if is_taken(row(Draw(0)))]


def test_only_packed_dense_layers_with_a_scale_a_channel_are_not_taken():
    for name in set(ROWS) - set(TAKEN):
        operator = ROWS[name](Draw(0))
        if operator.code == "GELU":  # the exporter looks it up there
            continue
        if is_for_lookups(operator):
            continue
        assert operator.code == "FULLY_CONNECTED" and operator.filter.type in ("INT4", "INT2")


@pytest.mark.parametrize("name", TAKEN)
def test_an_operator_agrees_with_litert_within_one_step(name):
    for seed in SEEDS:
        draw = Draw(seed)
        operator = ROWS[name](draw)
        program = program_of(operator)
        inputs = [fed(draw, tensor) for tensor in program.inputs]
        content = write_tflite(program, TARGET)
        (expected,), found = run_litert(content, inputs), run(content, inputs)
        assert found.shape == expected.shape
        if expected.dtype == np.float32:
            np.testing.assert_allclose(found, expected, rtol=1e-6)
            continue
        steps = np.abs(found.astype(np.int64) - expected)
        assert steps.max() <= MAX_STEP_DIFFERENCE, (name, seed, steps.max())


def test_samples_run_one_after_the_other_in_a_process_of_its_own():
    draw = Draw(0)
    program = program_of(TABLE["add"](draw))
    inputs = [draw.codes((5, *each.shape[1:])) for each in program.inputs]
    content = write_tflite(program, TARGET)
    (outputs,), (expected,) = micro.run_micro(content, inputs), run_litert(content, inputs)
    assert np.abs(outputs.astype(int) - expected).max() <= MAX_STEP_DIFFERENCE


def test_the_table_holds_the_operators_that_the_package_has():
    for code, is_known in (("GELU", False), ("TILE", False), ("BITWISE_XOR", False)):
        assert (code in TARGET.rules.OPERATORS) == is_known
        with pytest.raises(RuntimeError, match=f"refuses the file.*{code}"):
            micro.run_micro(same(code, tensor(IMAGE)), [], num_outputs=0)
    assert "TANH" in TARGET.rules.OPERATORS
    assert micro.run_micro(same("TANH", tensor(IMAGE)), [], num_outputs=0) == []


def test_check_loads_a_file_that_breaks_no_rule():
    report = tfq.check(same("TANH", tensor(IMAGE)), target="tflm")
    assert "tflite-micro loaded it" in report.statement
    content = same("SOFTMAX", tensor((1, 10)))  # on a grid that no rule forbids
    report = tfq.check(content, target="tflm")
    assert not report.is_clean and "tflite-micro must load the file" in str(report)
    assert tfq.check(content, target="tflm", run_tools=False).is_clean


def test_without_the_package_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setattr(micro, "has_micro", lambda: False)
    with pytest.raises(ImportError, match=r"tfq_lowbit\[tflm\]"):
        micro.run_micro(same("TANH", tensor(IMAGE)), [])
    report = tfq.check(same("TANH", tensor(IMAGE)), target="tflm")
    assert report.is_clean and "was not run: pip install" in report.statement
