"""What is in a .tflite file, ours or another's, as `check` looks at it."""

import os
import pathlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

FILE_IDENTIFIER = b"TFL3"
TYPES = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
ACTIVATIONS = {value: name for name, value in vars(schema.ActivationFunctionType).items()}
PADDINGS = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
STORED = {"INT8": np.int8, "INT32": np.int32, "INT64": np.int64, "UINT8": np.uint8}


@dataclass(frozen=True, eq=False)
class TensorView:
    """A tensor of a file.

    Attributes:
        name: of the tensor.
        type: name in the schema, "INT8".
        shape: its sizes.
        is_free: whether any size is left to be set at run time.
        scales: float32, empty for plain numbers.
        zero_points: int64, likewise.
        axis: of the scales.
        block_size: number of codes that share a scale of another tensor, 0 where none do.
        content: bytes of a constant, None for a tensor that is computed or fed.
    """

    name: str
    type: str
    shape: tuple
    is_free: bool
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    block_size: int
    content: np.ndarray | None

    @property
    def is_constant(self):
        """Whether the file holds its values."""
        return self.content is not None

    @property
    def grid(self):
        """Scale and zero point, None where there is not one of each."""
        if self.scales.size != 1 or self.zero_points.size != 1:
            return None
        return float(self.scales[0]), int(self.zero_points[0])

    @property
    def values(self):
        """The values of a constant of whole bytes, flat."""
        assert self.content is not None
        return np.frombuffer(self.content.tobytes(), STORED[self.type])


@dataclass(frozen=True, eq=False)
class OperatorView:
    """An operator of a file.

    Attributes:
        index: its place, from 0.
        code: name in the schema, or of a custom operator.
        version: of the operator.
        is_custom: whether the runtime itself does not have it.
        inputs: tensors, None for an optional one left out.
        outputs: tensors.
        options: the schema's options, None where it has none.
    """

    index: int
    code: str
    version: int
    is_custom: bool
    inputs: tuple[TensorView | None, ...]
    outputs: tuple[TensorView, ...]
    options: Any

    @property
    def name(self):
        """Name of its first output, after the layer in files of Keras models."""
        return self.outputs[0].name if self.outputs else ""

    @property
    def tensors(self):
        """All its tensors."""
        return (*(each for each in self.inputs if each is not None), *self.outputs)

    @property
    def data(self):
        """Its computed or fed inputs."""
        return [each for each in self.inputs if each is not None and not each.is_constant]

    @property
    def source(self):
        """Its first input, None where it has none."""
        return self.inputs[0] if self.inputs else None

    @property
    def weights(self):
        """Its second input, the filter of an operator that has one, None where it has none."""
        return self.inputs[1] if len(self.inputs) > 1 else None

    def option(self, name, default=None):
        """Return the value of an option."""
        return getattr(self.options, name, default)

    @property
    def activation(self):
        """Name of its fused activation, "NONE" where it has none."""
        return ACTIVATIONS[self.option("fusedActivationFunction", 0)]

    @property
    def padding(self):
        """Name of its padding, "SAME" or "VALID"."""
        return PADDINGS[self.option("padding", schema.Padding.VALID)]


@dataclass(frozen=True, eq=False)
class FileView:
    """A file.

    Attributes:
        num_bytes: its size, 0 where it is not written yet.
        operators: of all subgraphs.
        inputs: tensors of the first subgraph.
        outputs: likewise.
        num_subgraphs: how many there are.
    """

    num_bytes: int
    operators: tuple[OperatorView, ...]
    inputs: tuple[TensorView, ...]
    outputs: tuple[TensorView, ...]
    num_subgraphs: int

    @cached_property
    def constant_bytes(self):
        """Bytes of all constants, each counted once."""
        constants = {
            id(tensor.content): len(tensor.content)
            for operator in self.operators
            for tensor in operator.tensors
            if tensor.content is not None
        }
        return sum(constants.values())


def read_bytes(path_or_bytes) -> bytes:
    """Return the content of a .tflite file.

    Raises:
        ValueError: if it does not exist or is no .tflite file.
        TypeError: if the argument is neither a path nor bytes.
    """
    if isinstance(path_or_bytes, bytes | bytearray | memoryview):
        content = bytes(path_or_bytes)
    elif isinstance(path_or_bytes, str | os.PathLike):
        try:
            content = pathlib.Path(path_or_bytes).read_bytes()
        except OSError as error:
            raise ValueError(
                "Argument `path_or_bytes` must name a .tflite file that can be read "
                f"({error.strerror}). Received: {str(path_or_bytes)!r}"
            ) from error
    else:
        raise TypeError(
            "Argument `path_or_bytes` must be a path or the bytes of a .tflite file. Received: "
            f"{type(path_or_bytes).__name__}"
        )
    if content[4:8] != FILE_IDENTIFIER:
        raise ValueError(
            "Argument `path_or_bytes` must be a .tflite model. Received: content that starts with "
            f"{content[:8]!r}"
        )
    return content


def read_file(content: bytes) -> FileView:
    """Read the bytes of a .tflite file."""
    return view_model(schema.ModelT.InitFromPackedBuf(content, 0), len(content))


def view_model(model, num_bytes=0) -> FileView:
    """Read a `schema.ModelT`."""
    subgraphs = [
        [_tensor(model, each) for each in subgraph.tensors or ()] for subgraph in model.subgraphs
    ]
    operators: list[OperatorView] = []
    for subgraph, tensors in zip(model.subgraphs, subgraphs, strict=True):
        for operator in subgraph.operators or ():
            operators.append(_operator(model, operator, tensors, len(operators)))
    main, tensors = model.subgraphs[0], subgraphs[0]
    return FileView(
        num_bytes,
        tuple(operators),
        tuple(tensors[index] for index in _listed(main.inputs)),
        tuple(tensors[index] for index in _listed(main.outputs)),
        len(subgraphs),
    )


def _operator(model, operator, tensors, index):
    code = model.operatorCodes[operator.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    is_custom = builtin == schema.BuiltinOperator.CUSTOM
    return OperatorView(
        index,
        _text(code.customCode) if is_custom else OPERATORS.get(builtin, f"BUILTIN_{builtin}"),
        code.version,
        is_custom,
        tuple(None if each < 0 else tensors[each] for each in _listed(operator.inputs)),
        tuple(tensors[each] for each in _listed(operator.outputs)),
        operator.builtinOptions,
    )


def _tensor(model, tensor):
    quantization = tensor.quantization
    scales = None if quantization is None else quantization.scale
    zero_points = None if quantization is None else quantization.zeroPoint
    shape = tuple(int(size) for size in _listed(tensor.shape))
    signature = [int(size) for size in _listed(tensor.shapeSignature)]
    return TensorView(
        _text(tensor.name),
        TYPES.get(tensor.type, str(tensor.type)),
        shape,
        -1 in (signature or shape),
        np.asarray(_listed(scales), np.float32),
        np.asarray(_listed(zero_points), np.int64),
        0 if quantization is None else quantization.quantizedDimension,
        getattr(getattr(quantization, "details", None), "blockSize", 0),
        _content(model.buffers[tensor.buffer].data),
    )


def _content(data):
    return None if data is None or not len(data) else np.asarray(data, np.uint8)


def _listed(values):
    return [] if values is None else list(values)


def _text(value):
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
