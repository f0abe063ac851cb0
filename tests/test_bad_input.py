"""Every mistake of the contract: its call, its exception, the words, and that nothing was left.

The words are the argument or layer, the rule, the value that was received, and what to do.
"""

import functools
import os

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tfq_lowbit import cli

layers = keras.layers
lsq = tfq.Recipe.lsq

DATA = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


def float_model():
    inputs = keras.Input((6,), name="features")
    x = layers.Dense(5, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="scores")(x), name="net")


@functools.cache
def calibrated():
    return tfq.quantize_model(float_model(), lsq(), DATA)


def uncalibrated():
    return tfq.quantize_model(float_model(), lsq())


def with_layer(layer, shape=(6,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def quantize(model=None, recipe=None, data=None):
    return tfq.quantize_model(model or float_model(), recipe or lsq(), data)


def with_nan():
    data = DATA.copy()
    data[0, 0] = np.nan
    return data


def export(model=None, path="m.tflite", **options):
    return tfq.export_tflite(model or calibrated(), path, **options)


# Mistake: (call, exception, words in their order).
TABLE = {
    # A bit width out of range.
    "weights of 1 bit": (lambda: lsq(1), ValueError, "`weight_bits` 2 to 8 weight_bits=1"),
    "activations of 9 bits": (lambda: lsq(4, 9), ValueError, "`activation_bits` 2 to 8 =9"),
    "ends of 16 bits": (
        lambda: lsq(first_last_bits=16),
        ValueError,
        "`first_last_bits` 2 to 8 =16",
    ),
    "half a bit": (lambda: lsq(2.5), ValueError, "`weight_bits` integer =2.5"),
    "bits of an override": (
        lambda: lsq().override("hidden", weight_bits=0),
        ValueError,
        "`weight_bits` 2 to 8 =0",
    ),
    "bits of a wrapper": (
        lambda: tfq.LSQ(layers.Dense(2), weight_bits=12),
        ValueError,
        "`weight_bits` 2 to 8 =12",
    ),
    "bits of a wrapper's input": (
        lambda: tfq.PACT(layers.Dense(2), activation_bits=1),
        ValueError,
        "`activation_bits` 2 to 8 =1",
    ),
    "bits of a quantizer": (
        lambda: tfq.quantizers.LSQ(num_bits=1),
        ValueError,
        "`num_bits` 2 to 8 =1",
    ),
    # An unknown recipe key.
    "key of a recipe": (
        lambda: lsq(weight_bit=4),
        ValueError,
        "weight_bits activation_bits Received: weight_bit",
    ),
    "key of an override": (
        lambda: lsq().override("hidden", bits=4),
        ValueError,
        "weight_bits per_channel Received: bits",
    ),
    "key of a file": (
        lambda: tfq.Recipe.from_json('{"bits": 4}'),
        ValueError,
        "weight_bits Received: bits",
    ),
    "scheme": (
        lambda: tfq.Recipe(weight_quantizer="binary8"),
        ValueError,
        "`weight_quantizer` one of dorefa lsq 'binary8'",
    ),
    "no recipe": (
        lambda: quantize(recipe={"weight_bits": 4}),
        TypeError,
        "`recipe` tfq_lowbit.Recipe Recipe.lsq( Received: dict",
    ),
    # A regular expression that matches nothing, or is none.
    "expression without a match": (
        lambda: quantize(recipe=lsq().override("hiden", weight_bits=8)),
        ValueError,
        "'hiden' matches no layer whole hidden, scores",
    ),
    "part of a name": (
        lambda: quantize(recipe=lsq().override("hid", weight_bits=8)),
        ValueError,
        "'hid' matches no layer whole hidden",
    ),
    "no expression": (
        lambda: lsq().override("hidden(", weight_bits=8),
        ValueError,
        "`pattern` regular expression pattern='hidden('",
    ),
    # Calibration data of the wrong shape, or not finite.
    "shape of the data": (
        lambda: quantize(data=DATA[:, :4]),
        ValueError,
        "`calibration_data` 'features' shape (None, 6) Received: (8, 4)",
    ),
    "shape of later data": (
        lambda: tfq.calibrate(uncalibrated(), DATA[0]),
        ValueError,
        "`data` 'features' shape (None, 6) Received: (6,)",
    ),
    "NaN in the data": (
        lambda: quantize(data=with_nan()),
        ValueError,
        "`calibration_data` 'features' finite Received: 1 values remove",
    ),
    "NaN in later data": (
        lambda: tfq.calibrate(uncalibrated(), with_nan()),
        ValueError,
        "`data` 'features' finite Received: 1 values remove",
    ),
    "no data": (
        lambda: quantize(data=DATA[:0]),
        ValueError,
        "`calibration_data` is empty at least one",
    ),
    "too many inputs": (
        lambda: quantize(data=[DATA, DATA]),
        ValueError,
        "`calibration_data` one array for each input 1 Received: 2",
    ),
    "names of inputs": (
        lambda: quantize(data={"x": DATA}),
        ValueError,
        "`calibration_data` every input by name Missing: features Received: x",
    ),
    "no array": (
        lambda: quantize(data=3),
        TypeError,
        "`calibration_data` an array, dataset Received: int",
    ),
    "calibrating a float model": (
        lambda: tfq.calibrate(float_model(), DATA),
        ValueError,
        "'net' no quantizers tfq.quantize_model",
    ),
    # An unbuilt or subclassed model.
    "unbuilt": (
        lambda: quantize(keras.Sequential([layers.Dense(2)], name="net")),
        ValueError,
        "'net' is not built keras.Input model.build(",
    ),
    "subclassed": (
        lambda: quantize(Subclassed(name="net")),
        ValueError,
        "subclassed model 'net' (Subclassed) is not built Call it on data",
    ),
    "no model": (
        lambda: quantize(layers.Dense(2)),
        TypeError,
        "`model` Sequential or functional Received: Dense",
    ),
    # An unsupported layer.
    "layer": (
        lambda: quantize(with_layer(layers.ConvLSTM1D(2, 2, name="memory"), (4, 3, 3))),
        ValueError,
        "'memory' (ConvLSTM1D) cannot be quantized Conv2D Dense",
    ),
    "activation": (
        lambda: quantize(with_layer(layers.Dense(2, activation="glu", name="squash"))),
        ValueError,
        "'squash' (Dense) cannot be quantized 'glu' relu6 tanh",
    ),
    "option": (
        lambda: quantize(with_layer(layers.Softmax(axis=0, name="clip"))),
        ValueError,
        "'clip' (Softmax) cannot be quantized axis -1 received 0",
    ),
    "operation": (
        lambda: quantize(with_layer(keras.ops.sin)),
        ValueError,
        "(Sin) cannot be quantized operation",
    ),
    "layer without a kernel": (
        lambda: tfq.LSQ(layers.ReLU(name="relu")),
        ValueError,
        "kernel Conv2D 'relu' ReLU QuantizeActivation",
    ),
    "channels first": (
        lambda: tfq.LSQ(layers.Conv2D(2, 3, data_format="channels_first", name="conv")),
        ValueError,
        "'conv' data_format='channels_last' Received: data_format='channels_first'",
    ),
    "quantizer of an activation by channel": (
        lambda: tfq.QuantizeActivation(tfq.quantizers.LSQ(4, axis=-1)),
        ValueError,
        "`quantizer` axis=None Received: axis=-1",
    ),
    # An export before calibration, or of what has no integer form.
    "export before calibration": (
        lambda: export(uncalibrated()),
        ValueError,
        "not calibrated 'features_quantizer' calibration_data tfq.calibrate(",
    ),
    "integers before calibration": (
        lambda: tfq.integer_weights(uncalibrated()),
        ValueError,
        "not calibrated 'features_quantizer' calibration_data",
    ),
    "export of a float model": (
        lambda: export(float_model()),
        ValueError,
        "has no quantizers in float tfq.quantize_model",
    ),
    "target": (
        lambda: export(target="toaster"),
        ValueError,
        "`target` one of 'litert' Received: 'toaster'",
    ),
    "container": (lambda: export(prefer="luck"), ValueError, "`prefer` 'size' 'speed' 'luck'"),
    "input type": (
        lambda: export(input_type="int4"),
        ValueError,
        "`input_type` one of 'int8' 'int4'",
    ),
    "output type": (
        lambda: export(output_type="uint8"),
        ValueError,
        "`output_type` one of 'int8' 'uint8'",
    ),
    "shape of the data to verify on": (
        lambda: export(verify_data=DATA[:, :4]),
        ValueError,
        "`verify_data` 'features' shape (None, 6) Received: (8, 4)",
    ),
    "NaN in the data to verify on": (
        lambda: export(verify_data=with_nan()),
        ValueError,
        "`verify_data` 'features' finite Received: 1 values",
    ),
    "no data to verify on": (
        lambda: export(verify_data=DATA[:0]),
        ValueError,
        "`verify_data` is empty",
    ),
    # A path that cannot be written, or read.
    "path in no folder": (
        lambda: export(path="none/m.tflite"),
        OSError,
        "`path` name a file 'none/m.tflite' folder that can be written",
    ),
    "path of a folder": (
        lambda: export(path="."),
        OSError,
        "`path` name a file '.' is a folder",
    ),
    "path of no file": (
        lambda: tfq.verify(calibrated(), "none.tflite", DATA),
        OSError,
        "none.tflite",
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("mistake", TABLE)
def test_a_mistake_is_an_error_with_all_its_words_and_leaves_nothing(mistake, folder):
    call, error, words = TABLE[mistake]
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error or error is OSError
    message = str(caught.value)
    position = 0
    for word in words.split():
        position = message.find(word, position)
        assert position >= 0, f"{word!r} is not, or not in its place, in: {message}"
    assert list(folder.rglob("*")) == []


@pytest.mark.parametrize(
    "mistake",
    ["export before calibration", "target", "NaN in the data to verify on", "container"],
)
def test_a_mistake_keeps_the_file_that_was_there(mistake, folder):
    call, error, _ = TABLE[mistake]
    (folder / "m.tflite").write_text("before")
    with pytest.raises(error):
        call()
    assert (folder / "m.tflite").read_text() == "before"
    assert [path.name for path in folder.iterdir()] == ["m.tflite"]


def test_a_disk_that_fails_in_the_middle_leaves_nothing_half_written(folder, monkeypatch):
    (folder / "m.tflite").write_text("before")

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="No space"):
            export(path="m.tflite", verify_data=DATA)
    assert (folder / "m.tflite").read_text() == "before"
    assert [path.name for path in folder.iterdir()] == ["m.tflite"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_permission_is_refused(folder):
    (folder / "locked").mkdir(mode=0o500)
    with pytest.raises(OSError, match="`path`.*can be written"):
        export(path="locked/m.tflite")


def test_calibration_that_fails_changes_no_step_size(folder):
    qmodel = tfq.quantize_model(float_model(), lsq(), DATA)
    before = qmodel.get_weights()
    for data in (with_nan(), DATA[:, :4], iter([DATA, with_nan()])):
        with pytest.raises(ValueError):
            tfq.calibrate(qmodel, data)
    for one, other in zip(qmodel.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_command_line_says_the_same_in_one_line(folder, capsys):
    uncalibrated().save(folder / "q.keras")
    assert cli.main(["export", "q.keras", "m.tflite"]) == cli.FAILURE
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "not calibrated" in error
    assert sorted(path.name for path in folder.iterdir()) == ["q.keras"]
