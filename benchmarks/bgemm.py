"""Throughput of packed products beside a bare loop of XOR, POPCNT and ADD on the same core.

The bare loop (`bgemm.cc`) counts in registers and loads nothing. On AVX-512 it is the most that
three operations for 512 products allow; on AVX2, which has no POPCNT of vectors, it is the usual
count by VPSHUFB. Ours is the dense layer with 196 rows and 256 outputs, packed in and out.

    python -m benchmarks.bgemm

needs a C++17 compiler (`CXX`, or c++).
"""

import os
import pathlib
import subprocess
import tempfile

from benchmarks.report import describe_machine, markdown_table, write_result

ROOT = pathlib.Path(__file__).parents[1]
FLAGS = "-std=c++17 -O3 -ffp-contract=off -pthread".split()  # those of CMake's release


def find_compiler():
    return os.environ.get("CXX", "c++")


def compiler_version():
    return subprocess.check_output([find_compiler(), "--version"], text=True).splitlines()[0]


def compile_program(folder):
    """Return the path of the compiled benchmark."""
    program = pathlib.Path(folder) / "bgemm"
    sources = [
        ROOT / "benchmarks" / "bgemm.cc",
        *sorted((ROOT / "custom_ops/kernels").glob("*.cc")),
    ]
    command = [find_compiler(), *FLAGS, "-I", ROOT / "custom_ops", *sources, "-o", program]
    subprocess.run(command, check=True)
    return program


def main():
    with tempfile.TemporaryDirectory() as folder:
        lines = subprocess.check_output([compile_program(folder)], text=True).splitlines()
    rows = []
    for line in lines:
        isa, bits, bare, ours, ratio = line.split()
        rows.append((isa, bits, bare, ours, f"{float(ratio):.0%}"))
    write_result(
        "bgemm",
        "Packed products beside a bare loop of XOR, POPCNT and ADD",
        "GMAC/s of one thread, medians of rounds in turns. 196 rows of k bits times 256 outputs, "
        "packed in and out, through the convolution's driver; the bare loop counts in registers. "
        "Ours passes the bare loop of AVX2 because it looks products up four bits at a time: two "
        "operations for 128 products, not eight for 256.",
        markdown_table(("ISA", "k", "bare loop", "bgemm", "of the bare loop"), rows),
        f"`python -m benchmarks.bgemm`\n\n{describe_machine()}; {compiler_version()}.",
    )


if __name__ == "__main__":
    main()
