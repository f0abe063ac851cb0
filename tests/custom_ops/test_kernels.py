"""The C++ tests of kernels and delegate, one a file."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.absent import skip_without

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "build_native.py"
TESTS = sorted(path.stem for path in (ROOT / "custom_ops" / "tests").glob("*_test.cc"))
MISSING = 77  # the script's status where a tool is missing


@pytest.fixture(scope="module")
def build():
    """The folder in which the tests are built, as `make native` builds the libraries."""
    folder = ROOT / "build" / "native"
    command = [sys.executable, SCRIPT, "--tests", "--build", folder]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == MISSING:
        skip_without(result.stderr)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_there_are_tests():
    assert TESTS


@pytest.mark.parametrize("name", TESTS)
def test_cpp(build, name):
    result = subprocess.run([build / name], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[  PASSED  ]" in result.stdout
