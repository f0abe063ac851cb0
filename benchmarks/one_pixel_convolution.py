"""Latency of 1x1 convolutions as FULLY_CONNECTED with packed weights, LiteRT, one thread.

A 1x1 convolution of stride 1 is a matrix product: with codes of 2 to 4 bits it is written as
FULLY_CONNECTED, which reads int4 and int2. Compared is CONV_2D with int8 weights, all files in
turns.

    python -m benchmarks.one_pixel_convolution
"""

import argparse
import os
import statistics

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import tfq_lowbit as tfq
from benchmarks.report import made_with, markdown_table, read_versions, write_result
from tfq_lowbit.export import lower, write_tflite
from tfq_lowbit.targets import TARGETS

SHAPES = ((56, 64), (28, 128), (14, 96), (14, 256), (7, 512), (7, 1280))  # height, channels
WIDTHS = (8, 4, 2)
PACKAGES = ("ai-edge-litert", "tensorflow", "keras")


def make_files(size, channels):
    """Return a dict from the stored type to the bytes of a file."""
    inputs = keras.Input((size, size, channels))
    model = keras.Model(inputs, keras.layers.Conv2D(channels, 1)(inputs))
    images = np.random.default_rng(0).normal(size=(2, *inputs.shape[1:])).astype(np.float32)
    files = {}
    for weight_bits in WIDTHS:
        recipe = tfq.Recipe.lsq(weight_bits, 8, first_last_bits=None)
        quantized = tfq.quantize_model(model, recipe, images)
        program = lower(quantized, input_type="int8", output_type="int8")
        operator = program.operators[-1]
        name = f"{operator.filter.type.lower()} {operator.code}"
        files[name] = write_tflite(program, TARGETS["litert"])
    return files


def rows_of(size, channels, rounds):
    files = make_files(size, channels)
    times = {name: [] for name in files}
    for _ in range(rounds):
        for name, content in files.items():
            times[name].append(tfq.benchmark(content, 1, 30, warmup=5).median_ms)
    medians = {name: statistics.median(each) for name, each in times.items()}
    base = next(iter(medians.values()))
    for name, median in medians.items():
        shape = f"{size}x{size}x{channels}, {name}"
        yield shape, f"{len(files[name]):,}", f"{median:.3f}", f"{median / base:.2f}"


def main():
    parser = argparse.ArgumentParser(description="Latency of 1x1 convolutions.")
    parser.add_argument("--rounds", type=int, default=9, help="blocks of each file's timing")
    args = parser.parse_args()
    rows = [row for shape in SHAPES for row in rows_of(*shape, args.rounds)]
    write_result(
        "one_pixel_convolution",
        "Latency of 1x1 convolutions with packed weights",
        "LiteRT, one thread, median of 30 invocations in blocks in turns; as many outputs as "
        "inputs, int8 activations. The codes of each width are the same in every container.",
        markdown_table(("convolution", "bytes", "ms", "x int8"), rows),
        made_with("python -m benchmarks.one_pixel_convolution", read_versions(PACKAGES)),
    )


if __name__ == "__main__":
    main()
