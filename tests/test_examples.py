"""The examples and the README's code run, and what they export is exact."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import tfq_lowbit as tfq
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


def test_own_layers_gives_an_exact_file(tmp_path, capsys):
    report = load("own_layers").main(tmp_path / "m.tflite")
    assert report.fidelity.is_exact and not report.islands
    assert len(report.layers) == 3 and report.layers[-1].name == "scores"
    assert "scores" in capsys.readouterr().out


def test_wrap_layers_gives_an_exact_file(tmp_path):
    assert load("wrap_layers").main(tmp_path / "m.tflite").fidelity.is_exact


def binary_kernels(qmodel):
    return [layer.name for layer in tfq.training.binary_layers(qmodel)]


def test_train_binary_runs_its_file_in_litert(tmp_path, images, capsys):
    report = load("train_binary").main(1, tmp_path / "m.tflite", images.first(128, 64))
    assert report.fidelity.is_exact
    assert "of 64 test images" in capsys.readouterr().out


def test_quicknet_trains_and_gives_an_exact_file(tmp_path, images):
    report = load("quicknet").main(1, tmp_path / "m.tflite", images.first(128, 64))
    assert report.fidelity.is_exact


def test_only_the_blocks_of_quicknet_are_binary():
    quicknet = load("quicknet")
    names = binary_kernels(tfq.quantize_model(quicknet.quicknet(), quicknet.recipe()))
    assert names == [f"stage{i}_block{j}_conv" for i in (1, 2, 3) for j in (1, 2)]


def test_the_blur_of_quicknet_starts_as_a_low_pass_filter():
    kernel = load("quicknet").quicknet().get_layer("transition2_blur").kernel.numpy()
    np.testing.assert_array_equal(kernel[..., 5, 0] * 16, [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


@pytest.mark.parametrize("block", ["bi_real_block", "react_block"])
def test_a_net_of_residual_blocks_gives_an_exact_file(tmp_path, images, block):
    blocks = load("binary_blocks")
    model = blocks.residual_net(getattr(blocks, block), filters=(8, 16), depth=1)
    recipe = blocks.keep_shortcuts(tfq.Recipe.binary("react_net"))
    qmodel = tfq.quantize_model(model, recipe, images.train_images)
    assert binary_kernels(qmodel) == ["stage1_block1_conv", "stage2_block1_conv"]
    path = tmp_path / "m.tflite"
    report = tfq.export_tflite(qmodel, path, verify_data=images.test_images[:32])
    assert report.fidelity.is_exact


def test_bireal_resnet18_has_sixteen_binary_convolutions_and_gives_an_exact_file(tmp_path):
    example = load("bireal_resnet18")
    report = example.main(tmp_path / "m.tflite", input_shape=(32, 32, 3), classes=10)
    assert report.fidelity.is_exact
    model = example.bireal_resnet18((32, 32, 3), 10)
    assert len(binary_kernels(tfq.quantize_model(model, example.recipe()))) == 16


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name):
    lines = (PROJECT / "examples" / f"{name}.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < MAX_EXAMPLE_LINES


def test_every_example_is_tested():
    assert EXAMPLES == [
        "binary_blocks",
        "bireal_resnet18",
        "own_layers",
        "quicknet",
        "train_and_export",
        "train_binary",
        "wrap_layers",
    ]


def test_the_code_of_the_readme_runs(tmp_path, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tfq_lowbit.demo.load_data", lambda: images)
    (code,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["report"].fidelity.is_exact
    assert (tmp_path / "fashion.tflite").exists()
