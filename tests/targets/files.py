"""Files of one operator, as any converter may write them."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.export.writer import pack_model

STORED = {"INT32": np.int32, "FLOAT32": np.float32}
GRID = (0.05, 3)


def tensor(shape, type="INT8", grid=GRID, values=None, axis=0, free=False):
    """Returns what `one_operator` takes as a tensor.

    `grid` is scale and zero point, or scales and zero points by channel, or None; `values` make it
    a constant.
    """
    return dict(shape=shape, type=type, grid=grid, values=values, axis=axis, free=free)


def weights(*shape, type="INT8", scales=(0.02,), zero_points=None, axis=0):
    """Returns a constant filter."""
    grid = np.array(scales), np.zeros(len(scales)) if zero_points is None else zero_points
    return tensor(shape, type, grid, np.ones(shape), axis)


def in_blocks(*shape, type="INT4", block=32):
    """Returns a constant filter with scales by blocks, which nobody reads here."""
    return weights(*shape, type=type) | dict(block=block)


def bias(size, scale=0.001):
    return tensor((size,), "INT32", (scale, 0), np.zeros(size))


def integers(*values):
    """Returns a constant of integers, as axes are."""
    return tensor(np.shape(values), "INT32", None, values)


def one_operator(code, inputs, outputs, options=None, version=1, custom=None, copies=1):
    """Returns the bytes of a file; `options` is the schema's name of a table, and its fields."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, graph.tensors = 3, [schema.BufferT()], []
    indices = [_add(model, graph, index, each) for index, each in enumerate((*inputs, *outputs))]
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = indices[: len(inputs)], indices[len(inputs) :]
    if options is not None:
        name, fields = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = getattr(schema, f"{name}T")()
        for field, value in fields.items():
            setattr(operator.builtinOptions, field, value)
    graph.operators = [operator]
    computed = [each for each in inputs if each is not None and each["values"] is None]
    graph.inputs = [indices[list(map(id, inputs)).index(id(each))] for each in computed]
    graph.outputs = list(operator.outputs)
    found = schema.OperatorCodeT()
    found.builtinCode = getattr(schema.BuiltinOperator, code)
    found.deprecatedBuiltinCode, found.version = min(found.builtinCode, 127), version
    found.customCode = custom
    model.operatorCodes, model.subgraphs = [found], [graph] * copies
    return pack_model(model)


def _add(model, graph, index, given):
    if given is None:
        return -1
    written = schema.TensorT()
    written.name, written.shape = f"tensor_{index}", list(given["shape"])
    written.type = getattr(schema.TensorType, given["type"])
    if given["free"]:
        written.shapeSignature = [-1, *given["shape"][1:]]
    if given["grid"] is not None:
        written.quantization = schema.QuantizationParametersT()
        scales, zero_points = map(np.atleast_1d, given["grid"])
        written.quantization.scale = scales.astype(np.float32)
        written.quantization.zeroPoint = zero_points.astype(np.int64)
        written.quantization.quantizedDimension = given["axis"]
    if given.get("block"):
        details = schema.BlockwiseQuantizationT()
        details.blockSize, details.scales, details.zeroPoints = given["block"], 0, -1
        written.quantization = schema.QuantizationParametersT()
        written.quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        written.quantization.details = details
    if given["values"] is not None:
        buffer = schema.BufferT()
        values = np.asarray(given["values"]).astype(STORED.get(given["type"], np.int8))
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        written.buffer = len(model.buffers)
        model.buffers.append(buffer)
    graph.tensors.append(written)
    return len(graph.tensors) - 1
