"""The file: operator codes and versions, tensors, packed buffers, signature, metadata."""

import json
import math

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from tests.export import test_bit_operators as bits
from tests.export.test_operators import TABLE, Draw, program_of
from tfq_lowbit.export.program import Constant, FloatTensor, Grid, Tensor
from tfq_lowbit.export.writer import METADATA_NAME, NEEDS_NAME, runtime_version, write_tflite
from tfq_lowbit.targets import TARGETS

LITERT = TARGETS["litert"]


# Row of the operators' table: operator, version, first runtime.
VERSIONS = {
    "conv": ("CONV_2D", 3, "1.14.0"),
    "conv in groups": ("CONV_2D", 6, "2.12.0"),
    "depthwise": ("DEPTHWISE_CONV_2D", 3, "1.14.0"),
    "dense": ("FULLY_CONNECTED", 4, "2.10.0"),
    "dense of a sequence": ("FULLY_CONNECTED", 5, "2.10.0"),
    "dense of one scale": ("FULLY_CONNECTED", 4, "1.14.0"),
    "dense of a sequence and one scale": ("FULLY_CONNECTED", 5, "2.0.0"),
    "dense int4 of one scale": ("FULLY_CONNECTED", 10, "2.20.0"),
    "dense int4": ("FULLY_CONNECTED", 10, "2.20.0"),
    "dense of an image": ("FULLY_CONNECTED", 10, "2.20.0"),
    "dense int2": ("FULLY_CONNECTED", 14, "2.21.0"),
    "dense int2 of a sequence": ("FULLY_CONNECTED", 14, "2.21.0"),
    "transposed": ("TRANSPOSE_CONV", 3, "2.18.0"),
    "transposed relu6": ("TRANSPOSE_CONV", 4, "2.18.0"),
    "product by head": ("BATCH_MATMUL", 2, "2.21.0"),
    "add": ("ADD", 2, "1.14.0"),
    "requantize to finer": ("MUL", 3, "1.15.0"),
    "requantize to coarser": ("MUL", 2, "1.14.0"),
    "maximum": ("MAXIMUM", 2, "1.14.0"),
    "minimum": ("MINIMUM", 2, "1.14.0"),
    "softmax": ("SOFTMAX", 2, "1.14.0"),
    "max pooling": ("MAX_POOL_2D", 2, "1.14.0"),
    "average pooling": ("AVERAGE_POOL_2D", 2, "1.14.0"),
    "mean": ("MEAN", 2, "1.14.0"),
    "reshape to another grid": ("RESHAPE", 1, "1.5.0"),
    "pad": ("PAD", 2, "1.14.0"),
    "slice of rows": ("SLICE", 2, "1.14.0"),
    "strided slice of rows": ("STRIDED_SLICE", 2, "1.14.0"),
    "transpose": ("TRANSPOSE", 2, "1.14.0"),
    "nearest, larger": ("RESIZE_NEAREST_NEIGHBOR", 3, "2.3.0"),
    "bilinear, odd": ("RESIZE_BILINEAR", 3, "2.12.0"),
    "concatenation of rows": ("CONCATENATION", 2, "1.14.0"),
    "subtract": ("SUB", 3, "2.3.0"),
    "logistic": ("LOGISTIC", 2, "1.14.0"),
    "tanh": ("TANH", 2, "1.14.0"),
    "elu": ("ELU", 1, "2.3.0"),
    "gelu": ("GELU", 2, "2.10.0"),
    "cast": ("CAST", 1, "2.3.0"),
    "offset": ("ADD", 1, "1.5.0"),
    "gather": ("GATHER", 2, "1.14.0"),
    "lookup of int4": ("EMBEDDING_LOOKUP", 4, "2.18.0"),
    "lookup of int2": ("EMBEDDING_LOOKUP", 5, "2.21.0"),
    "quantize": ("QUANTIZE", 1, "1.14.0"),
    "dequantize": ("DEQUANTIZE", 2, "1.14.0"),
}
# Row of the bit operators' table: likewise, and the options beside the version.
BIT_VERSIONS = {
    "conv strided": (
        "TfqBconv2d",
        {
            **{"channels_in": 40, "planes": 1, "codes": 0, "groups": 1, "padding": 2},
            **{"kernel_height": 3, "kernel_width": 3, "stride_height": 2, "stride_width": 3},
            **{"dilation_height": 1, "dilation_width": 1},
            **{"zero_point": -9, "low": -100, "high": 90},
        },
    ),
    "dense to signs": (
        "TfqBdense",
        {"channels_in": 70, "planes": 1, "codes": 0, "zero_point": 0, "low": 0, "high": 0},
    ),
    "dense ternary of two planes": (
        "TfqBdense",
        {"channels_in": 70, "planes": 2, "codes": 1, "zero_point": -9, "low": -100, "high": 90},
    ),
    "bitpack": ("TfqBitpack", {"planes": 1, "lowest": 0}),
    "bitpack of two planes": ("TfqBitpack", {"planes": 2, "lowest": 124}),
    "max pooling same": (
        "TfqBmaxpool",
        {
            **{"kernel_height": 3, "kernel_width": 2, "stride_height": 2, "stride_width": 1},
            "padding": 1,
        },
    ),
    "prelu": ("TfqPrelu", {"low": -120, "high": 99}),
}
BIT_VERSION, BIT_RUNTIME = 1, "2.21.0"
PACKED_BITS = {schema.TensorType.INT4: 4, schema.TensorType.INT2: 2}


def written(name, seed=0):
    program = program_of(TABLE[name](Draw(seed)))
    program.options = {"target": "litert", "prefer": "size"}
    content = write_tflite(program, LITERT)
    return program, schema.ModelT.InitFromPackedBuf(content, 0), content


def decode(data, num_bits, count):
    number = int.from_bytes(bytes(data), "little")
    fields = [number >> (k * num_bits) & (2**num_bits - 1) for k in range(count)]
    return [field - 2**num_bits if field >> (num_bits - 1) else field for field in fields]


@pytest.mark.parametrize("name", VERSIONS)
def test_an_operator_has_its_code_and_version_and_the_file_its_runtime(name):
    operator, version, runtime = VERSIONS[name]
    program, model, _ = written(name)
    (code,) = model.operatorCodes
    assert code.builtinCode == getattr(schema.BuiltinOperator, operator)
    assert code.deprecatedBuiltinCode == min(code.builtinCode, 127)
    assert code.version == version
    assert runtime_version(program, LITERT) == runtime
    metadata = {entry.name.decode(): entry.buffer for entry in model.metadata}
    stored = bytes(model.buffers[metadata["min_runtime_version"]].data)
    assert stored == runtime.encode().ljust(16, b"\0")


def bits_written(name):
    operator = bits.TABLE[name](bits.Draw(0))
    program = bits.program_of(operator)
    content = write_tflite(program, LITERT)
    return program, schema.ModelT.InitFromPackedBuf(content, 0)


@pytest.mark.parametrize("name", BIT_VERSIONS)
def test_a_custom_operator_has_its_name_version_and_options(name):
    operator, options = BIT_VERSIONS[name]
    program, model = bits_written(name)
    (code,) = model.operatorCodes
    assert code.builtinCode == code.deprecatedBuiltinCode == schema.BuiltinOperator.CUSTOM
    assert (code.customCode.decode(), code.version) == (operator, BIT_VERSION)
    (stored,) = model.subgraphs[0].operators
    assert stored.customOptionsFormat == schema.CustomOptionsFormat.FLEXBUFFERS
    content = np.array(stored.customOptions, np.uint8).tobytes()
    assert flexbuffers.Loads(content) == {"version": BIT_VERSION, **options}
    assert runtime_version(program, LITERT) == BIT_RUNTIME
    metadata = {entry.name.decode(): entry.buffer for entry in model.metadata}
    needs = json.loads(bytes(model.buffers[metadata[METADATA_NAME]].data))
    assert needs == {NEEDS_NAME: {operator: BIT_VERSION}}


def test_an_operator_without_options_is_written_so():
    _, model = bits_written("flips")
    (stored,), (code,) = model.subgraphs[0].operators, model.operatorCodes
    assert code.builtinCode == schema.BuiltinOperator.BITWISE_XOR and code.customCode is None
    assert stored.builtinOptions is None and stored.customOptions is None


def test_an_optional_input_that_is_left_out_is_minus_one():
    _, model = bits_written("conv with window sums")
    (stored,) = model.subgraphs[0].operators
    assert [index >= 0 for index in stored.inputs] == [True] * 4 + [False] * 2 + [True]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv", [-1, 7, 6, 2]),
        ("conv of two planes", [-1, 7, 6, 4]),
        ("dense of a sequence", [-1, 4, 3]),
    ],
)
def test_packed_tensors_are_words(name, shape):
    _, model = bits_written(name)
    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.type == schema.TensorType.INT32 and tensor.quantization is None
    assert list(tensor.shapeSignature) == shape
    weights = graph.tensors[graph.operators[0].inputs[1]]
    assert weights.type == schema.TensorType.UINT8


def test_the_table_of_versions_holds_every_operator_and_version():
    found = {
        (operator, *LITERT.find_version(*key)) for key in LITERT.VERSIONS for operator in key[:1]
    }
    # LiteRT has them in kernels that round twice: they are for microcontrollers.
    packed = {(f"{kind}CONV_2D", 7, "2.11.0") for kind in ("", "DEPTHWISE_")}
    ours = {(operator, BIT_VERSION, BIT_RUNTIME) for operator, _ in BIT_VERSIONS.values()}
    assert found == set(VERSIONS.values()) | packed | ours | {("BITWISE_XOR", 1, "2.14.0")}


def test_the_newest_operator_decides_the_runtime():
    new, old = (program_of(TABLE[name](Draw(0))) for name in ("dense int2", "conv in groups"))
    old.operators += new.operators
    assert runtime_version(old, LITERT) == "2.21.0"  # not the greater text, "2.9.0"


@pytest.mark.parametrize("name", TABLE)
def test_tensors_say_shape_type_and_grid(name):
    program, model, _ = written(name)
    assert len(model.subgraphs) == 1 and model.version == 3
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    (operator,) = program.operators
    for tensor in (*operator.inputs, operator.output):
        stored = tensors[tensor.name]
        if isinstance(tensor, Constant):
            assert list(stored.shape) == list(tensor.values.shape)
            assert stored.type == getattr(schema.TensorType, tensor.type)
        else:
            batch = 1
            if operator.code == "RESHAPE" and tensor is operator.output:  # it may take rows
                batch = math.prod(operator.source.shape[1:]) // math.prod(tensor.shape[1:])
            assert list(stored.shape) == [batch, *tensor.shape[1:]]
            assert list(stored.shapeSignature) == [-1, *tensor.shape[1:]]
        if isinstance(tensor, FloatTensor):
            assert stored.type == schema.TensorType.FLOAT32
        elif isinstance(tensor, Tensor):
            assert stored.type == getattr(schema.TensorType, tensor.grid.type)
            assert list(stored.quantization.scale) == [tensor.grid.scale]
            assert list(stored.quantization.zeroPoint) == [tensor.grid.zero_point]


@pytest.mark.parametrize(
    "name", ["conv", "depthwise", "dense", "dense int4", "dense int2", "dense of an image"]
)
def test_weights_come_back_from_the_file(name):
    program, model, _ = written(name)
    (operator,) = program.operators
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    stored = tensors[operator.filter.name]
    data, codes = model.buffers[stored.buffer].data, operator.filter.values
    bits = PACKED_BITS.get(stored.type, 8)
    assert len(data) == -(-codes.size * bits // 8)
    assert decode(data, bits, codes.size) == codes.reshape(-1).tolist()
    np.testing.assert_array_equal(stored.quantization.scale, operator.filter.scales)
    assert not np.any(stored.quantization.zeroPoint)
    assert stored.quantization.quantizedDimension == operator.filter.axis
    bias = tensors[operator.bias.name]
    assert bytes(model.buffers[bias.buffer].data) == operator.bias.values.tobytes()
    np.testing.assert_allclose(
        bias.quantization.scale, operator.source.grid.scale * operator.filter.scales, rtol=1e-6
    )


def test_the_signature_names_inputs_and_outputs():
    _, model, _ = written("add")
    (signature,) = model.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [entry.name for entry in signature.inputs] == [b"left", b"right"]
    subgraph = model.subgraphs[0]
    assert [entry.tensorIndex for entry in signature.inputs] == list(subgraph.inputs)
    assert [entry.name for entry in signature.outputs] == [b"output_0"]
    assert [entry.tensorIndex for entry in signature.outputs] == list(subgraph.outputs)


def test_the_file_says_how_it_was_lowered():
    program, model, _ = written("dense")
    metadata = {entry.name.decode(): entry.buffer for entry in model.metadata}
    stored = bytes(model.buffers[metadata[METADATA_NAME]].data)
    assert json.loads(stored) == program.options


@pytest.mark.parametrize("name", ["conv", "dense int2", "concatenation of seven", "softmax"])
def test_the_same_program_gives_the_same_bytes(name):
    assert written(name)[2] == written(name)[2]


def test_a_file_is_a_tflite_file():
    assert written("conv")[2][4:8] == b"TFL3"


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan])
def test_a_scale_that_is_no_scale_is_refused(scale):
    operator = TABLE["dense"](Draw(0))
    operator.output.grid = Grid(np.float32(scale), 0)
    with pytest.raises(ValueError, match="Scales must be finite and positive"):
        write_tflite(program_of(operator), LITERT)


def test_equal_constants_are_stored_once():
    first, second = (TABLE["pad"](Draw(0)) for _ in range(2))
    second.source, second.output.name = first.output, "second"
    program = program_of(first)
    program.operators.append(second)
    model = schema.ModelT.InitFromPackedBuf(write_tflite(program, LITERT), 0)
    assert len(model.subgraphs[0].tensors) == 4  # input, paddings, two outputs
    assert len(model.operatorCodes) == 1
