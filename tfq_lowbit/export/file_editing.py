"""Change a .tflite file that the stock converter wrote."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.export.writer import DEPRECATED_CODE_LIMIT, PACKED_TYPES, pack_model
from tfq_lowbit.packing import pack_codes

NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
STORED_AS = {"INT8": np.int8, "INT32": np.int32, "FLOAT16": np.float16, "FLOAT32": np.float32}


class FileEditor:
    """The first subgraph of a file, its tensors by index.

    Attributes:
        model: a `schema.ModelT`, changed in place.
        subgraph: its first subgraph.
    """

    def __init__(self, content):
        self.model = schema.ModelT.InitFromPackedBuf(content, 0)
        self.subgraph = self.model.subgraphs[0]
        self._codes = {}

    def float_constants(self) -> dict[int, np.ndarray]:
        """Return the float32 constants by index."""
        constants = {}
        for index, tensor in enumerate(self.subgraph.tensors):
            data = self.model.buffers[tensor.buffer].data
            is_float = tensor.type == schema.TensorType.FLOAT32
            if is_float and data is not None and len(data):
                values = np.frombuffer(bytes(data), np.float32)
                constants[index] = values.reshape(tensor.shape)
        return constants

    def tensor(self, index):
        """Return a `schema.TensorT`."""
        return self.subgraph.tensors[index]

    def sizes(self, index) -> list:
        """Return the sizes of a tensor, -1 where it is left to run time."""
        tensor = self.tensor(index)
        signature = tensor.shapeSignature
        return list(tensor.shape if signature is None or not len(signature) else signature)

    def num_bytes(self, index) -> int:
        """Return how many bytes a constant takes."""
        return len(self.model.buffers[self.tensor(index).buffer].data)

    def users(self, index) -> list:
        """Return the operators that take a tensor."""
        return [each for each in self.subgraph.operators if index in list(each.inputs)]

    def name_of(self, operator) -> str:
        """Return the name of an operator in the schema."""
        return NAMES[self.model.operatorCodes[operator.opcodeIndex].builtinCode]

    def add_tensor(self, name, sizes, values=None, stored_as="FLOAT32") -> int:
        """Add a tensor, a constant where there are values, and return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.hasRank = name, True
        tensor.type = getattr(schema.TensorType, stored_as)
        tensor.shape = [max(size, 1) for size in sizes]
        if -1 in sizes:
            tensor.shapeSignature = list(sizes)
        self.subgraph.tensors.append(tensor)
        index = len(self.subgraph.tensors) - 1
        if values is not None:
            self.store(index, values, stored_as)
        return index

    def store(self, index, values, stored_as):
        """Give a tensor other values, of a shape and type of their own."""
        tensor = self.tensor(index)
        self._release(tensor)
        if stored_as in PACKED_TYPES:
            content = pack_codes(values, PACKED_TYPES[stored_as]).tobytes()
        else:
            content = np.ascontiguousarray(values, STORED_AS[stored_as]).tobytes()
        tensor.buffer = self._add_buffer(content)
        tensor.shape = list(np.shape(values))
        tensor.type = getattr(schema.TensorType, stored_as)

    def set_scales(self, index, scales, axis=0):
        """Say by what the codes of a tensor are to be multiplied: one number, or one a channel."""
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.asarray(scales, np.float32).reshape(-1)
        quantization.zeroPoint = np.zeros(quantization.scale.size, np.int64)
        quantization.quantizedDimension = axis
        self.tensor(index).quantization = quantization

    def set_block_scales(self, index, scales, block_size):
        """Give codes of shape (channels, inputs) scales (channels, blocks), kept in float16."""
        details = schema.BlockwiseQuantizationT()
        details.scales = self.add_tensor(
            f"{self._label(index)}/scales", scales.shape, scales, "FLOAT16"
        )
        details.zeroPoints, details.blockSize = -1, block_size
        quantization = schema.QuantizationParametersT()
        quantization.detailsType = schema.QuantizationDetails.BlockwiseQuantization
        quantization.details = details
        self.tensor(index).quantization = quantization

    def set_version(self, operator, version):
        """Give an operator another version."""
        operator.opcodeIndex = self._code(self.name_of(operator), version)

    def make_operator(self, name, version, inputs, output):
        """Return a `schema.OperatorT` without options, in no place yet."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name, version)
        operator.inputs, operator.outputs = inputs, [output]
        return operator

    def make_reshape(self, version, source, output, sizes):
        """Return a RESHAPE."""
        shape = self.add_tensor(f"{self._label(output)}/shape", [len(sizes)], sizes, "INT32")
        operator = self.make_operator("RESHAPE", version, [source, shape], output)
        operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        operator.builtinOptions = schema.ReshapeOptionsT()
        operator.builtinOptions.newShape = list(sizes)
        return operator

    def make_product(self, version, left, right, output):
        """Return a MUL."""
        operator = self.make_operator("MUL", version, [left, right], output)
        operator.builtinOptionsType = schema.BuiltinOptions.MulOptions
        operator.builtinOptions = schema.MulOptionsT()
        return operator

    def add_metadata(self, name, content):
        """Put metadata in the place of what has the same name."""
        metadata = schema.MetadataT()
        metadata.name, metadata.buffer = name, self._add_buffer(content)
        kept = [each for each in self.model.metadata or () if each.name != name]
        self.model.metadata = [*kept, metadata]

    def pack(self) -> bytes:
        """Return the file."""
        return pack_model(self.model)

    def _label(self, index):
        name = self.tensor(index).name  # bytes where it was read
        return name if isinstance(name, str) else bytes(name).decode()

    def _add_buffer(self, content):
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def _release(self, tensor):
        """Empty the buffer of a tensor that no other tensor has."""
        users = [each for each in self.subgraph.tensors if each.buffer == tensor.buffer]
        if len(users) == 1 and tensor.buffer:
            self.model.buffers[tensor.buffer].data = None

    def _code(self, name, version):
        if (name, version) not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, DEPRECATED_CODE_LIMIT)
            code.version = version
            self._codes[name, version] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[name, version]
