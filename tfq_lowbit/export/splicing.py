"""Put the operators of one flatbuffer in the place of an operator of another."""

from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.export.float_conversion import INPUT_NAME

# Options that name another subgraph by its index.
SUBGRAPH_FIELDS = (
    "condSubgraphIndex",
    "bodySubgraphIndex",
    "thenSubgraphIndex",
    "elseSubgraphIndex",
    "initSubgraphIndex",
    "subgraphIndex",
)
NO_TENSOR = -1


def splice(model, index, content, name):
    """Replace an operator of the first subgraph of a model by those of a file.

    Args:
        model: a `schema.ModelT`, changed in place.
        index: of the operator. Its inputs and output become those of the file.
        content: bytes of a .tflite file, its inputs named by `INPUT_NAME`.
        name: what goes before the names of the file's other tensors.

    Raises:
        ValueError: if the file has other inputs than the operator.
    """
    part = schema.ModelT.InitFromPackedBuf(content, 0)
    splicer = _Splicer(model, part, name)
    subgraph, main = model.subgraphs[0], part.subgraphs[0]
    placeholder = subgraph.operators[index]
    tensors = splicer.outer_tensors(main, placeholder)
    for position, tensor in enumerate(main.tensors):
        if position not in tensors:
            tensors[position] = len(subgraph.tensors)
            subgraph.tensors.append(splicer.tensor(tensor))
    operators = [splicer.operator(operator, tensors) for operator in main.operators or ()]
    subgraph.operators[index : index + 1] = operators
    for inner in part.subgraphs[1:]:
        same = {position: position for position in range(len(inner.tensors))}
        inner.tensors = [splicer.tensor(tensor) for tensor in inner.tensors]
        inner.operators = [splicer.operator(each, same) for each in inner.operators or ()]
        model.subgraphs.append(inner)


class _Splicer:
    def __init__(self, model, part, name):
        self.model, self.part, self.name = model, part, name
        self.buffers = {0: 0}
        self.codes = [self._code(code) for code in part.operatorCodes]
        self.offset = len(model.subgraphs) - 1  # the part's first subgraph is not appended

    def outer_tensors(self, main, placeholder):
        """Return which tensors of the part are tensors of the model, by their indices."""
        by_name = {bytes(main.tensors[each].name): each for each in main.inputs}
        tensors = {}
        for index, outer in enumerate(placeholder.inputs):
            label = INPUT_NAME.format(index).encode()
            found = [each for name, each in by_name.items() if label in _words(name)]
            if len(found) != 1:
                raise ValueError(
                    f"The float island {self.name!r} does not use its input {index}, so that the "
                    "converter leaves it out. Call the layer without it."
                )
            tensors[found[0]] = outer
        (made,), (output,) = main.outputs, placeholder.outputs
        if made in tensors:
            raise ValueError(
                f"The float island {self.name!r} returns its input as it is. Leave the layer out."
            )
        return tensors | {made: output}

    def tensor(self, tensor):
        """Return a tensor of the part, with its data in the model."""
        tensor.name = f"{self.name}/".encode() + bytes(tensor.name or b"")
        if tensor.buffer not in self.buffers:
            data = self.part.buffers[tensor.buffer].data
            is_empty = data is None or len(data) == 0
            self.buffers[tensor.buffer] = 0 if is_empty else len(self.model.buffers)
            if not is_empty:
                self.model.buffers.append(self.part.buffers[tensor.buffer])
        tensor.buffer = self.buffers[tensor.buffer]
        return tensor

    def operator(self, operator, tensors):
        """Return an operator of the part, its indices those of the model."""
        operator.opcodeIndex = self.codes[operator.opcodeIndex]
        for field in ("inputs", "outputs", "intermediates"):
            indices = getattr(operator, field)
            if indices is not None:
                mapped = [each if each == NO_TENSOR else tensors[each] for each in indices]
                setattr(operator, field, mapped)
        for field in SUBGRAPH_FIELDS:
            inner = getattr(operator.builtinOptions, field, None)
            if inner is not None and inner >= 0:
                setattr(operator.builtinOptions, field, inner + self.offset)
        return operator

    def _code(self, code):
        key = _code_key(code)
        for index, known in enumerate(self.model.operatorCodes):
            if _code_key(known) == key:
                return index
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


def _code_key(code):
    return code.builtinCode, code.customCode, code.version


def _words(name):
    """Return the parts of a tensor's name: "serving_default_x:0" may have ends of its own."""
    return name.replace(b":", b" ").replace(b"serving_default_", b"").split()
