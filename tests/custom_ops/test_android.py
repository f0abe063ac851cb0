"""The delegate for Android, as the linker of a phone would see it; nothing here runs it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ANDROID = ROOT / "custom_ops" / "android"
TARGET = "--target=aarch64-linux-android21"
ENTRY_POINTS = {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"}
PAGE = 16384  # bytes; the larger of the two that phones have
MAX_BYTES = 300_000
TOOLS = ("cmake", "clang", "clang++", "ld.lld", "readelf")

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}"
)


def build(folder, **environment):
    """Builds the delegate into a folder, without an NDK unless the environment names one."""
    environment = {k: v for k, v in os.environ.items() if k != "ANDROID_NDK_HOME"} | environment
    command = [ROOT / "scripts" / "android", folder]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder / "libtfq_delegate.so"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("android")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def library(folder):
    return folder / "libtfq_delegate.so"


def readelf(library, *options):
    command = ["readelf", "--wide", *options, library]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def dynamic_entries(library):
    """Returns a dict from tag to its values in the dynamic section."""
    entries = {}
    for tag, value in re.findall(
        r"^ 0x\w+ \((\w+)\)\s+(.*?)\s*$", readelf(library, "--dynamic"), flags=re.MULTILINE
    ):
        name = re.search(r"\[(.*)\]", value)
        entries.setdefault(tag, []).append(name[1] if name else value)
    return entries


def dynamic_symbols(library):
    """Returns (names that the library asks for, names that it gives)."""
    asked, given = set(), set()
    for line in readelf(library, "--dyn-syms").splitlines():
        columns = line.split()
        if len(columns) == 8 and columns[0][:-1].isdigit() and columns[0] != "0:":
            (asked if columns[6] == "UND" else given).add(columns[7])
    return asked, given


def names_of_libc():
    """Returns a dict from header to the names that the list gives it."""
    names, header = {}, None
    for line in (ANDROID / "libc_symbols.txt").read_text().splitlines():
        if match := re.fullmatch(r"# (\w+\.h)", line):
            header = names.setdefault(match[1], set())
        elif line and not line.startswith("#"):
            header.add(line)
    return names


def test_it_needs_libc_so_and_no_other_library(library):
    entries = dynamic_entries(library)
    assert entries["NEEDED"] == ["libc.so"]
    assert entries["SONAME"] == ["libtfq_delegate.so"]


def test_it_asks_for_no_version_of_a_symbol(library):
    # Glibc names versions that Android does not know.
    assert not {"VERNEED", "VERSYM", "VERDEF"} & set(dynamic_entries(library))


def test_everything_it_asks_for_is_in_the_list_of_what_the_libc_exports(library):
    asked, _ = dynamic_symbols(library)
    assert {"malloc", "pthread_create"} <= asked
    assert asked <= set().union(*names_of_libc().values())


def test_it_gives_the_two_entry_points_and_nothing_else(library):
    assert dynamic_symbols(library)[1] == ENTRY_POINTS


def test_it_is_arm64_code_that_the_linker_of_android_takes(library):
    assert re.search(r"Machine:\s+AArch64", readelf(library, "--file-header"))
    segments = readelf(library, "--segments")
    loads = re.findall(r"^  LOAD .* (0x\w+)$", segments, flags=re.MULTILINE)
    assert loads and all(int(alignment, 16) % PAGE == 0 for alignment in loads)
    assert "RWE" not in segments
    # Thread-local variables came with API level 29, relocated text is refused.
    assert "TLS" not in segments
    entries = dynamic_entries(library)
    assert "TEXTREL" not in entries
    assert {"HASH", "GNU_HASH"} <= set(entries)  # the second is not read before API level 23


def test_it_is_small(library):
    assert library.stat().st_size < MAX_BYTES


def test_a_name_outside_the_list_does_not_link(folder, tmp_path):
    source = tmp_path / "source.cc"
    source.write_text('extern "C" void* aligned_alloc(long, long);\nvoid* p = aligned_alloc(8, 8);')
    command = ["clang++", TARGET, "-shared", "-fPIC", "-nostdlib", "-fuse-ld=lld", source]
    command += ["-Wl,--no-undefined", f"-L{folder / 'stubs'}", "-lc", "-o", tmp_path / "x.so"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0
    assert "undefined symbol: aligned_alloc" in result.stderr


def test_the_headers_declare_what_the_list_names():
    declaration = re.compile(
        r"^(?:extern \"C\" |\[\[noreturn\]\] )?[a-z][\w *]*?(\w+)\(", re.MULTILINE
    )
    declared = {
        path.name: set(declaration.findall(path.read_text()))
        for path in (ANDROID / "include").glob("*.h")
    }
    assert declared == names_of_libc()


def test_an_ndk_builds_it_by_its_own_toolchain_file(folder, tmp_path):
    # A folder that looks like an NDK: it notes what it was asked for and builds as we do without.
    cmake = tmp_path / "ndk" / "build" / "cmake"
    cmake.mkdir(parents=True)
    (cmake / "android.toolchain.cmake").write_text(
        f'file(WRITE {tmp_path}/asked "${{ANDROID_ABI}} ${{ANDROID_PLATFORM}} ${{ANDROID_STL}}")\n'
        "unset(ENV{ANDROID_NDK_HOME})\n"
        f"set(TFQ_ANDROID_STUBS {folder / 'stubs'})\n"
        f"include({ROOT}/custom_ops/cmake/android.cmake)\n"
    )
    library = build(tmp_path / "out", ANDROID_NDK_HOME=str(tmp_path / "ndk"))
    assert (tmp_path / "asked").read_text() == "arm64-v8a android-21 none"
    assert dynamic_entries(library)["NEEDED"] == ["libc.so"]
