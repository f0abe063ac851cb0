"""Write a program as a .tflite flatbuffer."""

import json
import math

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from tfq_lowbit.export.operators import Island
from tfq_lowbit.export.program import (
    CUSTOM_OPTIONS,
    AnyTensor,
    Constant,
    IndexTensor,
    PackedTensor,
    Program,
    is_custom,
    storages_of,
)
from tfq_lowbit.export.splicing import splice
from tfq_lowbit.export.storage import INT16
from tfq_lowbit.packing import pack_codes
from tfq_lowbit.targets import check_view
from tfq_lowbit.targets.litert import Version
from tfq_lowbit.targets.reading import view_model

# Where the file says how it was written, as JSON: the arguments of `lower`, and under `NEEDS_NAME`
# the versions of the custom operators that it needs.
METADATA_NAME = "tfq_lowbit"
NEEDS_NAME = "custom_operators"
SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
RUNTIME_VERSION_BYTES = 16
DEPRECATED_CODE_LIMIT = 127
PACKED_TYPES = {"INT4": 4, "INT2": 2}
NATURAL_TYPES = {
    **{"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64},
    **{"UINT8": np.uint8, "FLOAT32": np.float32},
}
OPTIONAL_INPUT = -1
# Options whose values are names in an enumeration of the schema.
ENUMERATIONS = {
    "padding": schema.Padding,
    "fusedActivationFunction": schema.ActivationFunctionType,
    "inDataType": schema.TensorType,
    "outDataType": schema.TensorType,
}


def write_tflite(program: Program, target) -> bytes:
    """Return the bytes of the .tflite file of a program.

    Args:
        program: the lowered model.
        target: the `Target`, for operator versions and whether the batch is fixed.

    Returns:
        A flatbuffer with one subgraph, one signature "serving_default", and the first runtime
        version that runs it as metadata.

    Raises:
        RuntimeError: if LiteRT would refuse an operator or compute it wrongly: a fault of the
            lowering.
    """
    return _Writer(program, target).write()


def runtime_version(program: Program, target) -> str:
    """Return the first runtime that has every operator of a program in its version."""
    runtimes = [_version(operator, target).runtime for operator in program.operators]
    return max(runtimes, key=lambda text: [int(part) for part in text.split(".")], default="1.5.0")


def _version(operator, target):
    if isinstance(operator, Island):
        return Version(0, operator.runtime)
    weights = getattr(operator, "filter", None)
    stored_as = "" if weights is None else weights.type
    tables = target.beside("INT16" if INT16 in storages_of(operator) else "INT8")
    return tables.find_version(operator.code, stored_as, getattr(operator, "variant", ""))


def pack_model(model) -> bytes:
    """Return the bytes of a `schema.ModelT`."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


class _Writer:
    def __init__(self, program, target):
        self.program, self.target = program, target
        self.buffers = [schema.BufferT()]  # buffer 0 means "no data"
        self.buffers_by_content = {}
        self.tensors, self.indices = [], {}
        self.batches = {}  # by tensor, for one sample of the model
        self.codes = {}

    def write(self):
        subgraph = schema.SubGraphT()
        subgraph.name = self.program.name
        for tensor in self.program.inputs:
            self._index(tensor)
        subgraph.operators = [self._operator(operator) for operator in self.program.operators]
        subgraph.inputs = [self._index(tensor) for tensor in self.program.inputs]
        subgraph.outputs = [self._index(tensor) for tensor in self.program.outputs]
        subgraph.tensors = self.tensors
        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = "Exported by tfq_lowbit."
        model.subgraphs = [subgraph]
        model.operatorCodes = list(self.codes.values())
        model.signatureDefs = [
            make_signature(
                self.program.input_names,
                subgraph.inputs,
                self.program.output_names,
                subgraph.outputs,
            )
        ]
        runtime = runtime_version(self.program, self.target).encode()
        model.metadata = [
            self._metadata("min_runtime_version", runtime.ljust(RUNTIME_VERSION_BYTES, b"\0")),
            self._metadata(METADATA_NAME, json.dumps(self._description()).encode()),
        ]
        model.buffers = self.buffers
        for index, operator in reversed(list(enumerate(self.program.operators))):
            if isinstance(operator, Island):
                splice(model, index, operator.content, operator.name)
        for finding in check_view(view_model(model), "litert").errors:
            raise RuntimeError(f"This file must not be written, please report it: {finding}")
        return pack_model(model)

    def _description(self):
        """Return what the file says of itself."""
        needs = {
            operator.code: _version(operator, self.target).version
            for operator in self.program.operators
            if is_custom(operator)
        }
        return self.program.options | ({NEEDS_NAME: needs} if needs else {})

    def _operator(self, operator):
        written = schema.OperatorT()
        version = _version(operator, self.target).version
        self._note_batch(operator)
        if not isinstance(operator, Island):  # else it is replaced in the end
            written.opcodeIndex = self._operator_code(operator.code, version, is_custom(operator))
        written.inputs = [
            OPTIONAL_INPUT if each is None else self._index(each) for each in operator.inputs
        ]
        written.outputs = [self._index(operator.output)]
        name, values = operator.options()
        if name == CUSTOM_OPTIONS:
            content = _flexbuffer({"version": version, **values})
            written.customOptions = np.frombuffer(content, np.uint8)
            written.customOptionsFormat = schema.CustomOptionsFormat.FLEXBUFFERS
            return written
        if not name:
            return written
        written.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        written.builtinOptions = getattr(schema, f"{name}T")()
        for field, value in values.items():
            if field in ENUMERATIONS:
                value = getattr(ENUMERATIONS[field], value)
            setattr(written.builtinOptions, field, value)
        return written

    def _note_batch(self, operator):
        """Note the batch of an output: a change of shape may move steps into it, or out of it."""
        source = next(
            (each for each in operator.inputs if not isinstance(each, Constant | None)), None
        )
        if source is None:
            return
        batch = source.shape[0] or self.batches.get(source.name, 1)
        if operator.code == "RESHAPE":
            before, after = (math.prod(each.shape[1:]) for each in (source, operator.output))
            batch = batch * before // after
        self.batches[operator.output.name] = batch

    def _operator_code(self, name, version, custom):
        if (name, version) not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, "CUSTOM" if custom else name)
            code.customCode = name if custom else None
            code.deprecatedBuiltinCode = min(code.builtinCode, DEPRECATED_CODE_LIMIT)
            code.version = version
            self.codes[name, version] = code
        return list(self.codes).index((name, version))

    def _index(self, tensor):
        # Operators make their constants anew each time they are asked: the name is the identity.
        key = tensor.name
        if isinstance(tensor, Constant) and tensor.scales is None:
            # Axes, shapes and the like: one tensor for all who ask.
            key = tensor.type, tensor.values.shape, tensor.values.tobytes()
        if key not in self.indices:
            is_constant = isinstance(tensor, Constant)
            written = self._constant(tensor) if is_constant else self._variable(tensor)
            self.indices[key] = len(self.tensors)
            self.tensors.append(written)
        return self.indices[key]

    def _variable(self, tensor: AnyTensor):
        written = schema.TensorT()
        written.name = tensor.name
        written.hasRank = True
        shape, written.type = tensor.shape, schema.TensorType.FLOAT32
        if isinstance(tensor, PackedTensor):
            shape, written.type = tensor.words_shape, schema.TensorType.INT32
        elif isinstance(tensor, IndexTensor):
            written.type = schema.TensorType.INT32
        elif tensor.grid is not None:
            written.type = getattr(schema.TensorType, tensor.grid.type)
            written.quantization = _quantization([tensor.grid.scale], tensor.grid.zero_point)
        written.shape = [size or self.batches.get(tensor.name, 1) for size in shape]
        if not self.target.HAS_FIXED_BATCH:
            written.shapeSignature = [-1 if size is None else size for size in shape]
        return written

    def _constant(self, constant: Constant):
        written = schema.TensorT()
        written.name = constant.name
        written.hasRank = True
        written.shape = list(constant.values.shape)
        written.type = getattr(schema.TensorType, constant.type)
        if constant.type in PACKED_TYPES:
            data = pack_codes(constant.values, PACKED_TYPES[constant.type])
        else:
            data = np.ascontiguousarray(constant.values, NATURAL_TYPES[constant.type])
        written.buffer = self._buffer(data.tobytes())
        if constant.scales is not None:
            written.quantization = _quantization(
                constant.scales, constant.zero_point, constant.axis
            )
        return written

    def _buffer(self, content):
        if content not in self.buffers_by_content:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8)
            self.buffers_by_content[content] = len(self.buffers)
            self.buffers.append(buffer)
        return self.buffers_by_content[content]

    def _metadata(self, name, content):
        metadata = schema.MetadataT()
        metadata.name, metadata.buffer = name, self._buffer(content)
        return metadata


def make_signature(input_names, inputs, output_names, outputs):
    """Return the signature "serving_default" that names inputs and outputs of a subgraph."""
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = _tensor_map(input_names, inputs)
    signature.outputs = _tensor_map(output_names, outputs)
    return signature


def _flexbuffer(values):
    """Return a map of integers as a flexbuffer."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in values.items():
            builder.Key(key)
            builder.Int(int(value))
    return bytes(builder.Finish())


def _tensor_map(names, indices):
    written = []
    for name, index in zip(names, indices, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        written.append(entry)
    return written


def _quantization(scales, zero_point, axis=0):
    scales = np.asarray(scales, np.float32)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ValueError(
            "Scales must be finite and positive. Received: "
            f"{scales.min()} .. {scales.max()}: the model was trained to infinity or NaN."
        )
    written = schema.QuantizationParametersT()
    written.scale = scales
    written.zeroPoint = np.full(scales.shape, zero_point, np.int64)
    written.quantizedDimension = axis
    return written
