"""How the native libraries are built and installed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
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


def test_a_second_build_has_nothing_to_do():
    build()
    result = build()
    assert result.returncode == 0, result.stderr
    assert "no work to do" in result.stdout
    assert "Built" not in result.stdout


def build_wheel(folder, **environment):
    """Builds a wheel from a copy of the sources; returns the names in it and what was said."""
    source = folder / "source"
    shutil.copytree(ROOT / "custom_ops", source / "custom_ops")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "scripts/build_native.py"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "tfq_lowbit", source / "tfq_lowbit", ignore=ignore)
    code = "from setuptools import build_meta; build_meta.build_wheel('wheels')"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = (source / "wheels").glob("*.whl")
    assert wheel.name.endswith(f"-py3-none-{sysconfig.get_platform().replace('-', '_')}.whl")
    return set(zipfile.ZipFile(wheel).namelist()), result.stderr


def test_without_a_compiler_the_package_installs_without_libraries_and_says_so(no_tools, tmp_path):
    names, said = build_wheel(tmp_path, PATH=no_tools, CXX="")
    assert "tfq_lowbit/native/libraries.py" in names
    assert not [name for name in names if name.endswith(".so")]
    assert "error: the native libraries need a C++17 compiler" in said
    assert "warning: the native libraries are left out" in said


@pytest.mark.slow
def test_a_wheel_holds_the_libraries(tmp_path):
    names, said = build_wheel(tmp_path)
    libraries = {name for name in names if name.endswith(".so")}
    assert libraries == {f"tfq_lowbit/native/libtfq_{name}.so" for name in ("delegate", "ops")}
    assert "left out" not in said
