import keras
import pytest

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


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="must be a .tflite model"):
        read_contents(path)
    with pytest.raises(ValueError, match="existing file"):
        read_contents(tmp_path / "missing.tflite")
