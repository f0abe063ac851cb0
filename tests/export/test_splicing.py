"""Operators of a converted file within another file."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tests.promise import run_litert
from tfq_lowbit.export import write_tflite
from tfq_lowbit.export.float_conversion import convert_call, runtime_of
from tfq_lowbit.export.operators import Dequantize, Island, Quantize
from tfq_lowbit.export.program import FloatTensor, Grid, Program, Tensor
from tfq_lowbit.targets import TARGETS

layers = keras.layers
SHAPE = (6, 5)
PLACEHOLDER = b"FLOAT_ISLAND"
GRID = Grid(np.float32(0.03), 4)


def program_with(*operations, fixed=False):
    """Returns a program of one input and the islands of operations, one behind the other."""
    source = Tensor("input", (None, *SHAPE), GRID)
    reals = FloatTensor("reals", source.shape)
    program = Program("test", [source], input_names=["input"], output_names=["output"])
    program.operators.append(Dequantize("input", source, reals))
    for index, operation in enumerate(operations):
        taken = keras.KerasTensor(reals.shape)
        spec = operation(taken)
        call, content = convert_call(operation, (taken,), {}, fixed)
        made = FloatTensor(f"made_{index}", tuple(spec.shape))
        island = Island(f"island_{index}", [reals], made, call, content, runtime_of(content))
        program.operators.append(island)
        reals = made
    output = Tensor("output", reals.shape, GRID)
    program.operators.append(Quantize("output", reals, output))
    program.outputs = [output]
    return program


def lstm():
    keras.utils.set_random_seed(0)
    return layers.LSTM(4, return_sequences=True)


CASES = {
    "a normalization": ([layers.LayerNormalization()], 3, False),
    "two of them": ([layers.LayerNormalization(), layers.LayerNormalization(-2)], 3, False),
    "a loop of subgraphs": ([lstm()], 1, True),
    "two loops": ([lstm(), lstm()], 1, True),
}


@pytest.mark.parametrize("name", CASES)
def test_the_operators_compute_what_the_layers_do(name):
    operations, batch, fixed = CASES[name]
    program = program_with(*operations, fixed=fixed)
    content = write_tflite(program, TARGETS["litert"])
    codes = np.random.default_rng(0).integers(-128, 128, (batch, *SHAPE)).astype(np.int8)
    (run,) = run_litert(content, [codes])
    computed = program.run([codes])[program.outputs[0]].numpy()
    assert np.abs(run.astype(int) - computed).max() <= 1
    assert len(np.unique(run)) > 10
    written = schema.ModelT.InitFromPackedBuf(content, 0)
    assert len(written.subgraphs) == 1 + 2 * name.count("loop") * len(operations)
    names = [tensor.name for tensor in written.subgraphs[0].tensors]
    assert len(names) == len(set(names)) and PLACEHOLDER not in b" ".join(names)


def test_an_input_that_is_not_used_keeps_its_place():
    class Second(layers.Layer):
        def call(self, x, y):
            return tf.sin(y)

    taken, layer = keras.KerasTensor((None, *SHAPE)), Second()
    layer(taken, taken)
    call, content = convert_call(layer, (taken, taken), {})
    sources = [FloatTensor(name, (None, *SHAPE)) for name in ("x", "y")]
    output = FloatTensor("z", (None, *SHAPE))
    island = Island("second", sources, output, call, content, "1.5.0")
    names = ["x", "y"]
    program = Program(
        "test", sources, [output], [island], input_names=names, output_names=["output"]
    )
    x, y = np.random.default_rng(0).normal(size=(2, 3, *SHAPE)).astype(np.float32)
    (run,) = run_litert(write_tflite(program, TARGETS["litert"]), [x, y])
    np.testing.assert_allclose(run, np.sin(y), rtol=1e-5, atol=1e-6)


def test_the_runtime_is_the_one_that_the_converter_names():
    _, content = convert_call(layers.Softmax(), (keras.KerasTensor((None, 4)),), {})
    assert runtime_of(content).count(".") == 2
