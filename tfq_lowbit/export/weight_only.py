"""Write a model with quantized weights and float activations as .tflite, and compare the two.

The stock converter writes the float graph; the codes that were trained then take the place of the
float kernels in its file.
"""

import dataclasses
import json
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tfq_lowbit.export.fidelity import FloatAgreement, FloatFidelity
from tfq_lowbit.export.float_conversion import MIN_RUNTIME, runtime_of
from tfq_lowbit.export.lowering import named_outputs
from tfq_lowbit.export.weight_matching import find_kernel
from tfq_lowbit.export.writer import (
    METADATA_NAME,
    RUNTIME_VERSION_BYTES,
    make_signature,
    pack_model,
)
from tfq_lowbit.model import as_batches, is_weight_only, read_graph
from tfq_lowbit.packing import pack_codes
from tfq_lowbit.wrappers import QuantizeWrapper, channel_axes

ACTIVATIONS = ("float", "dynamic")
INPUT_NAME, OUTPUT_NAME = "input_{}", "output_{}"
BITS = {"INT8": 8, "INT4": 4, "INT2": 2}


class _Version(NamedTuple):
    """An operator's version, and a runtime that has it and computes it rightly."""

    version: int
    runtime: str


# What takes packed weights beside float activations, which it quantizes on the way: checked with
# LiteRT 2.3.0, XNNPACK and builtin kernels. What has no row takes float weights.
DYNAMIC = {
    ("FULLY_CONNECTED", "INT8"): _Version(12, "2.17.0"),
    ("FULLY_CONNECTED", "INT4"): _Version(12, "2.19.0"),
    ("FULLY_CONNECTED", "INT2"): _Version(14, "2.21.0"),
    ("CONV_2D", "INT8"): _Version(5, "2.17.0"),
    ("CONV_2D", "INT4"): _Version(7, "2.19.0"),
    ("DEPTHWISE_CONV_2D", "INT8"): _Version(6, "2.17.0"),
}
DEQUANTIZE = {
    "INT8": _Version(5, "2.17.0"),
    "INT4": _Version(6, "2.19.0"),
    "INT2": _Version(7, "2.21.0"),
}


@dataclasses.dataclass(frozen=True)
class PackedKernel:
    """How one kernel lies in the file.

    Attributes:
        name: of the layer.
        operator: that takes it.
        num_bits: width that it was trained at.
        stored_as: type in the file.
        num_bytes: of its codes.
        is_dynamic: whether the operator takes the codes, and quantizes its input on the way; else a
            DEQUANTIZE stands between.
    """

    name: str
    operator: str
    num_bits: int
    stored_as: str
    num_bytes: int
    is_dynamic: bool


def write_weight_only(model, activations) -> tuple[bytes, list[PackedKernel], str]:
    """Return the bytes of a .tflite file with packed kernels and float tensors.

    Args:
        model: from `quantize_model` with `Recipe.weight_only`, or built with wrappers that have a
            kernel quantizer alone.
        activations: "float" puts a DEQUANTIZE behind every kernel: the runtime unpacks it once and
            computes in float. "dynamic" lets operators that can (see `DYNAMIC`) take the codes and
            quantize their input to eight bits, by the range that it has in this call.

    Returns:
        The bytes, how each kernel lies in them, and the first runtime.

    Raises:
        ValueError: if an argument is unknown, activations have quantizers, which would be lost, or
            the converter does not take a layer.
    """
    if activations not in ACTIVATIONS:
        raise ValueError(
            f"Argument `activations` must be 'int8' or one of {ACTIVATIONS}. "
            f"Received: {activations!r}"
        )
    graph = read_graph(model)
    if not is_weight_only(graph):
        raise ValueError(
            f"Model {graph.name!r} cannot be written with activations={activations!r}: quantizers "
            "on its activations would be lost, or it has no quantized weights. Leave the argument "
            "out, or quantize with Recipe.weight_only()."
        )
    kernels: dict[str, np.ndarray] = {}
    content = _convert(_with_plain_kernels(graph, kernels))
    return _Rewriter(content, graph, activations).write(kernels)


def _with_plain_kernels(graph, kernels):
    """Return the float model whose kernels are codes times step sizes; fill in the codes."""
    copies: dict[int, keras.layers.Layer] = {}

    def call(node, args, kwargs):
        if not isinstance(node.layer, QuantizeWrapper):
            return node.layer(*args, **kwargs)
        if id(node.layer) not in copies:
            copies[id(node.layer)], kernels[node.name] = _plain(node)
        return copies[id(node.layer)](*args, **kwargs)

    def new_input(edge):
        return keras.Input(batch_shape=edge.shape, dtype=edge.dtype, name=edge.name)

    inputs = keras.tree.map_structure(new_input, graph.inputs)
    outputs = graph.run(keras.tree.flatten(inputs), call)
    return keras.Model(keras.tree.flatten(inputs), outputs, name=graph.name)


def _plain(node):
    """Return a float layer with the quantized kernel, and the codes as (inputs, channels)."""
    wrapper, layer = node.layer, node.layer.layer
    encoded = wrapper.kernel_quantizer.encode(tf.convert_to_tensor(layer.kernel))
    copy = type(layer).from_config(layer.get_config())
    copy.build(node.data_inputs[0].shape)
    kernel = keras.ops.convert_to_numpy(wrapper.kernel_quantizer.decode(encoded))
    copy.set_weights([kernel] if layer.bias is None else [kernel, np.array(layer.bias)])
    codes = np.array(encoded.codes)
    axes = [axis % codes.ndim for axis in channel_axes(layer)]
    count = int(np.prod([codes.shape[axis] for axis in axes]))
    last = np.moveaxis(codes, axes, range(codes.ndim - len(axes), codes.ndim))
    return copy, last.reshape(-1, count)


def _convert(model):
    """Return the stock converter's file of a float model."""
    signature = [
        tf.TensorSpec(tensor.shape, tensor.dtype, INPUT_NAME.format(index))
        for index, tensor in enumerate(model.inputs)
    ]
    # Constants: without variables there is nothing for the converter to freeze.
    weights = [
        [tf.constant(keras.ops.convert_to_numpy(each)) for each in group]
        for group in (model.trainable_variables, model.non_trainable_variables)
    ]

    def call(*inputs):
        outputs = model.stateless_call(*weights, list(inputs), training=False)[0]
        flat = keras.tree.flatten(outputs)
        return {OUTPUT_NAME.format(index): each for index, each in enumerate(flat)}

    function = tf.function(call, input_signature=signature, autograph=False)
    try:
        concrete = function.get_concrete_function()
        return tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
    except Exception as error:  # a ConverterError, or what a layer raises while it is traced
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise ValueError(
            f"Model {model.name!r} cannot be exported: the converter does not take it. "
            f"The reason: {reason}"
        ) from error


def verify_weight_only(model, content, data, argument="data") -> FloatFidelity:
    """Compare a Keras model and its file with float activations on the same inputs.

    Args:
        model: the model that was exported.
        content: bytes of the file.
        data: inputs as the Keras model takes them.
        argument: what the user calls `data`, for the errors.
    """
    graph = read_graph(model)
    interpreter = Interpreter(model_content=content, num_threads=1)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    names = _output_names(graph)
    fidelity = FloatFidelity()
    for batch in as_batches(graph, data, argument):
        for detail, values in zip(inputs, batch, strict=True):
            interpreter.resize_tensor_input(detail["index"], np.shape(values))
        interpreter.allocate_tensors()
        for detail, values in zip(inputs, batch, strict=True):
            interpreter.set_tensor(detail["index"], np.asarray(values, detail["dtype"]))
        interpreter.invoke()
        made = [interpreter.get_tensor(detail["index"]) for detail in outputs]
        expected = model.predict_on_batch(keras.tree.pack_sequence_as(graph.inputs, batch))
        fidelity.num_samples += len(batch[0])
        for name, one, other in zip(names, keras.tree.flatten(expected), made, strict=True):
            fidelity.outputs.setdefault(name, FloatAgreement()).update(one, other)
    return fidelity


def random_reals(model, num_samples=4):
    """Return a few random inputs of a model: normal values, or small integers."""
    random, inputs = np.random.default_rng(0), []
    for edge in read_graph(model).input_edges:
        shape = (num_samples, *(size or 1 for size in edge.shape[1:]))
        is_real = keras.backend.is_float_dtype(edge.dtype)
        inputs.append(random.normal(size=shape) if is_real else random.integers(0, 2, shape))
        inputs[-1] = inputs[-1].astype(edge.dtype)
    return inputs


class _Rewriter:
    def __init__(self, content, graph, activations):
        self.model = schema.ModelT.InitFromPackedBuf(content, 0)
        self.subgraph = self.model.subgraphs[0]
        self.graph, self.activations = graph, activations
        self.runtimes = ["2.10.0", runtime_of(content)]
        self.codes = {}

    def write(self, kernels):
        """Return what `write_weight_only` does."""
        constants, packed = self._constants(), []
        widths = {node.name: node.layer.kernel_quantizer.num_bits for node in self._wrapped()}
        for name, codes in kernels.items():
            found = find_kernel(constants, codes)
            if found is None:
                raise ValueError(
                    f"Layer {name!r} cannot be exported with packed weights: the converter changed "
                    "its kernel so that it is no multiple of its codes. Give it no quantizer."
                )
            del constants[found.tensor]
            packed.append(self._pack(name, found, widths[name]))
        for name, codes in kernels.items():  # what a shared layer has more than once
            while (found := find_kernel(constants, codes)) is not None:
                del constants[found.tensor]
                self._pack(name, found, widths[name])
        runtime = max(self.runtimes, key=lambda text: [int(part) for part in text.split(".")])
        self._describe(runtime)
        return pack_model(self.model), packed, runtime

    def _constants(self):
        constants = {}
        for index, tensor in enumerate(self.subgraph.tensors):
            data = self.model.buffers[tensor.buffer].data
            is_float = tensor.type == schema.TensorType.FLOAT32
            if is_float and data is not None and len(data):
                values = np.frombuffer(bytes(data), np.float32)
                constants[index] = values.reshape(tensor.shape)
        return constants

    def _wrapped(self):
        return [node for node in self.graph.nodes if isinstance(node.layer, QuantizeWrapper)]

    def _pack(self, name, found, bits):
        """Put codes in the place of a float constant."""
        users = [each for each in self.subgraph.operators if found.tensor in list(each.inputs)]
        names = {self._name(each) for each in users}
        natural = "INT2" if bits == 2 else "INT4" if bits <= 4 else "INT8"
        wider = [each for each in ("INT2", "INT4", "INT8") if BITS[each] >= BITS[natural]]
        fits = [each for each in wider if all((name, each) in DYNAMIC for name in names)]
        is_dynamic = self.activations == "dynamic" and bool(fits)
        stored = fits[0] if is_dynamic else natural
        self._store(found, stored)
        if is_dynamic:
            for operator in users:
                row = DYNAMIC[self._name(operator), stored]
                operator.opcodeIndex = self._code(self._name(operator), row.version)
                self.runtimes.append(row.runtime)
        else:
            self._dequantize(name, found, stored, users)
        size = len(self.model.buffers[self.subgraph.tensors[found.tensor].buffer].data)
        return PackedKernel(name, ", ".join(sorted(names)), bits, stored, size, is_dynamic)

    def _store(self, found, stored):
        tensor = self.subgraph.tensors[found.tensor]
        self._release(tensor)
        bits = BITS[stored]
        data = found.codes if bits == BITS["INT8"] else pack_codes(found.codes, bits)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        tensor.buffer = len(self.model.buffers)
        self.model.buffers.append(buffer)
        tensor.type = getattr(schema.TensorType, stored)
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = found.scales
        tensor.quantization.zeroPoint = np.zeros(len(found.scales), np.int64)
        tensor.quantization.quantizedDimension = found.axis

    def _release(self, tensor):
        """Empty the buffer of a tensor that no other tensor has."""
        users = [each for each in self.subgraph.tensors if each.buffer == tensor.buffer]
        if len(users) == 1:
            self.model.buffers[tensor.buffer].data = None

    def _dequantize(self, name, found, stored, users):
        codes = self.subgraph.tensors[found.tensor]
        reals = schema.TensorT()
        reals.name, reals.shape = f"{name}/kernel".encode(), codes.shape
        reals.type, reals.hasRank = schema.TensorType.FLOAT32, True
        index = len(self.subgraph.tensors)
        self.subgraph.tensors.append(reals)
        row, operator = DEQUANTIZE[stored], schema.OperatorT()
        operator.opcodeIndex = self._code("DEQUANTIZE", row.version)
        operator.inputs, operator.outputs = [found.tensor], [index]
        self.runtimes.append(row.runtime)
        for user in users:
            user.inputs = [index if each == found.tensor else each for each in user.inputs]
        self.subgraph.operators.insert(0, operator)

    def _name(self, operator):
        code = self.model.operatorCodes[operator.opcodeIndex].builtinCode
        names = vars(schema.BuiltinOperator).items()
        return next(name for name, value in names if value == code)

    def _code(self, name, version):
        if (name, version) not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = version
            self.codes[name, version] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self.codes[name, version]

    def _signature(self):
        """Order and name inputs and outputs as the Keras model does."""
        (made,) = self.model.signatureDefs
        taken = {bytes(each.name).decode(): each.tensorIndex for each in made.inputs}
        given = {bytes(each.name).decode(): each.tensorIndex for each in made.outputs}
        inputs = [edge.name for edge in self.graph.input_edges]
        outputs = _output_names(self.graph)
        missing = [
            name for index, name in enumerate(inputs) if INPUT_NAME.format(index) not in taken
        ]
        if missing:
            raise ValueError(
                f"Input {missing[0]!r} is not used by the model; export it without this input."
            )
        self.subgraph.inputs = [taken[INPUT_NAME.format(index)] for index in range(len(inputs))]
        self.subgraph.outputs = [given[OUTPUT_NAME.format(index)] for index in range(len(outputs))]
        self.model.signatureDefs = [
            make_signature(inputs, self.subgraph.inputs, outputs, self.subgraph.outputs)
        ]

    def _describe(self, runtime):
        """Say in the file how it was written."""
        self._signature()
        kept = [each for each in self.model.metadata or () if each.name != MIN_RUNTIME]
        own = {
            MIN_RUNTIME: runtime.encode().ljust(RUNTIME_VERSION_BYTES, b"\0"),
            METADATA_NAME: json.dumps({"activations": self.activations}).encode(),
        }
        for name, content in own.items():
            buffer, metadata = schema.BufferT(), schema.MetadataT()
            buffer.data = np.frombuffer(content, np.uint8)
            metadata.name, metadata.buffer = name, len(self.model.buffers)
            self.model.buffers.append(buffer)
            kept.append(metadata)
        self.model.metadata = kept
        self.model.description = "Exported by tfq_lowbit."


def _output_names(graph):
    """Return the names of the outputs in the order in which Keras flattens them."""
    if isinstance(graph.outputs, dict):
        return sorted(graph.outputs)
    return [name for name, _ in named_outputs(graph.outputs)]
