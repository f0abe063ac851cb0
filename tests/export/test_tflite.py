"""Exporting a file: what is written, what is reported, and what happens when it fails."""

import os
import stat

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tests.networks import images, randomize, vgg
from tfq_lowbit import Recipe, export_tflite, integer_weights, quantize_model
from tfq_lowbit.packing import unpack_codes

layers = keras.layers
MAX_SIZE_RATIO = 0.55  # W4A8 against W8A8 of a model that is mostly weights
PACKED_BITS = {schema.TensorType.INT4: 4, schema.TensorType.INT2: 2}


@pytest.fixture(scope="module")
def float_model():
    return vgg(size=16, width=16)


@pytest.fixture(scope="module")
def model(float_model):
    names = [layer.name for layer in float_model.layers if isinstance(layer, layers.Dense)]
    recipe = Recipe.lsq(4, 4).override(names[0], weight_bits=2)
    return quantize_model(float_model, recipe, images(float_model, 32))


def tensors_of(path):
    written = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    tensors = {tensor.name.decode(): tensor for tensor in written.subgraphs[0].tensors}
    return tensors, written.buffers


@pytest.mark.parametrize("prefer", ["size", "speed"])
@pytest.mark.parametrize("types", [("float32", "float32"), ("int8", "int8"), ("float32", "int8")])
def test_inputs_and_outputs_have_the_types_asked_for(model, tmp_path, types, prefer):
    path = tmp_path / "model.tflite"
    report = export_tflite(model, path, prefer=prefer, input_type=types[0], output_type=types[1])
    interpreter = Interpreter(str(path))
    details = interpreter.get_input_details() + interpreter.get_output_details()
    assert [detail["dtype"].__name__ for detail in details] == list(types)
    assert report.fidelity.is_exact
    assert report.is_random_data and "random inputs" in str(report)


def test_all_between_is_integer(model, tmp_path):
    path = tmp_path / "model.tflite"
    export_tflite(model, path)
    tensors, _ = tensors_of(path)
    floats = [name for name, tensor in tensors.items() if tensor.type == schema.TensorType.FLOAT32]
    assert len(floats) == 2  # input and output


def test_the_report_says_what_was_written(model, tmp_path):
    path = tmp_path / "model.tflite"
    data = images(model, 10)
    report = export_tflite(model, path, verify_data=data)
    assert report.path == str(path)
    assert report.num_bytes == path.stat().st_size
    assert report.fidelity.num_samples == 10 and not report.is_random_data
    assert report.target == "litert"
    stored = {layer.num_bits: layer for layer in report.layers}
    assert set(stored) == {2, 4, 8}
    assert stored[2].stored_as == "INT2" and stored[2].operator == "FULLY_CONNECTED"
    assert report.min_runtime_version == "2.21.0"
    windows = [layer for layer in report.layers if layer.note]
    assert windows and all("prefer='speed'" in layer.note for layer in windows)
    tensors, buffers = tensors_of(path)
    for layer in report.layers:
        tensor = tensors[f"{layer.name}/filter"]
        assert layer.num_bytes == len(buffers[tensor.buffer].data)
        assert layer.name in str(report)


def test_preferring_speed_avoids_what_is_slow(model, tmp_path):
    report = export_tflite(model, tmp_path / "model.tflite", prefer="speed")
    assert not any(layer.note for layer in report.layers)
    assert {layer.stored_as for layer in report.layers} == {"INT4", "INT8"}
    assert report.fidelity.is_exact


@pytest.mark.parametrize("prefer", ["size", "speed"])
def test_the_integer_weights_are_those_of_the_file(model, tmp_path, prefer):
    path = tmp_path / "model.tflite"
    export_tflite(model, path, prefer=prefer)
    tensors, buffers = tensors_of(path)
    weights = integer_weights(model, prefer=prefer)
    names = {name for name in tensors if name.endswith("/filter")}
    assert {f"{name}/filter" for name in weights} == names
    for name, layer in weights.items():
        stored, bias = tensors[f"{name}/filter"], tensors[f"{name}/bias"]
        data = np.array(buffers[stored.buffer].data, np.uint8)
        bits = PACKED_BITS.get(stored.type)
        codes = unpack_codes(data, bits, layer.codes.size) if bits else data.view(np.int8)
        # The file has output channels first, Keras last.
        channels = layer.codes.shape[-1]
        np.testing.assert_array_equal(
            codes.reshape(channels, -1), layer.codes.reshape(-1, channels).T
        )
        np.testing.assert_array_equal(stored.quantization.scale, layer.scales)
        stored_bias = np.array(buffers[bias.buffer].data, np.uint8).view(np.int32)
        np.testing.assert_array_equal(stored_bias, layer.bias)
        assert getattr(schema.TensorType, layer.stored_as) == stored.type


def test_integer_weights_are_the_codes_of_the_quantizers(model):
    weights = integer_weights(model)
    dense = next(layer for layer in model.layers if getattr(layer, "name", "") in weights)
    codes = dense.kernel_quantizer.encode(dense.layer.kernel).codes
    np.testing.assert_array_equal(weights[dense.name].codes, codes)


def test_two_exports_are_the_same_bytes(model, tmp_path):
    contents = []
    for name in ("one.tflite", "other.tflite"):
        export_tflite(model, tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_a_model_of_weights_shrinks_with_its_bits(tmp_path):
    inputs = keras.Input((8, 8, 16))
    x = layers.Conv2D(96, 3, activation="relu")(inputs)
    x = layers.Conv2D(128, 3, activation="relu")(x)
    x = layers.Dense(256, activation="relu")(layers.Flatten()(x))
    model = randomize(keras.Model(inputs, layers.Dense(10)(x)))
    sizes = {}
    for bits in (4, 8):
        quantized = quantize_model(
            model, Recipe.lsq(bits, 8, first_last_bits=None), images(model, 8)
        )
        sizes[bits] = export_tflite(quantized, tmp_path / f"{bits}.tflite").num_bytes
    assert sizes[4] <= MAX_SIZE_RATIO * sizes[8]


# Files appear whole or not at all.


def test_an_existing_file_is_replaced(model, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    export_tflite(model, str(path))
    assert path.read_bytes()[4:8] == b"TFL3"
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_a_file_has_the_permissions_of_any_other(model, tmp_path):
    other, path = tmp_path / "other", tmp_path / "model.tflite"
    other.write_bytes(b"")
    export_tflite(model, path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def failing(model, path, **options):
    with pytest.raises((ValueError, OSError)):
        export_tflite(model, path, **options)


def test_an_export_that_fails_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    failing(model, path, prefer="beauty")
    failing(model, path, verify_data=np.full((2, 16, 16, 3), np.nan))

    def full_disk(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    failing(model, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.tflite"]


def test_an_export_that_fails_writes_nothing(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    failing(quantize_model(model, Recipe.lsq()), tmp_path / "model.tflite")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("where", ["missing/model.tflite", "."])
def test_a_path_that_cannot_be_written_is_refused_first(tmp_path, where):
    with pytest.raises(OSError, match="Argument `path` must name a file to write"):
        export_tflite(None, tmp_path / where)  # before the model is looked at


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission_is_refused(model, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="folder that can be written"):
            export_tflite(model, tmp_path / "model.tflite")
    finally:
        tmp_path.chmod(0o700)
