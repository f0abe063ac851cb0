"""Small .tflite files with the custom operators, written without the exporter."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint8): schema.TensorType.UINT8,
}
BCONV2D = {
    "version": 1,
    "kernel_height": 1,
    "kernel_width": 1,
    "stride_height": 1,
    "stride_width": 1,
    "dilation_height": 1,
    "dilation_width": 1,
    "groups": 1,
    "padding": 0,
    "planes": 1,
    "codes": 0,
    "zero_point": 0,
    "low": 0,
    "high": 0,
}
BDENSE = {"version": 1, "planes": 1, "codes": 0, "zero_point": 0, "low": 0, "high": 0}
BITPACK = {"version": 1, "planes": 1, "lowest": 0}
BMAXPOOL = {
    "version": 1,
    "kernel_height": 2,
    "kernel_width": 2,
    "stride_height": 2,
    "stride_width": 2,
    "padding": 0,
}
PRELU = {"version": 1, "low": -128, "high": 127}


class ModelBuilder:
    """Puts a .tflite file together: tensors are indices, one subgraph.

    A size of None in a shape is open: the file says 1, and the signature -1.
    """

    def __init__(self):
        self._buffers = [schema.BufferT()]
        self._tensors = []
        self._operators = []
        self._codes = []
        self._inputs = []

    def tensor(self, shape, dtype, name=None, quantization=None):
        """Adds a tensor without values; `quantization` is (scale, zero point)."""
        tensor = schema.TensorT()
        tensor.shape = [1 if size is None else size for size in shape]
        if None in shape:
            tensor.shapeSignature = [-1 if size is None else size for size in shape]
        tensor.type = TYPES[np.dtype(dtype)]
        tensor.name = name or f"t{len(self._tensors)}"
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = (
                [each] for each in quantization
            )
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def input(self, shape, dtype, **arguments):
        index = self.tensor(shape, dtype, **arguments)
        self._inputs.append(index)
        return index

    def constant(self, values):
        values = np.ascontiguousarray(values)
        index = self.tensor(values.shape, values.dtype)
        buffer = schema.BufferT()
        buffer.data = values.reshape(-1).view(np.uint8)
        self._tensors[index].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return index

    def custom(self, name, inputs, output, options):
        """Adds a custom operator; arrays among the inputs become constants, None is absent.

        Options are a dictionary, or the bytes themselves.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(custom=name)
        operator.inputs = [self._index(each) for each in inputs]
        operator.outputs = [output]
        if isinstance(options, dict):
            options = bytes(flexbuffers.Dumps(options))
        operator.customOptions = list(options)
        self._operators.append(operator)
        return output

    def builtin(self, name, inputs, output, options=None):
        """Adds an operator of LiteRT's own; `options` is an object of the schema."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(builtin=getattr(schema.BuiltinOperator, name))
        operator.inputs = [self._index(each) for each in inputs]
        operator.outputs = [output]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self._operators.append(operator)
        return output

    def build(self, *outputs):
        """Returns the file's bytes."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = self._inputs, list(outputs)
        graph.name = "main"
        model = schema.ModelT()
        model.version = 3
        model.description = "made by hand"
        model.subgraphs, model.buffers, model.operatorCodes = [graph], self._buffers, self._codes
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _index(self, tensor):
        if tensor is None:
            return -1
        return tensor if isinstance(tensor, int) else self.constant(tensor)

    def _code(self, builtin=schema.BuiltinOperator.CUSTOM, custom=None):
        for index, code in enumerate(self._codes):
            if (code.builtinCode, code.customCode) == (builtin, custom):
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
        code.customCode, code.version = custom, 1
        self._codes.append(code)
        return len(self._codes) - 1


def one_operator(name, x, constants, output, options):
    """A file of one custom operator.

    Args:
        name: of the operator.
        x: (shape, dtype) of the input.
        constants: arrays, None where absent.
        output: (shape, dtype).
        options: dictionary or bytes.
    """
    builder = ModelBuilder()
    inputs = [builder.input(*x), *constants]
    return builder.build(builder.custom(name, inputs, builder.tensor(*output), options))
