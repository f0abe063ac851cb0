"""A Bi-Real ResNet-18 (224) in LiteRT: binary with our delegate against its int8 self.

Both files come from one float model with random weights (`examples/bireal_resnet18.py`): W8A8 by
`Recipe.lsq(8, 8)`, and binary by the recipe of the paper (stem, shortcuts and the last layer at
eight bits). The interpreters are invoked in turns; a ratio is the median over the rounds of the
ratios inside a round. Load time is opening the file and allocating its tensors, weights repacked.

    python -m benchmarks.binary_network
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfq_lowbit as tfq
from benchmarks.amx import kinds_of_int8, run_apart
from benchmarks.networks import settled
from benchmarks.report import made_with, markdown_table, read_versions, write_result
from examples.bireal_resnet18 import bireal_resnet18, recipe

INT8, BINARY = "W8A8", "Bi-Real"
LEAST_RATIO, LEAST_THREAD_RATIO = 2.5, 1.7
NUM_WARM_UPS = 5
WHERE_TIME_GOES = """\
**Where the time of the binary file goes** (one thread, by sampling, on the machine below with int8
by VNNI): the sixteen binary convolutions 46 %, of which nine tenths at the bound of the processor
(`binary_convolution.md`); the 7x7 stem in int8 36 %, since XNNPACK pads its three channels to eight
(by AMX to 64: half of all time); LiteRT's builtin AVERAGE_POOL_2D of the shortcuts, one thread
only, 9 %; sums 7 %. Both files share all but the first."""
PACKAGES = ("ai-edge-litert", "tensorflow", "keras")


def export_files(folder):
    """Return the reports of the two files."""
    model, images = settled(bireal_resnet18)
    reports = {}
    for name, each in ((INT8, tfq.Recipe.lsq(8, 8)), (BINARY, recipe())):
        quantized = tfq.quantize_model(model, each, calibration_data=images)
        path = os.path.join(folder, f"{name}.tflite")
        reports[name] = tfq.export_tflite(quantized, path, verify_data=images[:1])
    return reports


def load(path, num_threads):
    """Return a prepared interpreter and the milliseconds that this took."""
    begin = time.perf_counter()
    interpreter = tfq.Interpreter(path, num_threads=num_threads)
    interpreter.allocate_tensors()
    milliseconds = 1e3 * (time.perf_counter() - begin)
    (details,) = interpreter.get_input_details()
    image = np.random.default_rng(0).normal(size=details["shape"]).astype(np.float32)
    interpreter.set_tensor(details["index"], image)
    for _ in range(NUM_WARM_UPS):
        interpreter.invoke()
    return interpreter, milliseconds


def time_in_turns(interpreters, rounds):
    """Return a dict from key to the milliseconds of each round."""
    times = {key: np.empty(rounds) for key in interpreters}
    for index in range(rounds):
        for key, interpreter in interpreters.items():
            begin = time.perf_counter()
            interpreter.invoke()
            times[key][index] = 1e3 * (time.perf_counter() - begin)
    return times


def weight_bytes(report, names):
    """Return the bytes of the kernels of the layers that are binary in the one file."""
    return sum(layer.num_bytes for layer in report.layers if layer.name in names)


def measure(paths, rounds, num_loads):
    """Return the milliseconds of each round, and of each load, by file and threads."""
    keys = [(name, threads) for name in paths for threads in (1, 2)]
    loads = {key: [] for key in keys}
    for _ in range(num_loads):
        interpreters = {}
        for key in keys:
            interpreters[key], milliseconds = load(paths[key[0]], key[1])
            loads[key].append(milliseconds)
    return time_in_turns(interpreters, rounds), loads


def tables(reports, times, loads):
    """Return the table of the files, and that of what was asked."""
    binary = {layer.name for layer in reports[BINARY].layers if layer.num_bits == 1}
    rows = [
        (
            f"{name}, {threads} thread" + "s" * (threads > 1),
            f"{np.median(times[name, threads]):.2f}",
            f"{np.median(times[INT8, threads] / times[name, threads]):.2f}",
            f"{np.median(times[name, 1] / times[name, threads]):.2f}",
            f"{np.median(loads[name, threads]):.0f}",
            f"{reports[name].num_bytes:,}",
            f"{weight_bytes(reports[name], binary):,}",
        )
        for name, threads in times
    ]
    asked = [
        ("binary against int8, 1 thread", LEAST_RATIO, times[INT8, 1] / times[BINARY, 1]),
        ("binary, 2 threads against 1", LEAST_THREAD_RATIO, times[BINARY, 1] / times[BINARY, 2]),
    ]
    yield markdown_table(
        ("file", "ms", "times int8", "times 1 thread", "load ms", "bytes", "kernels"), rows
    )
    yield markdown_table(
        ("ratio", "asked", "measured", ""),
        [
            (what, least, f"{found:.2f}", "met" if found >= least else "not met")
            for what, least, found in ((*each, np.median(ratios)) for *each, ratios in asked)
        ],
    )


def main():
    parser = argparse.ArgumentParser(description="Latency of a binary network.")
    parser.add_argument("--rounds", type=int, default=100, help="timed invocations of each file")
    parser.add_argument("--loads", type=int, default=10, help="timed loads of each file")
    args = parser.parse_args()
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        reports = export_files(folder)
        paths = {name: report.path for name, report in reports.items()}
        for kind, without_amx in kinds_of_int8().items():
            measured = run_apart(measure, paths, args.rounds, args.loads, without_amx=without_amx)
            parts += [f"## With int8 by {kind}", *tables(reports, *measured)]
    write_result(
        "binary_network",
        "A Bi-Real ResNet-18 in LiteRT",
        f"224x224, batch 1, float32 images in, random weights; {args.rounds} invocations in turns, "
        "medians, of times and of the ratios in each round. Loading opens the file, allocates and "
        "repacks. Kernels are the bytes of those layers that are binary in the one file.",
        *parts,
        WHERE_TIME_GOES,
        made_with("python -m benchmarks.binary_network", read_versions(PACKAGES)),
    )


if __name__ == "__main__":
    main()
