"""Builds the native libraries with CMake, and puts them where the package looks for them.

The TensorFlow ops are built where this Python has TensorFlow. A second run compiles what changed.
The exit status is 77 where a tool is missing, as test drivers expect of what is to be skipped.
"""

import argparse
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MISSING = 77
GOOGLETEST = Path("/usr/src/googletest")
ASK_TENSORFLOW = """
import json, tensorflow as tf
flags = tf.sysconfig.get_compile_flags(), tf.sysconfig.get_link_flags()
print(json.dumps([tf.__version__, *flags]))
"""


def main(arguments=None):
    """Configure, build and install; what fails ends the program with the reason."""
    options = parse(arguments)
    cmake, ninja = find("cmake"), find("ninja")
    if not (os.environ.get("CXX") or any(map(shutil.which, ("c++", "g++", "clang++")))):
        give_up("the native libraries need a C++17 compiler: install g++ or clang++")
    if options.tests and not GOOGLETEST.is_dir():
        give_up(f"the C++ tests need GoogleTest's sources in {GOOGLETEST}: install googletest")
    options.build.mkdir(parents=True, exist_ok=True)
    with (options.build / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two builds in one folder spoil each other
        definitions = tensorflow_definitions(options.build)
        run(
            [cmake, "-S", ROOT / "custom_ops", "-B", options.build, "-G", "Ninja"]
            + [f"-DCMAKE_MAKE_PROGRAM={ninja}"]
            + [f"-DTFQ_WARNINGS_ARE_ERRORS={'OFF' if options.allow_warnings else 'ON'}"]
            + [f"-DTFQ_BUILD_TESTS={'ON' if GOOGLETEST.is_dir() else 'OFF'}"]
            + [f"-DGOOGLETEST_DIR={GOOGLETEST}"]
            + definitions,
            stdout=subprocess.DEVNULL,
        )
        libraries = ["tfq_delegate"] + ["tfq_ops"] * ("-DTFQ_BUILD_TF_OPS=ON" in definitions)
        targets = libraries + ["cpp_tests"] * options.tests
        run([cmake, "--build", options.build, "--target", *targets])
        for target in libraries:
            install(options.build / f"lib{target}.so", options.output)


def parse(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    default_build = ROOT / "build" / "native"
    parser.add_argument("--build", type=Path, default=default_build, help="for objects")
    default_output = ROOT / "tfq_lowbit" / "native"
    parser.add_argument("--output", type=Path, default=default_output, help="for the libraries")
    parser.add_argument("--tests", action="store_true", help="build the C++ tests too")
    parser.add_argument("--allow-warnings", action="store_true", help="of unknown compilers")
    return parser.parse_args(arguments)


def find(tool):
    """Return the path of a tool, first of all beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found = shutil.which(tool, path=path)
    if found is None:
        give_up(f"the native libraries need {tool}: `pip install {tool}`")
    return found


def tensorflow_definitions(build):
    """Return what CMake must know to build for this Python's TensorFlow, asked for once."""
    found = importlib.util.find_spec("tensorflow")
    if found is None or found.origin is None:
        print("TensorFlow is not installed here: its ops are left out.")
        return ["-DTFQ_BUILD_TF_OPS=OFF"]
    answer = build / "tensorflow.json"
    installed = [found.origin, os.stat(found.origin).st_mtime_ns]
    known = json.loads(answer.read_text()) if answer.is_file() else {}
    if known.get("installed") != installed:
        output = run([sys.executable, "-c", ASK_TENSORFLOW], stdout=subprocess.PIPE).stdout
        known = {"installed": installed, "answer": json.loads(output.splitlines()[-1])}
        answer.write_text(json.dumps(known))
    version, compile_flags, link_flags = known["answer"]
    return [
        "-DTFQ_BUILD_TF_OPS=ON",
        f"-DTFQ_TF_VERSION={version}",
        f"-DTFQ_TF_COMPILE_FLAGS={';'.join(compile_flags)}",
        f"-DTFQ_TF_LINK_FLAGS={';'.join(link_flags)}",
    ]


def give_up(reason):
    """End the program for want of a tool."""
    print(f"error: {reason}", file=sys.stderr)
    sys.exit(MISSING)


def run(command, **options):
    """Run a command; end the program if it fails."""
    result = subprocess.run([str(part) for part in command], text=True, **options)
    if result.returncode:
        sys.exit(f"error: {Path(command[0]).name} failed to build the native libraries, see above")
    return result


def install(library, folder):
    """Put a library in its folder, so that programs which have loaded the old one keep it."""
    target = folder / library.name
    if target.is_file() and target.read_bytes() == library.read_bytes():
        return
    folder.mkdir(parents=True, exist_ok=True)
    copy = target.with_suffix(f".{os.getpid()}")
    shutil.copyfile(library, copy)
    copy.replace(target)
    print(f"Built {target}")


if __name__ == "__main__":
    main()
