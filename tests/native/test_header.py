"""The delegate's header: what its first comment shows must compile and run, in C and in C++."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.absent import skip_without
from tfq_lowbit.native import delegate_path

CUSTOM_OPS = Path(__file__).parents[2] / "custom_ops"
HEADER = CUSTOM_OPS / "tflite" / "tfq_delegate.h"
LANGUAGES = {"c": ("gcc", "-std=c11"), "c++": ("g++", "-std=c++17")}
PROGRAM = """
{includes}
#include <stdio.h>

static void report(const char* reason) {{ printf("refused: %s\\n", reason); }}

int main(void) {{
{statements}
  puts("loaded");
  return 0;
}}
"""


def example():
    """Returns the lines of the example that loads the delegate by dlopen."""
    comment = HEADER.read_text().partition("#ifndef")[0]
    shown = comment.partition("// Without that loader, by dlopen")[2].partition("// Options")[0]
    lines = re.findall(r"^//   (.*)$", shown, flags=re.MULTILINE)
    return [line for line in lines if not line.startswith("...")]


def run_example(language, folder, change=lambda text: text):
    """Returns what the example prints; `change` is done to it first."""
    compiler, standard = LANGUAGES[language]
    if shutil.which(compiler) is None:
        skip_without(f"{compiler} is missing")
    lines = example()
    program = PROGRAM.format(
        includes="\n".join(line for line in lines if line.startswith("#")),
        statements=change("\n".join(line for line in lines if not line.startswith("#"))),
    )
    command = [compiler, "-x", language, standard, "-Wall", "-Wextra", "-Werror", "-"]
    command += ["-I", CUSTOM_OPS, "-o", folder / "program", "-ldl"]
    result = subprocess.run(command, input=program, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    environment = {"LD_LIBRARY_PATH": str(Path(delegate_path()).parent)}
    result = subprocess.run(
        [folder / "program"], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_loads_the_delegate(language, tmp_path):
    assert run_example(language, tmp_path) == "loaded\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_example_reports_is_the_reason(language, tmp_path):
    output = run_example(language, tmp_path, lambda text: text.replace('"2"', '"65"'))
    assert output == "refused: option `threads` must be a number of 1 to 64, not '65'\nloaded\n"
