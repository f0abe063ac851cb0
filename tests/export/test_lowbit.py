"""Binary and ternary kernels on bits give the codes of the int8 operators."""

import numpy as np
import pytest

from tests.evaluator import evaluate
from tests.promise import run_litert
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.lowbit import why_not_lowbit
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.model import Clamp
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]

NONE, RELU, RELU6 = Clamp(None, None), Clamp(0.0, None), Clamp(0.0, 6.0)
UNSIGNED = {bits: Grid(np.float32(0.4), 128 - 2**bits, 128 - 2**bits, 127) for bits in (1, 2, 3)}
OUTPUTS = {
    "8 bits": Grid(np.float32(0.3), -7),
    "2 bits unsigned": Grid(np.float32(1.1), 124, 124, 127),
    "4 bits signed": Grid(np.float32(0.9), 120, 112, 127),
}
KERNELS = {
    "convolution": (KernelSpec("CONV_2D", padding="SAME"), (3, 3, 40, 37)),
    "strided": (KernelSpec("CONV_2D", (2, 1), padding="SAME"), (2, 3, 40, 37)),
    "dilated": (KernelSpec("CONV_2D", dilation=(1, 2)), (3, 2, 40, 37)),
    "grouped": (KernelSpec("CONV_2D", padding="SAME"), (3, 3, 10, 36)),
    "one pixel": (KernelSpec("CONV_2D"), (1, 1, 40, 37)),
    "dense": (KernelSpec("FULLY_CONNECTED"), (40, 37)),
}
SIZES = {"strided": (4, 8), "dilated": (5, 6)}


def lowered(name, num_bits, values, output, clamp, custom_ops):
    """Returns the program of one layer with random codes out of `values`."""
    spec, shape = KERNELS[name]
    random = np.random.default_rng(len(name))
    image = (7, 8) if len(shape) == 4 else ()
    source = Tensor("input", (None, *image, 40), UNSIGNED[num_bits])
    program = Program("test", inputs=[source], input_names=["input"], output_names=["output"])
    emitter = Emitter(program, LITERT, "speed", custom_ops=custom_ops)
    channels = shape[-1]
    # Powers of two make ties, where a second rounding would show.
    steps = (2.0 ** random.integers(-4, 0, channels)).astype(np.float32)
    bias = random.normal(0, 2, channels).astype(np.float32)
    kernel = random.choice(values, shape)
    size = SIZES.get(name, image)
    pending = PendingKernel("layer", (None, *size, channels), spec, source, kernel, steps, bias)
    multiplier = random.choice([-1.0, 0.5, 1.0], channels).astype(np.float32)
    multiplier[2] = 0
    pending.fold(multiplier, bias)
    pending.clamp(clamp)
    program.outputs = [pending.emit(emitter, OUTPUTS[output])]
    return program


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("num_bits", [1, 2])
@pytest.mark.parametrize("values", [(-1, 1), (-1, 0, 1)], ids=["binary", "ternary"])
@pytest.mark.parametrize(
    ("output", "clamp"),
    [("8 bits", NONE), ("8 bits", RELU6), ("2 bits unsigned", NONE), ("4 bits signed", RELU)],
)
def test_bits_give_the_codes_of_int8(name, num_bits, values, output, clamp):
    programs = [
        lowered(name, num_bits, values, output, clamp, custom_ops)
        for custom_ops in ("binary", "lowbit")
    ]
    source = programs[0].inputs[0]
    codes = np.random.default_rng(1).integers(source.grid.low, 128, (9, *source.shape[1:]), np.int8)
    results = []
    for program in programs:
        content = write_tflite(program, LITERT)
        (run,), (evaluated,) = run_litert(content, [codes]), evaluate(content, [codes])
        np.testing.assert_array_equal(evaluated, run)
        np.testing.assert_array_equal(program.run([codes])[program.outputs[0]], run)
        results.append(run)
    np.testing.assert_array_equal(*results)
    assert len(np.unique(results[0])) >= 4
    assert programs[0].custom_operators == []
    layer = "TfqBdense" if name == "dense" else "TfqBconv2d"
    assert programs[1].custom_operators == sorted(["TfqBitpack", layer])
    assert programs[0].plain_layers == {"layer": "custom_ops='lowbit' runs it on bits"}
    assert programs[1].plain_layers == {}


REASONS = {
    "weights of 3 bits (on bits: -1, 0, 1)": (np.array([[3, -1]]), UNSIGNED[2], 3),
    "an input of 8 levels (on bits: at most 4)": (np.array([[1, -1]]), UNSIGNED[3], 1),
    "an input with negative codes": (
        np.array([[1, -1]]),
        Grid(np.float32(1), 126, 124, 127),
        1,
    ),
    "": (np.array([[1, 0]]), UNSIGNED[1], 2),
}


@pytest.mark.parametrize("reason", REASONS)
def test_the_reason_why_not_is_told(reason):
    codes, grid, num_bits = REASONS[reason]
    spec = KernelSpec("FULLY_CONNECTED", num_bits=num_bits)
    assert why_not_lowbit(spec, codes, grid) == reason
    depthwise = KernelSpec("DEPTHWISE_CONV_2D", num_bits=num_bits)
    assert "depthwise" in why_not_lowbit(depthwise, codes, grid)
