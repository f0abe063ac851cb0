"""Time and memory of an export against the stock converter's float conversion.

MobileNetV2 at 224 with random weights: `tfq.export_tflite` of the W4A8 model, with its verification
on four random images, against `tf.lite.TFLiteConverter` of the float model. Each measurement is
the first export of a fresh process that has loaded its model; processes alternate, and a ratio is
that of the medians. Memory is the peak resident set of the process.

    python -m benchmarks.export_time
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import tfq_lowbit as tfq
from benchmarks.networks import mobilenet_v2, settled
from benchmarks.report import made_with, markdown_table, read_versions, write_result

LARGEST_RATIO = 1.5
STOCK, OURS = "stock float conversion", "export W4A8"
MODELS = {STOCK: "float.keras", OURS: "quantized.keras"}
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")


def save_models(folder):
    """Write the float model and its W4A8 copy, which every process starts from."""
    model, images = settled(mobilenet_v2)
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(4, 8), images)
    model.save(os.path.join(folder, "float.keras"))
    quantized.save(os.path.join(folder, "quantized.keras"))


def convert(name, model, path):
    """Export in the way called `name`."""
    if name == STOCK:
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        with open(path, "wb") as file:
            file.write(content)
    else:
        tfq.export_tflite(model, path)


def measure_here(name, folder):
    """Load the model of `name`, export it once, and print what it took as JSON."""
    model = keras.models.load_model(os.path.join(folder, MODELS[name]))
    path = os.path.join(folder, "model.tflite")
    before = peak_megabytes()
    start = time.perf_counter()
    convert(name, model, path)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "seconds": seconds,
                "megabytes_before": before,
                "megabytes": peak_megabytes(),
                "bytes": os.path.getsize(path),
            }
        )
    )


def peak_megabytes():
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    except OSError:
        # Kilobytes, bytes on macOS. On Linux it would count the parent's memory before exec too.
        unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e6


def measure(folder, rounds):
    """Return a dict from name to its measurements, taken in turns."""
    measured = {name: [] for name in MODELS}
    for index in range(rounds):
        for name in list(MODELS) if index % 2 else list(reversed(MODELS)):
            command = [sys.executable, "-m", "benchmarks.export_time"]
            command += ["--measure", name, "--folder", folder]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            measured[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{name}: {measured[name][-1]['seconds']:.1f} s", flush=True)
    return measured


def write_report(measured, rounds):
    def median(name, key):
        return statistics.median(each[key] for each in measured[name])

    rows = []
    for name, each in measured.items():
        seconds = sorted(row["seconds"] for row in each)
        rows.append(
            (
                name,
                f"{median(name, 'seconds'):.2f}",
                f"{seconds[0]:.2f} to {seconds[-1]:.2f}",
                f"{median(name, 'seconds') / median(STOCK, 'seconds'):.2f}",
                f"{median(name, 'megabytes_before'):.0f}",
                f"{median(name, 'megabytes'):.0f}",
                f"{each[0]['bytes']:,}",
            )
        )
    ratio = median(OURS, "seconds") / median(STOCK, "seconds")
    verdict = "met" if ratio <= LARGEST_RATIO else "not met"
    headings = ("MobileNetV2 (224)", "s, median", "s, range", "x stock", "MB before", "MB peak")
    write_result(
        "export_time",
        "Time and memory of an export",
        f"Export of MobileNetV2 (224, random weights), {rounds} fresh processes each, in turns; "
        "MB are the peak resident set of the process before the export (model loaded) and after. "
        "Ours includes the verification of the file on four images.",
        markdown_table((*headings, "bytes"), rows),
        f"Asked: at most {LARGEST_RATIO} times the stock conversion. Measured: {ratio:.2f} times, "
        f"{verdict}.",
        made_with("python -m benchmarks.export_time", read_versions(PACKAGES)),
    )


def main():
    parser = argparse.ArgumentParser(description="Time and memory of an export.")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each row")
    parser.add_argument("--measure", choices=list(MODELS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure_here(args.measure, args.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        save_models(folder)
        write_report(measure(folder, args.rounds), args.rounds)


if __name__ == "__main__":
    main()
