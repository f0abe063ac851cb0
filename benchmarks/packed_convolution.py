"""Latency of 3x3 convolutions with packed weights in LiteRT, one thread.

Compared are the files that `export_tflite` writes for one convolution, `prefer="size"` (windows
and FULLY_CONNECTED with int4 or int2 weights) and `prefer="speed"` (CONV_2D with int8 weights), and
the runtime's own CONV_2D with int4 weights: the second file with its filter packed. All run in one
process in turns.

    python -m benchmarks.packed_convolution
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import tfq_lowbit as tfq
from benchmarks.report import made_with, markdown_table, read_versions, write_result
from tfq_lowbit.export.writer import pack_model
from tfq_lowbit.packing import pack_codes

SHAPES = ((56, 64), (28, 128), (14, 256), (7, 512))  # height = width, channels in and out
BASE, BUILTIN = 'int8 CONV_2D (prefer="speed")', "int4 CONV_2D (builtin)"
WINDOWS = {4: "windows, int4 FULLY_CONNECTED", 2: "windows, int2 FULLY_CONNECTED"}
INT4_CONVOLUTION_VERSION = 8
NUM_WARM_UPS = 3
PACKAGES = ("ai-edge-litert", "tensorflow", "keras")


def export(size, channels, bits, prefer, kernel=3):
    """Return the file of one convolution with `bits`-bit weights and int8 inputs and outputs."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, channels))
    outputs = keras.layers.Conv2D(channels, kernel, padding="same")(inputs)
    model = keras.Model(inputs, outputs)
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    recipe = tfq.Recipe.lsq(bits, 8, first_last_bits=None)
    quantized = tfq.quantize_model(model, recipe, images)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        tfq.export_tflite(
            quantized,
            path,
            prefer=prefer,
            input_type="int8",
            output_type="int8",
            verify_data=images[:1],
        )
        with open(path, "rb") as file:
            return file.read()


def with_int4_filter(content):
    """Return a file whose CONV_2D has an int4 filter in the place of int8, the same codes."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (operator,) = model.subgraphs[0].operators
    model.operatorCodes[operator.opcodeIndex].version = INT4_CONVOLUTION_VERSION
    tensor = model.subgraphs[0].tensors[operator.inputs[1]]
    tensor.type = schema.TensorType.INT4
    buffer = model.buffers[tensor.buffer]
    codes = np.asarray(buffer.data, np.uint8).view(np.int8).reshape(tensor.shape)
    buffer.data = pack_codes(codes, 4)
    return pack_model(model)


def make_files(size, channels):
    fast = export(size, channels, 4, "speed")
    return {
        BASE: fast,
        WINDOWS[4]: export(size, channels, 4, "size"),
        WINDOWS[2]: export(size, channels, 2, "size"),
        BUILTIN: with_int4_filter(fast),
    }


def start(content):
    interpreter = tfq.Interpreter(content, num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    codes = np.random.default_rng(0).integers(-128, 128, details["shape"], np.int8)
    interpreter.set_tensor(details["index"], codes)
    for _ in range(NUM_WARM_UPS):
        interpreter.invoke()
    return interpreter


def output_of(interpreter):
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(int)


def time_in_turns(interpreters, rounds):
    """Return a dict from name to the median milliseconds of one invocation."""
    times = {name: [] for name in interpreters}
    for _ in range(rounds):
        for name, interpreter in interpreters.items():
            start_time = time.perf_counter()
            interpreter.invoke()
            times[name].append(time.perf_counter() - start_time)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def main():
    parser = argparse.ArgumentParser(description="Latency of packed convolutions.")
    parser.add_argument("--rounds", type=int, default=200, help="timed invocations of each file")
    args = parser.parse_args()
    rows, different = [], []
    for size, channels in SHAPES:
        files = make_files(size, channels)
        interpreters = {name: start(content) for name, content in files.items()}
        milliseconds = time_in_turns(interpreters, args.rounds)
        base = output_of(interpreters[BASE])
        for name in (WINDOWS[4], BUILTIN):
            steps = np.abs(output_of(interpreters[name]) - base)
            different.append((f"{size}x{size}x{channels}", name, f"{np.mean(steps > 0):.2%}"))
        for name, content in files.items():
            rows.append(
                (
                    f"{size}x{size}x{channels}, {name}",
                    f"{len(content):,}",
                    f"{milliseconds[name]:.3f}",
                    f"{milliseconds[name] / milliseconds[BASE]:.2f}",
                )
            )
    write_result(
        "packed_convolution",
        "Latency of 3x3 convolutions with packed weights",
        f"LiteRT, one thread, median of {args.rounds} invocations in turns; stride 1, SAME, "
        "as many outputs as inputs, int8 activations. The int8 and int4 files hold the same 4-bit "
        "codes.",
        markdown_table(("convolution", "bytes", "ms", "x int8"), rows),
        "Output codes that differ from the int8 CONV_2D of the same weights (random inputs):",
        markdown_table(("convolution", "file", "different"), different),
        made_with("python -m benchmarks.packed_convolution", read_versions(PACKAGES)),
    )


if __name__ == "__main__":
    main()
