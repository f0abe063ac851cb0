"""Convolution as windows and a matrix product: the same codes as the convolution itself."""

import numpy as np
import pytest

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.operators import Conv2D, FullyConnected
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.export.windows import count_window_operators
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

IMAGE = (9, 8, 64)  # channels enough for the packed weights to repay the operators
FILTERS = 32

# Window, strides, dilation, padding.
GEOMETRIES = {
    "plain": ((3, 3), (1, 1), (1, 1), "VALID"),
    "same": ((3, 3), (1, 1), (1, 1), "SAME"),
    "same strided": ((3, 3), (2, 2), (1, 1), "SAME"),
    "unequal strides": ((3, 2), (2, 1), (1, 1), "SAME"),
    "dilated": ((2, 3), (1, 1), (2, 3), "VALID"),
    "dilated same": ((3, 3), (1, 1), (2, 1), "SAME"),
    "one row": ((1, 5), (1, 1), (1, 1), "SAME"),
    "one column": ((5, 1), (1, 2), (1, 1), "SAME"),
    "one pixel strided": ((1, 1), (2, 3), (1, 1), "SAME"),
    "one pixel": ((1, 1), (1, 1), (1, 1), "VALID"),
    "stride beyond window": ((2, 2), (3, 4), (1, 1), "VALID"),
    "whole image": ((9, 8), (1, 1), (1, 1), "VALID"),
    "even window same": ((2, 4), (1, 1), (1, 1), "SAME"),
}


def out_size(size, window, stride, dilation, padding):
    span = (window - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - span) // stride + 1


def lowered(geometry, prefer="size", limit=7, channels=IMAGE[2], groups=1):
    """Returns the program of one convolution with narrow codes."""
    window, strides, dilation, padding = GEOMETRIES[geometry]
    random = np.random.default_rng(0)
    axes = zip(IMAGE[:2], window, strides, dilation, strict=True)
    shape = (None, *(out_size(*axis, padding) for axis in axes), FILTERS)
    codes = random.integers(-limit, limit + 1, (*window, channels // groups, FILTERS))
    codes.flat[:2] = -limit, limit
    source = Tensor("input", (None, *IMAGE[:2], channels), Grid(np.float32(0.05), -20))
    program = Program("test", [source], input_names=["input"], output_names=["output_0"])
    emitter = Emitter(program, LITERT, prefer)
    spec = KernelSpec("CONV_2D", strides, dilation, padding, 4)
    steps, bias = random.uniform(0.01, 0.02, (2, FILTERS)).astype(np.float32)
    pending = PendingKernel("conv", shape, spec, source, codes, steps, bias)
    program.outputs = [pending.emit(emitter, Grid(np.float32(0.1), 5))]
    return program


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("limit", [1, 7], ids=["INT2", "INT4"])
def test_windows_give_the_codes_of_the_convolution(geometry, limit):
    packed, plain = lowered(geometry, limit=limit), lowered(geometry, "speed", limit)
    image = np.random.default_rng(1).integers(-128, 128, (2, *IMAGE)).astype(np.int8)
    last = packed.operators[-1]
    assert isinstance(last, FullyConnected)
    assert last.filter.type == {1: "INT2", 7: "INT4"}[limit]
    is_pixel = geometry == "one pixel"
    assert isinstance(plain.operators[-1], FullyConnected if is_pixel else Conv2D)
    results = []
    for program in (packed, plain):
        content = write_tflite(program, LITERT)
        (run,), (evaluated,) = run_litert(content, [image]), evaluate(content, [image])
        np.testing.assert_array_equal(evaluated, run)
        np.testing.assert_array_equal(program.run([image])[program.outputs[0]], run)
        results.append(run)
    np.testing.assert_array_equal(*results)
    assert len(np.unique(results[0])) > 2


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_operators_are_counted_before_they_are_emitted(geometry):
    window, strides, dilation, padding = GEOMETRIES[geometry]
    counted = count_window_operators(window, KernelSpec("CONV_2D", strides, dilation, padding))
    emitted = len(lowered(geometry).operators) - 1
    # A padding of SAME may turn out to be none.
    assert counted - (padding == "SAME") <= emitted <= counted


def test_wide_codes_and_groups_stay_convolutions():
    assert isinstance(lowered("same", limit=8).operators[-1], Conv2D)
    grouped = lowered("same", groups=4)
    assert [type(operator) for operator in grouped.operators] == [Conv2D]


def test_few_weights_do_not_repay_the_operators():
    assert isinstance(lowered("same", channels=4).operators[-1], Conv2D)
