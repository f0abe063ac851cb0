"""Weights as an Ethos-U reads them: Vela's coding of codes of 8, 4 and 2 bits.

The NPU takes int8 weights only, so that the files are alike in size; Vela compresses the stream of
weights, and few levels compress well. Cycles are Vela's estimate for the Ethos-U55-128 with its
default memories.

    python -m benchmarks.ethos_u
"""

import argparse
import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfq_lowbit as tfq
from benchmarks import networks
from benchmarks.report import made_with, markdown_table, read_versions, write_result

NETWORKS = {
    "ResNet-18 (224)": networks.resnet18,
    "MobileNetV2 (224)": networks.mobilenet_v2,
}
WIDTHS = (8, 4, 2)
ACCELERATOR = "ethos-u55-128"
PACKAGES = ("ethos-u-vela", "tensorflow", "keras", "ai-edge-litert", "numpy")


def compile_at(model, images, weight_bits):
    """Return Vela's result for all layers at a width, and the bytes of the file before."""
    recipe = tfq.Recipe.lsq(weight_bits, 8, first_last_bits=None)
    quantized = tfq.quantize_model(model, recipe, images)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        report = tfq.export_tflite(quantized, path, target="ethos-u", verify_data=images[:1])
        return tfq.compile_with_vela(path, ACCELERATOR), report


def row_of(name, weight_bits, result, report):
    assert result.is_on_npu and report.fidelity.is_exact
    stored = result.original_weight_bytes
    return (
        f"{name}, W{weight_bits}A8",
        f"{report.num_bytes:,}",
        f"{stored:,}",
        f"{result.encoded_weight_bytes:,}",
        f"{8 * result.encoded_weight_bytes / stored:.2f}",
        f"{len(result.content):,}",
        f"{result.cycles / 1e6:.2f}",
    )


def main():
    parser = argparse.ArgumentParser(description="Weights as an Ethos-U reads them.")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    args = parser.parse_args()
    rows = []
    for name in args.networks:
        model, images = networks.settled(NETWORKS[name])
        for weight_bits in WIDTHS:
            print(f"{name}, {weight_bits} bits ...", flush=True)
            rows.append(row_of(name, weight_bits, *compile_at(model, images, weight_bits)))
    headings = (
        *("network", "file", "weights in it", "weights encoded", "bits a weight"),
        *("compiled file", "million cycles"),
    )
    write_result(
        "ethos_u",
        "Weights on an Ethos-U",
        "Files for target `ethos-u`: codes of every width stored as int8, all layers at the same "
        f"width, random weights. Vela compiles each into one `ethos-u` operator for {ACCELERATOR}; "
        "sizes are bytes, cycles Vela's estimate of an inference.",
        markdown_table(headings, rows),
        made_with("python -m benchmarks.ethos_u", read_versions(PACKAGES)),
    )


if __name__ == "__main__":
    main()
