"""The kernels for 64-bit Arm: what their inner loops are made of, and all tests under emulation."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import neon_throughput
from tests.custom_ops import arm64_case, arm64_run
from tfq_lowbit.native.delegate import delegate_path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "arm64"
EMULATION = ("cmake", "aarch64-linux-gnu-g++", "qemu-aarch64-static", "debootstrap", "clang")
LEAST_OF_BOUND = 0.95  # what is left is for the two numbers of rows and for spills of ternary loops


def needs(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


@pytest.fixture(scope="module", params=list(neon_throughput.COMPILERS))
def loops(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("neon")
    return neon_throughput.find_loops(neon_throughput.compile_kernel(request.param, folder))


@needs("aarch64-linux-gnu-g++", "aarch64-linux-gnu-objdump", "clang++")
def test_inner_loops_count_128_products_with_three_instructions_and_ternary_ones_with_four(loops):
    assert sorted((loop.is_ternary, loop.products) for loop in loops) == [
        (False, 1024),
        (False, 2048),
        (True, 1024),
        (True, 2048),
    ]
    for loop in loops:
        assert loop.counts["eor v"] == loop.counts["cnt v"] == loop.counts["add v"]
        assert loop.counts["and v"] == (loop.counts["cnt v"] if loop.is_ternary else 0)
        assert loop.bound == pytest.approx(256 / (4 if loop.is_ternary else 3))


@needs("aarch64-linux-gnu-g++", "aarch64-linux-gnu-objdump", "clang++", "llvm-mca")
def test_inner_loops_are_near_the_bound_of_two_vector_pipes(loops):
    for loop in loops:
        cycles, description = neon_throughput.simulate(loop, "neoverse-n1")
        if description != "N1":
            pytest.skip("this llvm-mca has no description of the core")
        assert loop.products / cycles >= LEAST_OF_BOUND * loop.bound


def test_the_case_for_the_emulated_runtime_agrees_with_the_reference_here(tmp_path):
    arm64_case.main(tmp_path)
    arm64_run.main(tmp_path, delegate_path(), "portable")


def test_the_case_for_the_emulated_runtime_tells_wrong_values(tmp_path):
    arm64_case.main(tmp_path)
    with np.load(tmp_path / "expected.npz") as arrays:
        changed = dict(arrays)
    changed["output_3"][0, 1, 2, 3] += 1
    np.savez(tmp_path / "expected.npz", **changed)
    with pytest.raises(AssertionError, match=r"1 of \d+ values of output 3 differ"):
        arm64_run.main(tmp_path, delegate_path(), "portable")


@pytest.mark.slow
@needs(*EMULATION)
def test_all_holds_under_emulation():
    # The network is off in tests: what is downloaded must be there.
    if not (ROOT / "build" / "arm64" / "site" / "wanted").is_file():
        pytest.skip("`make arm64` has not run here")
    result = subprocess.run([SCRIPT], env=os.environ, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "100% tests passed" in result.stdout
    agreed = re.findall(r"^(\w+), (\d) threads: \d+ values .* agree$", result.stdout, re.MULTILINE)
    libraries = 2  # for Linux, for Android
    assert agreed == libraries * [
        ("neon", "1"),
        ("neon", "2"),
        ("portable", "1"),
        ("portable", "2"),
    ]
