"""Builds the package; metadata is in pyproject.toml, CMake builds the native libraries."""

import subprocess
import sys
from pathlib import Path

from setuptools import Command, Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
NATIVE = Path("tfq_lowbit", "native")


class BuildNative(Command):
    """Builds the delegate, and the TensorFlow ops where this Python has TensorFlow.

    The package works without them, in plain TensorFlow, and says so where one is needed: a machine
    without a C++ compiler installs it nevertheless.
    """

    description = "build the native libraries"
    user_options: list = []

    def initialize_options(self):
        self.build_lib = None
        self.build_temp = None
        self.editable_mode = False  # set by setuptools: build into the source tree

    def finalize_options(self):
        self.set_undefined_options(
            "build", ("build_lib", "build_lib"), ("build_temp", "build_temp")
        )

    def run(self):
        command = [sys.executable, str(ROOT / "scripts" / "build_native.py")]
        if not self.editable_mode:
            command += ["--allow-warnings", "--output", str(self._output())]
            command += ["--build", str(Path(self.build_temp, "native").resolve())]
        if subprocess.run(command).returncode:
            print("warning: the native libraries are left out, see above", file=sys.stderr)

    def get_source_files(self):
        return [str(p.relative_to(ROOT)) for p in (ROOT / "custom_ops").rglob("*") if p.is_file()]

    def get_outputs(self):
        return [str(path) for path in self._output().glob("*.so")]

    def get_output_mapping(self):
        return {}

    def _output(self):
        return ROOT / NATIVE if self.editable_mode else Path(self.build_lib) / NATIVE


class PlatformDistribution(Distribution):
    """Makes wheels of this platform, as the libraries are."""

    def has_ext_modules(self):
        return True


class BuildWheel(bdist_wheel):
    """Makes wheels for any Python: the libraries know none."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


build.sub_commands.append(("build_native", None))
setup(
    cmdclass={"build_native": BuildNative, "bdist_wheel": BuildWheel},
    distclass=PlatformDistribution,
)
