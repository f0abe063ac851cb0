import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from tests.custom_ops import networks
from tfq_lowbit.native import libraries
from tfq_lowbit.runtime import Interpreter, run
from tfq_lowbit.runtime.interpreter import has_own_operators

# One float32 rounding of a sum of four products of numbers below one.
FLOAT_TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def dense():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, bias_initializer="ones")(inputs))


@pytest.fixture(scope="module")
def content(dense, convert):
    return convert(dense)


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(7, 4)).astype(np.float32)


def test_the_interpreter_is_literts_own_class_from_a_path_or_bytes(content, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    for source in (content, bytearray(content), path, str(path)):
        interpreter = Interpreter(source, num_threads=2)
        assert isinstance(interpreter, litert.Interpreter)
        interpreter.allocate_tensors()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_run_predicts_every_sample_whatever_the_batch_size(dense, content, images, batch_size):
    outputs = run(content, images, batch_size=batch_size)
    expected = dense.predict_on_batch(images)
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, atol=FLOAT_TOLERANCE)


def test_a_file_with_a_fixed_batch_keeps_it(dense, convert, images):
    signature = [keras.InputSpec(shape=(3, 4), dtype="float32")]
    content = convert(dense, input_signature=signature)
    assert Interpreter(content).get_input_details()[0]["shape_signature"][0] == 3
    outputs = run(content, images)
    np.testing.assert_allclose(outputs, dense.predict_on_batch(images), atol=FLOAT_TOLERANCE)


def test_several_inputs_and_outputs_are_lists(convert):
    inputs = [keras.Input((2,)), keras.Input((3,))]
    model = keras.Model(inputs, [inputs[0] * 2.0, inputs[1] + 1.0])
    first, second = np.ones((5, 2), np.float32), np.zeros((5, 3), np.float32)
    content = convert(model)
    sizes = [each["shape"][1] for each in Interpreter(content).get_input_details()]
    in_the_files_order = [{2: first, 3: second}[size] for size in sizes]
    outputs = run(content, in_the_files_order, batch_size=2)
    found = {each.shape: each for each in outputs}
    np.testing.assert_array_equal(found[5, 2], 2 * first)
    np.testing.assert_array_equal(found[5, 3], second + 1)


def test_a_file_that_is_missing_or_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="existing file.*missing.tflite"):
        Interpreter(tmp_path / "missing.tflite")
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model at all")
    with pytest.raises(ValueError, match="LiteRT takes.*broken.tflite"):
        Interpreter(broken)
    with pytest.raises(TypeError, match="path or the content.*int"):
        Interpreter(3)


@pytest.mark.parametrize("num_threads", [0, -1, 1.0, True])
def test_a_thread_count_below_one_is_refused(content, num_threads):
    with pytest.raises(ValueError, match="num_threads"):
        Interpreter(content, num_threads)


def test_inputs_that_do_not_fit_are_refused(content, images):
    with pytest.raises(ValueError, match=r"shape \(None, 4\).*\(7, 3\)"):
        run(content, images[:, :3])
    with pytest.raises(ValueError, match="at least one sample"):
        run(content, images[:0])
    with pytest.raises(ValueError, match="1 arrays.*2"):
        run(content, [images, images])
    with pytest.raises(ValueError, match="batch_size"):
        run(content, images, batch_size=0)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_file_with_binary_operators_gets_the_delegate(num_threads):
    net, values = networks.network(), networks.images(5)
    expected = net.expected(values)[0]
    np.testing.assert_array_equal(
        run(net.content, values, batch_size=2, num_threads=num_threads), expected
    )


def test_only_a_file_with_binary_operators_needs_the_delegate(content, tmp_path, monkeypatch):
    monkeypatch.setattr(libraries, "FOLDER", tmp_path)
    assert not has_own_operators(content)
    Interpreter(content).allocate_tensors()
    binary = networks.network().content
    assert has_own_operators(binary)
    with pytest.raises(FileNotFoundError, match="libtfq_delegate.so is not built: `make native`"):
        Interpreter(binary)


def test_broken_files_have_no_operators_and_are_literts_to_refuse():
    binary = networks.network().content
    for broken in (b"", b"TFL3", binary[: len(binary) // 3], b"\xff" * 100):
        assert not has_own_operators(broken)
        with pytest.raises(ValueError, match="LiteRT takes"):
            Interpreter(broken)
