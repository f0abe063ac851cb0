"""What is in a .tflite file: operators, tensors and bytes by type."""

import collections
import dataclasses

from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.native.delegate import DELEGATE
from tfq_lowbit.runtime.interpreter import read_model

OWN_PREFIX = "Tfq"
RUNTIME_METADATA = b"min_runtime_version"
TYPES = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}


@dataclasses.dataclass(frozen=True)
class Contents:
    """A .tflite file in numbers; prints as tables.

    Attributes:
        num_bytes: size of the file.
        min_runtime_version: first runtime that runs it, "unknown" where the file does not say.
        operators: for each operator and its version, how many there are.
        inputs: name, type and shape of each input.
        outputs: likewise.
        constant_bytes: bytes of the constants of each type.
        custom_operators: names of those operators that are no part of the runtime.
    """

    num_bytes: int
    min_runtime_version: str
    operators: dict[tuple[str, int], int]
    inputs: tuple[tuple[str, str, tuple], ...]
    outputs: tuple[tuple[str, str, tuple], ...]
    constant_bytes: dict[str, int]
    custom_operators: tuple[str, ...] = ()

    def __str__(self):
        lines = [f"{self.num_bytes:,} bytes, runtime {self.min_runtime_version} or newer"]
        own = [name for name in self.custom_operators if name.startswith(OWN_PREFIX)]
        others = [name for name in self.custom_operators if name not in own]
        if own:
            lines.append(f"needs {DELEGATE} for {', '.join(own)}")
        if others:
            lines.append(f"needs custom operators that are not this library's: {', '.join(others)}")
        for title, tensors in (("input", self.inputs), ("output", self.outputs)):
            lines += [f"{title}: {name} {type_} {shape}" for name, type_, shape in tensors]
        lines.append("operators:")
        lines += [
            f"  {count:4d} {name} version {version}"
            for (name, version), count in sorted(self.operators.items())
        ]
        lines.append("constants:")
        lines += [f"  {size:12,} bytes {name}" for name, size in self.constant_bytes.items()]
        return "\n".join(lines)


def read_contents(path_or_bytes) -> Contents:
    """Read what is in a .tflite file, without running it.

    Args:
        path_or_bytes: path of a .tflite file, or its content.

    Returns:
        The `Contents`.

    Raises:
        ValueError: if the file does not exist or is no .tflite file.

    Example:
        >>> print(read_contents("model.tflite"))  # doctest: +SKIP
    """
    content = read_model(path_or_bytes)
    if content[4:8] != b"TFL3":
        raise ValueError(
            "Argument `path_or_bytes` must be a .tflite model. Received: content that starts with "
            f"{content[:8]!r}"
        )
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    operators: collections.Counter = collections.Counter()
    constant_bytes: collections.Counter = collections.Counter()
    counted = set()
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or ():
            code = model.operatorCodes[operator.opcodeIndex]
            builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
            name = code.customCode.decode() if code.customCode else OPERATORS[builtin]
            operators[name, code.version] += 1
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is not None and tensor.buffer not in counted:
                counted.add(tensor.buffer)
                constant_bytes[TYPES[tensor.type]] += len(data)
    custom = {code.customCode.decode() for code in model.operatorCodes or () if code.customCode}
    main = model.subgraphs[0]
    return Contents(
        num_bytes=len(content),
        min_runtime_version=_runtime_version(model),
        operators=dict(operators),
        inputs=tuple(_describe(main.tensors[index]) for index in main.inputs),
        outputs=tuple(_describe(main.tensors[index]) for index in main.outputs),
        constant_bytes=dict(constant_bytes.most_common()),
        custom_operators=tuple(sorted(custom)),
    )


def _runtime_version(model):
    for metadata in model.metadata or ():
        if metadata.name == RUNTIME_METADATA:
            return bytes(model.buffers[metadata.buffer].data).rstrip(b"\0").decode()
    return "unknown"


def _describe(tensor):
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    sizes = () if shape is None else tuple(None if size == -1 else int(size) for size in shape)
    return tensor.name.decode(), TYPES[tensor.type], sizes
