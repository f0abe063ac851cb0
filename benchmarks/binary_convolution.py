"""Latency of convolutions on bits in LiteRT with our delegate, against XNNPACK's int8.

Each file holds one convolution, stride 1, SAME, as many outputs as inputs, batch 1: `CONV_2D` in
int8 as `export_tflite` writes it, and `TfqBconv2d` with bits in and int8 or bits out. All
interpreters are in one process and are invoked in turns, in bursts of ten; a ratio is the median
over the rounds of the ratios inside a round. Where int8 runs on AMX, everything is measured once
more in a process that Linux refuses it to (`amx.py`). Larq Compute Engine runs in a process of its
own, in turns with ours.

    python -m benchmarks.binary_convolution
    python -m benchmarks.binary_convolution --larq peer/bin/python    # see binary_convolution_larq
"""

import argparse
import contextlib
import json
import os
import subprocess
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfq_lowbit as tfq
from benchmarks.amx import kinds_of_int8, run_apart
from benchmarks.packed_convolution import export
from benchmarks.report import made_with, markdown_table, read_versions, write_result
from tfq_lowbit.export.operators import Bconv2D
from tfq_lowbit.export.operators.transforms import ToCodes, ToSigns
from tfq_lowbit.export.program import Grid, PackedTensor, Program, Tensor
from tfq_lowbit.export.writer import write_tflite
from tfq_lowbit.targets import TARGETS

# Height = width, channels in and out, kernel; then how many times faster than int8 W1A1 was asked
# to be.
SHAPES = {
    (56, 64, 3): 3.5,
    (28, 128, 3): 4.5,
    (14, 256, 3): 4.5,
    (7, 512, 3): 4.5,
    (14, 256, 1): 3.0,
}
INT8 = "int8 CONV_2D"
# Bits of an input, whether weights are ternary, whether the output is packed.
VARIANTS = {
    "W1A1, bits out": (1, False, True),
    "W1A1, int8 out": (1, False, False),
    "W1A2, int8 out": (2, False, False),
    "W2A2, int8 out": (2, True, False),
}
# What they were asked to reach; W1A1 has its own by shape.
ASKED = {"W1A2, int8 out": 2.0, "W2A2, int8 out": 1.0}
ISAS = ("avx512", "avx2", "portable")
PACKAGES = ("ai-edge-litert", "tensorflow", "keras")
NUM_WARM_UPS = 20
LARQ_ROUNDS = 20
BOUNDS = """\
**The bounds.** Intel's cores count bits on one of two vector pipes: XOR, POPCNT and ADD for 512
products take 1.5 cycles, 341 products a cycle. VNNI multiplies 128 int8 a cycle, AMX 1,024. So bits
can be at most 2.7 times faster than ideal int8 by VNNI, and a third as fast as ideal int8 by AMX;
XNNPACK reaches 50 to 70 % of the one and 25 to 40 % of the other, ours nearly all of its own
(`bgemm.md`). Zen 4 and 5 have two pipes for POPCNT and more for the rest. Expanding bits into AMX
tiles was tried: 0.7 to 1.1 times int8 by AMX at every shape, no faster than POPCNT for W1A1."""
# Invocations in a row in each round: a layer finds its weights in the caches, as in a stream of
# images it would find the small ones.
BURST = 10


def binary_file(size, channels, kernel, num_planes, is_ternary, is_packed):
    """Return the file of one TfqBconv2d with random weights."""
    random = np.random.default_rng(0)
    choices = (-1, 0, 1) if is_ternary else (-1, 1)
    weights = random.choice(choices, (kernel, kernel, channels, channels)).astype(np.int8)
    has_codes = num_planes > 1
    shape = (1, size, size, channels)
    source = PackedTensor("x", shape, num_planes, has_codes)
    if is_packed:
        output = PackedTensor("y", shape)
        transform = ToSigns(
            random.integers(-8, 9, channels).astype(np.int32), random.random(channels) < 0.5
        )
    else:
        output = Tensor("y", shape, Grid(np.float32(0.1), 0))
        multiplier = random.uniform(0.1, 1.0, channels).astype(np.float32)
        transform = ToCodes(multiplier, random.normal(size=channels).astype(np.float32))
    operator = Bconv2D("conv", source, weights, output, transform, padding="SAME_ONE")
    program = Program("conv", [source], [output], [operator], input_names=["x"])
    program.output_names.append("y")
    return write_tflite(program, TARGETS["litert"])


def start(content, kernel=None):
    """Return an interpreter with random inputs set, warmed up."""
    previous = os.environ.pop("TFQ_FORCE_KERNEL", None)
    if kernel is not None:
        os.environ["TFQ_FORCE_KERNEL"] = kernel
    try:
        interpreter = tfq.Interpreter(content, num_threads=1)
    finally:
        os.environ.pop("TFQ_FORCE_KERNEL", None)
        if previous is not None:
            os.environ["TFQ_FORCE_KERNEL"] = previous
    interpreter.allocate_tensors()
    (details,) = interpreter.get_input_details()
    limits = np.iinfo(details["dtype"])
    values = np.random.default_rng(0).integers(limits.min, limits.max, details["shape"])
    interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
    for _ in range(NUM_WARM_UPS):
        interpreter.invoke()
    return interpreter


def time_in_turns(interpreters, rounds):
    """Return a dict from name to milliseconds, the median of a burst for each round."""
    times = {name: np.empty(rounds) for name in interpreters}
    for index in range(rounds):
        for name, interpreter in interpreters.items():
            times[name][index] = time_burst(interpreter.invoke)
    return times


def time_burst(invoke):
    """Return the median milliseconds of a few calls, one right behind the other."""
    times = np.empty(BURST)
    for index in range(BURST):
        begin = time.perf_counter()
        invoke()
        times[index] = time.perf_counter() - begin
    return 1e3 * np.median(times)


class Larq:
    """The engine in its own environment, asked one block of invocations at a time."""

    def __init__(self, python):
        command = [python, "-m", "benchmarks.binary_convolution_larq"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        self._process.wait()

    def milliseconds(self, size, channels, kernel, rounds):
        """Return the median milliseconds of an invocation."""
        asked = {"size": size, "channels": channels, "kernel": kernel, "rounds": rounds}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("The Larq process ended: run benchmarks.binary_convolution_larq.")
        return json.loads(answer)


def measure(shape, kernels, rounds, blocks, larq):
    """Return the milliseconds of each variant of a shape, one a round, int8 first."""
    interpreters = {INT8: start(export(shape[0], shape[1], 8, "speed", shape[2]))}
    for kernel in kernels:
        for name, variant in VARIANTS.items():
            interpreters[f"{name}, {kernel}"] = start(binary_file(*shape, *variant), kernel)
    times = {name: [] for name in interpreters}
    for _ in range(blocks):
        for name, block in time_in_turns(interpreters, rounds // blocks).items():
            times[name].append(block)
        if larq is not None:
            median = larq.milliseconds(*shape, LARQ_ROUNDS)
            times.setdefault("Larq", []).append(np.full(rounds // blocks, median))
    return {name: np.concatenate(each) for name, each in times.items()}


def asked_of(name, shape):
    """Return how many times faster than int8 a variant was asked to be, None if not at all."""
    if not name.endswith(ISAS[0]):
        return None
    variant = name.removesuffix(f", {ISAS[0]}")
    return ASKED.get(variant, SHAPES[shape])


def row_of(shape, name, times):
    """Return a row of the table."""
    size, channels, kernel = shape
    ratio = np.median(times[INT8] / times[name])
    macs = size * size * kernel * kernel * channels * channels
    median = np.median(times[name])
    asked = asked_of(name, shape)
    verdict = "" if asked is None else f"{asked:g}: " + ("met" if ratio >= asked else "not met")
    return (
        f"{size}x{size}x{channels} {kernel}x{kernel}, {name}",
        f"{median:.4f}",
        f"{1e-6 * macs / median:,.0f}",
        f"{ratio:.2f}",
        verdict,
    )


def measure_all(args):
    """Return the rows of all shapes."""
    rows = []
    with contextlib.nullcontext() if args.larq is None else Larq(args.larq) as larq:
        for shape in SHAPES:
            times = measure(shape, args.kernels, args.rounds, args.blocks, larq)
            rows.extend(row_of(shape, name, times) for name in times)
    return rows


def main():
    parser = argparse.ArgumentParser(description="Latency of convolutions on bits.")
    parser.add_argument("--rounds", type=int, default=200, help="bursts of 10 invocations")
    parser.add_argument("--blocks", type=int, default=10, help="blocks, with Larq in between")
    parser.add_argument("--larq", help="Python of an environment with larq-compute-engine")
    parser.add_argument("--kernels", nargs="+", default=ISAS[:2], choices=ISAS)
    args = parser.parse_args()
    parts = []
    for kind, without_amx in kinds_of_int8().items():
        rows = run_apart(measure_all, args, without_amx=without_amx)
        heading = ("convolution", "ms", "GMAC/s", "times int8", "asked")
        parts += [f"## Beside int8 by {kind}", markdown_table(heading, rows)]
    note = "" if args.larq is None else "; larq-compute-engine 0.16.0 with TensorFlow 2.16"
    command = "python -m benchmarks.binary_convolution" + (" --larq PYTHON" if args.larq else "")
    write_result(
        "binary_convolution",
        "Latency of convolutions on bits",
        f"LiteRT with the delegate, one thread, {args.rounds} bursts of {BURST} invocations in "
        "turns with XNNPACK's int8 CONV_2D of the same shape; medians, of the times and of the "
        "ratios in each round. Larq Compute Engine in its fastest mode, bits in and float32 out, "
        "copies included.",
        *parts,
        BOUNDS,
        made_with(command, read_versions(PACKAGES), note + "."),
    )


if __name__ == "__main__":
    main()
