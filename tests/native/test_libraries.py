import subprocess
from pathlib import Path

import pytest

from tfq_lowbit.native import delegate_path, libraries, library_path

MAX_BYTES = 300_000
# What a C library has everywhere, Android's too.
LIBC = {
    "calloc",
    "clock_gettime",
    "free",
    "getenv",
    "malloc",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "posix_memalign",
    "sched_yield",
    "snprintf",
    "strcmp",
    "strlen",
    "vsnprintf",
}


def dynamic_symbols(*options):
    command = ["nm", "--dynamic", "--format=posix", *options, delegate_path()]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split()[:2] for line in output.splitlines()]


def test_a_library_that_is_not_built_says_how_to_build_it(tmp_path, monkeypatch):
    monkeypatch.setattr(libraries, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="libtfq_delegate.so is not built: `make native`"):
        delegate_path()
    (tmp_path / "libother.so").touch()
    assert library_path("libother.so") == str(tmp_path / "libother.so")


def test_the_delegate_is_one_small_file():
    assert 0 < Path(delegate_path()).stat().st_size < MAX_BYTES


def test_the_delegate_exports_its_two_functions_and_nothing_else():
    names = {name for name, _ in dynamic_symbols("--defined-only")}
    assert names == {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"}


def test_the_delegate_needs_plain_functions_of_the_c_library_only():
    # Weak ones (w) are the compiler's and may be missing.
    needed = {name.partition("@")[0] for name, kind in dynamic_symbols("-u") if kind != "w"}
    threads = {name for name in needed if name.startswith("pthread_")}
    assert "malloc" in needed and "pthread_create" in threads
    assert needed - threads <= LIBC


def test_the_delegate_needs_no_library_but_the_c_library():
    command = ["readelf", "--dynamic", delegate_path()]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    needed = [line for line in output.splitlines() if "(NEEDED)" in line]
    assert needed and all("[libc.so" in line or "[libpthread.so" in line for line in needed)
