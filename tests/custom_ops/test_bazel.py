"""BUILD.bazel and CMakeLists.txt name the same sources, options and tests."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CUSTOM_OPS = ROOT / "custom_ops"
CMAKE = (CUSTOM_OPS / "CMakeLists.txt").read_text()
NEEDED = ("bazel", "g++")


def files(*patterns):
    """Returns the files of custom_ops that match."""
    return {
        str(path.relative_to(CUSTOM_OPS)) for each in patterns for path in CUSTOM_OPS.glob(each)
    }


def load_targets():
    """Returns a dict from name to the arguments of each target: BUILD files read as Python."""
    targets = {}

    def add(rule):
        return lambda name, **arguments: targets.update({name: arguments | {"rule": rule}})

    names = {rule: add(rule) for rule in ("cc_library", "cc_binary", "cc_test")}
    names |= {name: lambda *args, **kwargs: None for name in ("load", "package", "licenses")}
    names["glob"] = lambda include: sorted(files(*include))
    exec((CUSTOM_OPS / "BUILD.bazel").read_text(), names)
    return targets


TARGETS = load_targets()


def cmake_files(variable):
    """Returns what a `file(GLOB variable ...)` of CMakeLists.txt finds."""
    patterns = re.search(rf"file\(GLOB {variable} CONFIGURE_DEPENDS ([^)]+)\)", CMAKE)[1]
    return files(*patterns.split())


def cmake_list(variable):
    """Returns the words of a `set(variable ...)` of CMakeLists.txt."""
    return re.search(rf"set\({variable} ([^)]+)\)", CMAKE)[1].split()


@pytest.mark.parametrize(
    "target, variable", [("tfq_kernels", "kernel_sources"), ("tfq_tflite", "delegate_sources")]
)
def test_libraries_have_the_sources_that_cmake_finds(target, variable):
    assert len(cmake_files(variable)) > 5
    assert set(TARGETS[target]["srcs"]) == cmake_files(variable)


def test_there_is_a_test_for_each_that_cmake_finds():
    tests = {name: target for name, target in TARGETS.items() if target["rule"] == "cc_test"}
    sources = cmake_files("test_sources")
    assert {Path(each).stem for each in sources} == set(tests)
    for name, target in tests.items():
        assert set(target["srcs"]) == {f"tests/{name}.cc"} | files("tests/*.h")


@pytest.mark.parametrize("target", ["tfq_kernels", "tfq_tflite"])
def test_sources_are_compiled_with_the_options_of_cmake(target):
    wanted = {*cmake_list("TFQ_FLAGS"), *cmake_list("TFQ_FREESTANDING")}
    assert "-ffp-contract=off" in wanted
    assert wanted <= set(TARGETS[target]["copts"])
    assert "-std=c++17" in TARGETS[target]["copts"]


def test_tests_are_linked_with_the_options_of_cmake():
    in_cmake = dict(re.findall(r"target_link_options\((\w+_test) PRIVATE ([^)]+)\)", CMAKE))
    in_bazel = {
        name: " ".join(target["linkopts"])
        for name, target in TARGETS.items()
        if target["rule"] == "cc_test" and target["linkopts"]
    }
    assert in_bazel == in_cmake


def test_the_module_has_the_version_of_the_package():
    package = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f'version = "{package[1]}",' in (ROOT / "MODULE.bazel").read_text()


def test_the_module_names_every_repository_that_targets_use():
    used = set(re.findall(r'"@(\w+)//', (CUSTOM_OPS / "BUILD.bazel").read_text()))
    module = (ROOT / "MODULE.bazel").read_text()
    assert used == set(re.findall(r'bazel_dep\(name = "(\w+)"', module))


@pytest.mark.slow
@pytest.mark.skipif(
    any(shutil.which(each) is None for each in NEEDED), reason=f"needs {', '.join(NEEDED)}"
)
def test_bazel_builds_the_delegate_and_passes_the_tests():
    result = subprocess.run([ROOT / "scripts" / "bazel"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    passed = set(re.findall(r"^//custom_ops:(\w+_test) .*PASSED", result.stdout, re.MULTILINE))
    assert passed == {name for name, each in TARGETS.items() if each["rule"] == "cc_test"}
    delegate = ROOT / "build" / "bazel" / "workspace" / "bazel-bin" / "custom_ops"
    assert (delegate / "libtfq_delegate.so").is_file()
