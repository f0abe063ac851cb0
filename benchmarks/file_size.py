"""Bytes of exported files by width, against the stock converter's files, and where they go.

Networks with random weights, exported for the smallest file, first and last layers at 8 bits. The
stock files are the converter's float file and its full-integer int8 file (calibrated). Latencies
are LiteRT's with one thread, the files of a network in turns.

    python -m benchmarks.file_size
"""

import argparse
import collections
import os
import statistics
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

import tfq_lowbit as tfq
from benchmarks import networks
from benchmarks.report import made_with, markdown_table, read_versions, write_result

NETWORKS = {
    "dense 784-1024-1024-1024-10": networks.dense_network,
    "ResNet-18 (224)": networks.resnet18,
    "VGG-16 (64)": networks.vgg16,
    "MobileNetV2 (224)": networks.mobilenet_v2,
}
LARGEST_RATIO = 0.55  # asked of a model that is mostly weights
BASE, PACKED, PACKED_ALL = "W8A8", "W4A8", "W4A8, first and last too"
RECIPES = {
    BASE: tfq.Recipe.lsq(8, 8),
    PACKED: tfq.Recipe.lsq(4, 8),
    PACKED_ALL: tfq.Recipe.lsq(4, 8, first_last_bits=None),
    "W2A8": tfq.Recipe.lsq(2, 8),
}
KERNELS = {
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
}
PARTS = ("weights", "biases", "scales, zero points", "rest")
# Bytes of a scale and a zero point, each one a channel in the file format.
SCALE_BYTES, ZERO_POINT_BYTES = 4, 8
PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")


def stock_float(model):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def stock_int8(model, images):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return converter.convert()


def export(model, recipe, images, prefer="size"):
    quantized = tfq.quantize_model(model, recipe, images)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        tfq.export_tflite(quantized, path, prefer=prefer, verify_data=images[:1])
        with open(path, "rb") as file:
            return file.read()


def make_files(build):
    """Return a dict from name to the bytes of a file."""
    model, images = networks.settled(build)
    files = {"stock float": stock_float(model), "stock int8": stock_int8(model, images)}
    for name, recipe in RECIPES.items():
        files[name] = export(model, recipe, images)
    files[f'{PACKED}, prefer="speed"'] = export(model, RECIPES[PACKED], images, "speed")
    return files


def count_parts(content):
    """Return a dict from part to bytes; "rest" is operators, tensors, names and alignment."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    parts, seen = collections.Counter(), set()
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            if max(code.builtinCode, code.deprecatedBuiltinCode) not in KERNELS:
                continue
            for part, index in zip(PARTS, operator.inputs[1:3]):
                buffer = subgraph.tensors[index].buffer
                if index >= 0 and buffer not in seen:
                    seen.add(buffer)
                    parts[part] += len(model.buffers[buffer].data)
        for tensor in subgraph.tensors:
            quantization = tensor.quantization
            if quantization is not None and quantization.scale is not None:
                parts["scales, zero points"] += SCALE_BYTES * len(quantization.scale)
                parts["scales, zero points"] += ZERO_POINT_BYTES * len(quantization.zeroPoint)
    parts["rest"] = len(content) - sum(parts.values())
    return parts


def time_files(files, rounds, repetitions=5):
    """Return a dict from name to the median of blocks taken in turns, in milliseconds."""
    times = {name: [] for name in files}
    for _ in range(rounds):
        for name, content in files.items():
            timing = tfq.benchmark(content, 1, repetitions, warmup=2)
            times[name].append(timing.median_ms)
    return {name: statistics.median(each) for name, each in times.items()}


def rows_of(files, milliseconds):
    rows = []
    for name, content in files.items():
        parts = count_parts(content)
        rows.append(
            (
                name,
                f"{len(content):,}",
                f"{len(content) / len(files[BASE]):.3f}",
                *(f"{parts[part]:,}" for part in PARTS),
                f"{milliseconds[name]:.2f}",
            )
        )
    return rows


def verdict_of(name, files):
    """Return a row: the two ratios, and how much of the weights the first of them packs."""
    weights = {each: count_parts(files[each])["weights"] for each in (BASE, PACKED)}
    packed = 2 * (weights[BASE] - weights[PACKED]) / weights[BASE]
    ratios = [len(files[each]) / len(files[BASE]) for each in (PACKED, PACKED_ALL)]
    verdicts = ["met" if ratio <= LARGEST_RATIO else "not met" for ratio in ratios]
    cells = [f"{ratio:.3f}, {verdict}" for ratio, verdict in zip(ratios, verdicts, strict=True)]
    return name, f"{packed:.0%}", *cells


def main():
    parser = argparse.ArgumentParser(description="Bytes of exported files.")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=7, help="blocks of each file's timing")
    args = parser.parse_args()
    sections, verdicts = [], []
    for name in args.networks:
        print(f"{name} ...", flush=True)
        files = make_files(NETWORKS[name])
        rows = rows_of(files, time_files(files, args.rounds))
        table = markdown_table(("file", "bytes", f"x {BASE}", *PARTS, "ms"), rows)
        sections.append(f"## {name}\n\n{table}")
        verdicts.append(verdict_of(name, files))
    headings = ("network", "of its weights at 4 bits", PACKED, PACKED_ALL)
    write_result(
        "file_size",
        "Bytes of exported files",
        "First and last layers at 8 bits where not said otherwise; packed weights for the smallest "
        'file (`prefer="size"`) where not said otherwise. The parts are bytes; "rest" is '
        "operators, tensors, names and alignment. Latency is LiteRT's, one thread, median.",
        f"The file as a fraction of the {BASE} file; asked of a model that is mostly weights: at "
        f"most {LARGEST_RATIO}. Depthwise kernels stay in int8, and so do first and last layers in "
        "the first of the two columns: where they hold much of the weights, the file cannot halve.",
        markdown_table(headings, verdicts),
        *sections,
        made_with("python -m benchmarks.file_size", read_versions(PACKAGES)),
    )


if __name__ == "__main__":
    main()
