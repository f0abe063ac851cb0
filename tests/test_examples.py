"""The examples and the README's code run, and what they export is exact."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from tfq_lowbit.demo import ImageData

PROJECT = Path(__file__).parents[1]
MAX_EXAMPLE_LINES = 100
EXAMPLES = sorted(path.stem for path in (PROJECT / "examples").glob("*.py"))


def load(name):
    spec = importlib.util.spec_from_file_location(name, PROJECT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    pixels = random.uniform(size=(256, 28, 28, 1)).astype(np.float32)
    labels = random.integers(0, 10, size=256)
    return ImageData(pixels, labels, pixels, labels, "random pixels", is_substitute=True)


def test_train_and_export_gives_an_exact_file(tmp_path, images, capsys):
    report = load("train_and_export").main(1, tmp_path / "m.tflite", images)
    assert report.fidelity.is_exact
    assert (tmp_path / "m.tflite").stat().st_size == report.num_bytes
    assert "8 bits in INT8" in capsys.readouterr().out  # two layers: the first and the last


def test_wrap_layers_gives_an_exact_file(tmp_path):
    assert load("wrap_layers").main(tmp_path / "m.tflite").fidelity.is_exact


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name):
    lines = (PROJECT / "examples" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < MAX_EXAMPLE_LINES


def test_every_example_is_tested():
    assert EXAMPLES == ["train_and_export", "wrap_layers"]


def test_the_code_of_the_readme_runs(tmp_path, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tfq_lowbit.demo.load_data", lambda: images)
    (code,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["report"].fidelity.is_exact
    assert (tmp_path / "fashion.tflite").exists()
