"""TensorFlow Lite for Microcontrollers on this machine, run in a process of its own."""

import importlib.util
import io
import subprocess
import sys
from typing import Any

import numpy as np

from tfq_lowbit.targets.findings import Finding
from tfq_lowbit.targets.reading import read_bytes

PACKAGE = "tflite_micro"
EXTRA = "pip install 'tfq_lowbit[tflm]'"
ARENA_BYTES = 64 * 2**20
TIMEOUT_SECONDS = 600
# Reads a .npz with the file and its inputs, writes one with the outputs.
RUN = """
import io, sys
import numpy as np
from tflite_micro import runtime
given = np.load(io.BytesIO(sys.stdin.buffer.read()))
interpreter = runtime.Interpreter.from_bytes(given["model"].tobytes(), arena_size={arena})
count, (inputs, outputs) = int(given["count"]), given["sizes"]
made = [[] for _ in range(outputs)]
for sample in range(count):
    for index in range(inputs):
        interpreter.set_input(given[f"input_{{index}}"][sample : sample + 1], index)
    interpreter.invoke()
    for index in range(outputs):
        made[index].append(interpreter.get_output(index))
written = io.BytesIO()
np.savez(written, **{{f"output_{{index}}": np.concatenate(each) if each else np.zeros(0)
                      for index, each in enumerate(made)}})
sys.stdout.buffer.write(written.getvalue())
"""


def has_micro():
    """Return whether tflite-micro is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def run_micro(path_or_bytes, inputs, num_outputs=1, arena_bytes=ARENA_BYTES):
    """Run a file, written for one sample, on several.

    Args:
        path_or_bytes: path of the file, or its content.
        inputs: for each input an array of samples, of the file's type.
        num_outputs: how many outputs it has.
        arena_bytes: memory for its tensors.

    Returns:
        For each output an array of samples.

    Raises:
        ValueError: if the file cannot be read.
        ImportError: if tflite-micro is not installed.
        RuntimeError: if it refuses the file, with what it said.
    """
    content = read_bytes(path_or_bytes)
    if not has_micro():
        raise ImportError(f"tflite-micro is not installed: {EXTRA}.")
    given = io.BytesIO()
    arrays: dict[str, Any] = {
        f"input_{index}": np.asarray(values) for index, values in enumerate(inputs)
    }
    np.savez(
        given,
        model=np.frombuffer(content, np.uint8),
        count=len(arrays["input_0"]) if arrays else 0,
        sizes=[len(arrays), num_outputs],
        **arrays,
    )
    run = subprocess.run(
        [sys.executable, "-c", RUN.format(arena=arena_bytes)],
        input=given.getvalue(),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
    )
    if run.returncode:
        # Its own messages come before Python's.
        said = run.stderr.decode(errors="replace").partition("Traceback")[0].split("\n")
        reason = " ".join(line.strip() for line in said if line.strip())
        crashed = f"signal {-run.returncode}" if run.returncode < 0 else ""
        raise RuntimeError(f"tflite-micro refuses the file: {reason or crashed or 'no reason'}")
    made = np.load(io.BytesIO(run.stdout))
    return [made[f"output_{index}"] for index in range(num_outputs)]


def find_micro_failure(content):
    """Load a file, if tflite-micro is installed.

    Returns:
        A sentence that says what was done, and a list of at most one `Finding`.
    """
    if not has_micro():
        return f"tflite-micro itself was not run: {EXTRA}.", []
    try:
        run_micro(content, [], num_outputs=0)
    except RuntimeError as error:
        mend = "Replace the layer that it names."
        rule = "tflite-micro must load the file"
        return "tflite-micro was run.", [Finding("", "", rule, str(error).rstrip("."), mend)]
    return "tflite-micro loaded it.", []
