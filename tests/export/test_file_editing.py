"""An edited file holds what it was given, and nothing that was replaced."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.promise import run_litert
from tfq_lowbit.export.file_editing import FileEditor
from tfq_lowbit.export.float_conversion import convert_call
from tfq_lowbit.packing import unpack_codes


@pytest.fixture(scope="module")
def content():
    layer = keras.layers.Dense(256, use_bias=False)
    layer.build((None, 64))
    return convert_call(layer, (keras.KerasTensor((None, 64)),), {})[1]


def test_a_stored_constant_takes_the_place_of_the_old_bytes(content):
    editor = FileEditor(content)
    ((index, kernel),) = editor.float_constants().items()
    assert kernel.shape == (256, 64)
    codes = np.random.default_rng(0).integers(-7, 8, kernel.shape).astype(np.int8)
    editor.store(index, codes, "INT4")
    editor.set_scales(index, np.full(256, 0.25))
    assert editor.num_bytes(index) == codes.size // 2 and not editor.float_constants()
    packed = editor.pack()
    assert len(packed) < len(content) - codes.size * 3
    again = schema.ModelT.InitFromPackedBuf(packed, 0)
    tensor = again.subgraphs[0].tensors[index]
    data = np.array(again.buffers[tensor.buffer].data)
    np.testing.assert_array_equal(unpack_codes(data, 4, codes.size).reshape(codes.shape), codes)
    assert list(tensor.quantization.scale) == [0.25] * 256


def test_operators_are_put_where_they_compute(content):
    editor = FileEditor(content)
    ((index, kernel),) = editor.float_constants().items()
    (user,) = editor.users(index)
    assert editor.name_of(user) == "FULLY_CONNECTED"
    (output,) = user.outputs
    assert editor.sizes(output) == [-1, 256]
    sums = editor.add_tensor("sums", editor.sizes(output))
    twice = editor.add_tensor("twice", [1], np.array([2.0]))
    user.outputs = [sums]
    editor.subgraph.operators.append(editor.make_product(1, sums, twice, output))
    x = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    (found,) = run_litert(editor.pack(), [x])
    np.testing.assert_allclose(found, 2 * (x @ kernel.T), rtol=1e-4, atol=1e-5)


def test_metadata_replace_those_of_the_same_name(content):
    editor = FileEditor(content)
    before = len(editor.model.metadata or ())
    editor.add_metadata(b"note", b"one")
    editor.add_metadata(b"note", b"two")
    model = schema.ModelT.InitFromPackedBuf(editor.pack(), 0)
    (found,) = (each for each in model.metadata if each.name == b"note")
    assert bytes(model.buffers[found.buffer].data) == b"two"
    assert len(model.metadata) == before + 1
