import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tfq_lowbit import cli

NUM_SAMPLES = 16


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).normal(size=(NUM_SAMPLES, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory, samples):
    """A float model, a quantized one, its .tflite file and inputs."""
    folder = tmp_path_factory.mktemp("files")
    inputs = keras.Input((8,), name="features")
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4, name="scores")(hidden))
    model.save(folder / "float.keras")
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(), samples)
    quantized.save(folder / "quantized.keras")
    tfq.export_tflite(quantized, folder / "m.tflite", verify_data=samples)
    np.save(folder / "x.npy", samples)
    return folder


def call(*arguments):
    return cli.main([str(each) for each in arguments])


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help_lists_every_command(capsys, flag):
    assert call(flag) == 0
    shown = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"tfq {name}" in shown


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_each_command_shows_its_own_flags(capsys, name):
    assert call(name, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: tfq {name}")
    assert ("--epochs" in shown) == (name == "demo")
    assert ("--per_layer" in shown) == (name == "verify")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("unknown",),
        ("export",),
        ("export", "a.keras"),
        ("export", "a.keras", "b.tflite", "c"),
        ("export", "a.keras", "b.tflite", "--prefer", "beauty"),
        ("verify", "a.keras", "b.tflite"),
        ("demo", "surplus"),
        ("demo", "--epochs", "0"),
        ("demo", "--epochs", "many"),
        ("demo", "--unknown", "1"),
        ("quantize", "a.keras", "b.keras", "--weight_bits", "9"),
        ("quantize", "a.keras", "b.keras", "--on_unsupported", "skip"),
        ("benchmark", "m.tflite", "--num_threads", "0"),
    ],
)
def test_a_wrong_command_line_shows_the_usage_and_returns_2(capsys, arguments):
    assert call(*arguments) == 2
    streams = capsys.readouterr()
    assert not streams.out
    assert "usage: tfq" in streams.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("benchmark", "missing.tflite"),
        ("inspect", "missing.tflite"),
        ("summary", "missing.keras"),
        ("export", "missing.keras", "m.tflite"),
        ("demo", "--data", "missing_folder", "--output", "."),
    ],
)
def test_an_error_of_the_library_is_one_line_and_returns_1(
    capsys, tmp_path, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) == 1
    streams = capsys.readouterr()
    (line,) = streams.err.splitlines()
    assert line.startswith(f"tfq {arguments[0]}: error: ")
    assert "missing" in line
    assert not list(tmp_path.iterdir())


def test_a_demo_output_that_cannot_be_written_is_found_before_data_are_loaded(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert call("demo", "--output", tmp_path / "file", "--data", tmp_path / "absent") == 1
    assert "output folder" in capsys.readouterr().err


def test_quantize_writes_a_model_that_exports(capsys, files, samples, tmp_path):
    path, exported = tmp_path / "q.keras", tmp_path / "q.tflite"
    options = ("--weight_bits", 3, "--data", files / "x.npy")
    assert call("quantize", files / "float.keras", path, *options) == 0
    assert call("export", path, exported, "--data", files / "x.npy") == 0
    assert "100.0000 % equal" in capsys.readouterr().out
    weights = tfq.integer_weights(keras.models.load_model(path))
    assert {name: each.num_bits for name, each in weights.items()} == {"hidden": 8, "scores": 8}
    assert {each.name for each in tmp_path.iterdir()} == {"q.keras", "q.tflite"}


def test_quantize_leaves_a_layer_in_float_on_request(capsys, tmp_path):
    inputs = keras.Input((6, 4))
    x = keras.layers.GroupNormalization(2, name="norm")(keras.layers.Dense(4)(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / "f.keras")
    assert call("quantize", tmp_path / "f.keras", tmp_path / "q.keras") == 1
    assert "'norm' (GroupNormalization) cannot be quantized" in capsys.readouterr().err
    options = ("--on_unsupported", "float")
    assert call("quantize", tmp_path / "f.keras", tmp_path / "q.keras", *options) == 0
    assert "in float: norm" in capsys.readouterr().out


def test_quantize_refuses_an_unknown_recipe_and_another_ending(capsys, files, tmp_path):
    source = files / "float.keras"
    assert call("quantize", source, tmp_path / "q.keras", "--recipe", "magic") == 1
    assert "lsq, pact, dorefa, ternary, weight_only" in capsys.readouterr().err
    assert call("quantize", source, tmp_path / "q.h5") == 1
    assert ".keras" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", ["lsq", "pact", "dorefa", "ternary", "weight_only"])
def test_every_recipe_is_reachable(files, tmp_path, recipe):
    path = tmp_path / "q.keras"
    assert call("quantize", files / "float.keras", path, "--recipe", recipe) == 0
    assert path.exists()


def test_weights_alone_are_quantized_and_exported(capsys, tmp_path):
    inputs = keras.Input((64,))
    model = keras.Model(inputs, keras.layers.Dense(8, name="dense")(inputs))
    model.save(tmp_path / "f.keras")
    source, path = tmp_path / "q.keras", tmp_path / "m.tflite"
    options = ("--recipe", "weight_only", "--weight_bits", 4, "--block_size", 32)
    assert call("quantize", tmp_path / "f.keras", source, *options) == 0
    assert "4 bits in 32s" in capsys.readouterr().out
    for activations, note in (("float", "computes in float"), ("dynamic", "input quantized")):
        assert call("export", source, path, "--activations", activations) == 0
        assert f"({note}" in capsys.readouterr().out
    assert call("export", source, path) == 1
    assert "activations='float' or 'dynamic'" in capsys.readouterr().err
    options = ("--block_size", 32)
    assert call("quantize", tmp_path / "f.keras", source, *options) == 1
    assert "`block_size` must be None beside quantized activations" in capsys.readouterr().err


def test_export_writes_what_the_python_api_writes(files, tmp_path):
    path = tmp_path / "again.tflite"
    assert call("export", files / "quantized.keras", path) == 0
    assert path.read_bytes() == (files / "m.tflite").read_bytes()


def test_export_takes_types(files, tmp_path):
    path = tmp_path / "int8.tflite"
    types = ("--input_type", "int8", "--output_type", "int8")
    assert call("export", files / "quantized.keras", path, *types) == 0
    interpreter = tfq.Interpreter(path)
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert interpreter.get_output_details()[0]["dtype"] == np.int8


def test_verify_prints_the_fidelity(capsys, files):
    paths = files / "quantized.keras", files / "m.tflite"
    assert call("verify", *paths, "--data", files / "x.npy", "--per_layer") == 0
    shown = capsys.readouterr().out
    assert f"{NUM_SAMPLES} samples" in shown
    assert "layers:" in shown


def test_verify_returns_1_for_a_file_that_computes_something_else(capsys, files, samples, tmp_path):
    model = keras.models.load_model(files / "quantized.keras")
    changed = keras.models.clone_model(model)
    changed.set_weights(model.get_weights())
    changed.get_layer("hidden").layer.bias.assign(np.full(8, 2.0))
    path = tmp_path / "other.tflite"
    tfq.export_tflite(changed, path, verify_data=samples)
    assert call("verify", files / "quantized.keras", path, "--data", files / "x.npy") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tfq verify: error:")


def test_summary_benchmark_and_inspect_print(capsys, files):
    assert call("summary", files / "quantized.keras") == 0
    assert "hidden" in capsys.readouterr().out
    assert call("benchmark", files / "m.tflite", "--repetitions", 3) == 0
    assert re.fullmatch(r"\d+\.\d{3} ms \(.*, 3 runs\)\n", capsys.readouterr().out)
    assert call("inspect", files / "m.tflite") == 0
    shown = capsys.readouterr().out
    assert "FULLY_CONNECTED" in shown and "input: features FLOAT32" in shown


def test_check_prints_what_a_target_refuses_and_fails_where_it_does(capsys, files):
    assert call("check", files / "m.tflite") == 0
    assert "operators are taken" in capsys.readouterr().out
    assert call("check", files / "m.tflite", "--target", "edgetpu", "--norun_tools") == 1
    assert "Export with output_type='int8'." in capsys.readouterr().out
    assert call("check", files / "m.tflite", "--target", "toaster") == 1
    assert "'edgetpu'" in capsys.readouterr().err


def test_data_that_are_no_array_are_refused(capsys, files, tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(b"not an array")
    assert call("verify", files / "quantized.keras", files / "m.tflite", "--data", path) == 1
    assert "--data" in capsys.readouterr().err


def test_the_installed_entry_point_returns_the_exit_code():
    code = "import sys; from tfq_lowbit.cli import main; sys.argv = ['tfq']; sys.exit(main())"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 2
    assert "usage: tfq" in finished.stderr
