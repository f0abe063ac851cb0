import keras
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.export.writer import pack_model
from tfq_lowbit.runtime import read_contents


@pytest.fixture(scope="module")
def content(convert):
    inputs = keras.Input((4,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(3, activation="relu")(inputs))
    return convert(model)


def test_operators_types_and_bytes_are_read(content):
    contents = read_contents(content)
    assert contents.num_bytes == len(content)
    assert {name for name, _ in contents.operators} == {"FULLY_CONNECTED"}
    ((_, type_, shape),) = contents.inputs
    assert (type_, shape) == ("FLOAT32", (None, 4))
    assert contents.constant_bytes["FLOAT32"] >= 4 * (4 * 3)
    assert "FULLY_CONNECTED version 1" in str(contents)


def test_custom_operators_and_what_they_need_are_told(content):
    assert read_contents(content).custom_operators == ()
    assert "needs" not in str(read_contents(content))
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for name in ("TfqBitpack", "Other"):
        code = schema.OperatorCodeT()
        code.customCode, code.builtinCode = name, schema.BuiltinOperator.CUSTOM
        model.operatorCodes.append(code)
    contents = read_contents(pack_model(model))
    assert contents.custom_operators == ("Other", "TfqBitpack")
    assert "needs libtfq_delegate.so for TfqBitpack\n" in str(contents)
    assert "not this library's: Other\n" in str(contents)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="must be a .tflite model"):
        read_contents(path)
    with pytest.raises(ValueError, match="existing file"):
        read_contents(tmp_path / "missing.tflite")
