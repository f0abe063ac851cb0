"""A folder with only NumPy, LiteRT, the delegate and a file runs a binary model."""

import importlib.util
import json
import shutil
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from tests.custom_ops.networks import images, network
from tfq_lowbit.native import delegate_path

PACKAGES = ("numpy", "ai_edge_litert")
ABSENT = ("tensorflow", "keras", "flatbuffers", "scipy", "tfq_lowbit")
PROGRAM = """
import importlib.util, json, pathlib, sys
import numpy as np
from ai_edge_litert import interpreter as litert

delegate = litert.load_delegate("./libtfq_delegate.so")
interpreter = litert.Interpreter("model.tflite", experimental_delegates=[delegate])
values = np.load("values.npy")
index = interpreter.get_input_details()[0]["index"]
interpreter.resize_tensor_input(index, values.shape)
interpreter.allocate_tensors()
interpreter.set_tensor(index, values)
interpreter.invoke()
np.save("output.npy", interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
print(json.dumps({
    "found": [name for name in sys.argv[1:] if importlib.util.find_spec(name)],
    "folders": sys.path,
    "libraries": [line.split()[-1] for line in open("/proc/self/maps") if "tfq" in line],
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A virtual environment without pip, with copies of the two packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    for name in PACKAGES:
        origin = Path(importlib.util.find_spec(name).origin).parent
        shutil.copytree(origin, site / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
        libraries = origin.with_name(f"{name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, site / libraries.name)
    shutil.copy(delegate_path(), folder)
    return folder


def test_it_computes_the_reference(folder):
    net, values = network(), images(3)
    (folder / "model.tflite").write_bytes(net.content)
    np.save(folder / "values.npy", values)
    program = [folder / "venv" / "bin" / "python", "-I", "-c", PROGRAM, *ABSENT]
    result = subprocess.run(program, cwd=folder, env={}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(folder / "output.npy"), net.expected(values)[0])

    seen = json.loads(result.stdout.splitlines()[-1])
    assert seen["found"] == []
    assert set(seen["libraries"]) == {str(folder / "libtfq_delegate.so")}
    site = [Path(each) for each in seen["folders"] if "site-packages" in each]
    assert [each.is_relative_to(folder) for each in site] == [True]
