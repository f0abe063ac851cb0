"""How the native libraries are built and installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "build_native.py"


def build(*arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def no_tools(tmp_path):
    """A folder of programs in which there is none."""
    return str(tmp_path)


def test_a_missing_compiler_is_named(no_tools, tmp_path):
    result = build("--build", str(tmp_path / "build"), PATH=no_tools, CXX="")
    assert result.returncode == 77
    assert "need a C++17 compiler: install g++ or clang++" in result.stderr
    assert not (tmp_path / "build").exists()
