"""Arm's Vela compiler, run in a process of its own: it may crash."""

import csv
import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tfq_lowbit.targets.findings import Finding
from tfq_lowbit.targets.reading import read_bytes, read_file

PACKAGE = "ethosu"
EXTRA = "pip install 'tfq_lowbit[ethos-u]'"
NPU_OPERATOR = "ethos-u"
TIMEOUT_SECONDS = 600
COMPILE = "import sys; from ethosu.vela.vela import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class VelaResult:
    """What Vela made of a file.

    Attributes:
        content: the compiled file.
        operators: names of its operators: one "ethos-u" where all runs on the NPU.
        accelerator: what it was compiled for.
        original_weight_bytes: bytes of the weights that were given.
        encoded_weight_bytes: bytes of the weights as the NPU reads them.
        cycles: estimated cycles of an inference.
    """

    content: bytes
    operators: tuple[str, ...]
    accelerator: str
    original_weight_bytes: int
    encoded_weight_bytes: int
    cycles: float

    @property
    def is_on_npu(self):
        """Whether nothing is left to the CPU."""
        return self.operators == (NPU_OPERATOR,)


def has_vela():
    """Return whether Vela is installed."""
    return importlib.util.find_spec(PACKAGE) is not None


def compile_with_vela(path_or_bytes, accelerator="ethos-u55-128", timeout=TIMEOUT_SECONDS):
    """Compile a .tflite file for an Ethos-U.

    Args:
        path_or_bytes: path of the file, or its content.
        accelerator: name of the NPU's configuration, "ethos-u55-32" to "ethos-u85-2048".
        timeout: seconds until it is given up.

    Returns:
        A `VelaResult`.

    Raises:
        ValueError: if the file cannot be read.
        ImportError: if Vela is not installed.
        RuntimeError: if it fails or crashes, with what it said.
    """
    content = read_bytes(path_or_bytes)
    if not has_vela():
        raise ImportError(f"Vela is not installed: {EXTRA} (ethos-u-vela on PyPI).")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model.tflite")
        source.write_bytes(content)
        arguments = [str(source), "--accelerator-config", accelerator, "--output-dir", folder]
        try:
            run = subprocess.run(
                [sys.executable, "-c", COMPILE, *arguments],
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"Vela did not end in {timeout} seconds.") from error
        compiled = Path(folder, "model_vela.tflite")
        if run.returncode or not compiled.is_file():
            crashed = f"signal {-run.returncode}" if run.returncode < 0 else ""
            lines = (run.stdout + run.stderr).strip().splitlines()
            raise RuntimeError(
                f"Vela failed ({crashed or f'exit code {run.returncode}'}): {' '.join(lines[-5:])}"
            )
        (summary,) = Path(folder).glob("model_summary_*.csv")
        with summary.open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        made = compiled.read_bytes()
    return VelaResult(
        made,
        tuple(operator.code for operator in read_file(made).operators),
        accelerator,
        int(float(row["total_original_weights"])),
        int(float(row["total_npu_encoded_weights"])),
        float(row["cycles_total"]),
    )


def find_vela_failure(content):
    """Compile a file, if Vela is installed.

    Returns:
        A sentence that says what was done, and a list of at most one `Finding`.
    """
    if not has_vela():
        return f"Vela itself was not run: {EXTRA}.", []
    rule = "Vela must place the whole file on the NPU"
    try:
        result = compile_with_vela(content)
    except RuntimeError as error:
        said = str(error).rstrip(".")
        return "Vela was run.", [Finding("", "", rule, said, "Replace the layers that it names.")]
    statement = (
        f"Vela was run for {result.accelerator}: {result.original_weight_bytes:,} bytes of weights "
        f"in {result.encoded_weight_bytes:,}."
    )
    left = [each for each in result.operators if each != NPU_OPERATOR]
    if result.is_on_npu:
        return statement, []
    found = f"left to the CPU: {', '.join(left)}" if left else "several parts on the NPU"
    return statement, [Finding("", "", rule, found, "Replace these layers.")]
