"""Write a model with quantized weights and float activations as .tflite, and compare the two.

The stock converter writes the float graph; the codes that were trained then take the place of the
float kernels in its file.
"""

import json

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tfq_lowbit.export.fidelity import FloatAgreement, FloatFidelity
from tfq_lowbit.export.file_editing import FileEditor
from tfq_lowbit.export.float_conversion import MIN_RUNTIME, convert_function, converted_for
from tfq_lowbit.export.lowering import named_outputs
from tfq_lowbit.export.weight_matching import TrainedWeights, find_weights
from tfq_lowbit.export.weight_packing import PackedKernel, WeightPacker
from tfq_lowbit.export.writer import METADATA_NAME, RUNTIME_VERSION_BYTES, make_signature
from tfq_lowbit.model import as_batches, is_weight_only, read_graph, rebuild
from tfq_lowbit.targets import check_view
from tfq_lowbit.targets.reading import view_model
from tfq_lowbit.wrappers import QuantizeEmbedding, QuantizeWrapper, channel_axes

ACTIVATIONS = ("float", "dynamic")
INPUT_NAME, OUTPUT_NAME = "input_{}", "output_{}"


def write_weight_only(model, activations) -> tuple[bytes, list[PackedKernel], str]:
    """Return the bytes of a .tflite file with packed kernels and float tensors.

    Args:
        model: from `quantize_model` with `Recipe.weight_only`, or built with wrappers that have a
            kernel quantizer alone.
        activations: "float" puts a DEQUANTIZE behind every kernel: the runtime unpacks it once and
            computes in float. "dynamic" lets operators that can (see `FLOAT_VERSIONS`) take the
            codes and quantize their input to eight bits, by the range that it has in this call.
            Rows of embeddings are unpacked when they are looked up, in both.

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
    trained: dict[str, TrainedWeights] = {}
    editor = FileEditor(_convert(_with_plain_weights(graph, trained)))
    packer = WeightPacker(editor, activations)
    packed = _pack(editor, packer, trained)
    runtimes = ["2.10.0", converted_for(editor.model), *packer.runtimes]
    runtime = max(runtimes, key=lambda text: [int(part) for part in text.split(".")])
    _name_ends(editor, graph)
    editor.add_metadata(MIN_RUNTIME, runtime.encode().ljust(RUNTIME_VERSION_BYTES, b"\0"))
    editor.add_metadata(METADATA_NAME.encode(), json.dumps({"activations": activations}).encode())
    editor.model.description = "Exported by tfq_lowbit."
    content = editor.pack()
    for finding in check_view(view_model(editor.model), "litert").errors:
        raise RuntimeError(f"This file must not be written, please report it: {finding}")
    return content, packed, runtime


def _with_plain_weights(graph, trained):
    """Return the float model whose weights are codes times step sizes; fill in the codes."""

    def replacement(node):
        if not isinstance(node.layer, QuantizeWrapper | QuantizeEmbedding):
            return node.layer
        copy, trained[node.name] = _plain(node)
        return copy

    return rebuild(graph, replacement)


def _plain(node):
    """Return a float layer with the quantized weights, and those."""
    wrapper, layer = node.layer, node.layer.layer
    quantizer = wrapper.kernel_quantizer
    encoded = quantizer.encode(tf.convert_to_tensor(wrapper.latent_weights))
    copy = type(layer).from_config(layer.get_config())
    copy.build(node.data_inputs[0].shape)
    is_table = isinstance(layer, keras.layers.Embedding)
    bias = () if is_table or layer.bias is None else (np.array(layer.bias),)
    copy.set_weights([keras.ops.convert_to_numpy(quantizer.decode(encoded)), *bias])
    axes = (0,) if is_table else channel_axes(layer)
    codes = _as_matrix(encoded.codes, axes)
    steps = _as_matrix(tf.broadcast_to(encoded.step_size, encoded.codes.shape), axes)
    block_size = getattr(quantizer, "block_size", None)
    steps = steps[:: block_size or len(codes)]
    return copy, TrainedWeights(quantizer.num_bits, codes, steps, block_size)


def _as_matrix(values, axes):
    """Return values as (inputs, channels)."""
    values = np.array(values)
    axes = [axis % values.ndim for axis in axes]
    count = int(np.prod([values.shape[axis] for axis in axes]))
    last = np.moveaxis(values, axes, range(values.ndim - len(axes), values.ndim))
    return last.reshape(-1, count)


def _convert(model):
    """Return the stock converter's file of a float model."""
    signature = [
        tf.TensorSpec(tensor.shape, tensor.dtype, INPUT_NAME.format(index))
        for index, tensor in enumerate(model.inputs)
    ]

    def call(weights, *inputs):
        inputs = keras.tree.pack_sequence_as(model.input, list(inputs))
        outputs = model.stateless_call(*weights, inputs, training=False)[0]
        flat = keras.tree.flatten(outputs)
        return {OUTPUT_NAME.format(index): each for index, each in enumerate(flat)}

    refusal = f"Model {model.name!r} cannot be exported: the converter does not take it."
    return convert_function(model, call, signature, refusal)


def _pack(editor, packer, trained):
    """Pack the weights of all layers; return how they lie in the file."""
    constants, packed = editor.float_constants(), []
    for name, weights in trained.items():
        found = find_weights(constants, weights)
        if found is None:
            raise ValueError(
                f"Layer {name!r} cannot be exported with packed weights: the converter changed "
                "its weights so that they are no multiple of its codes. Give it no quantizer."
            )
        del constants[found.tensor]
        packed.append(packer.pack(name, found, weights))
    for name, weights in trained.items():  # what a shared layer has more than once
        while (found := find_weights(constants, weights)) is not None:
            del constants[found.tensor]
            packer.pack(name, found, weights)
    return packed


def _name_ends(editor, graph):
    """Order and name inputs and outputs as the Keras model does."""
    (made,) = editor.model.signatureDefs
    taken = {bytes(each.name).decode(): each.tensorIndex for each in made.inputs}
    given = {bytes(each.name).decode(): each.tensorIndex for each in made.outputs}
    inputs = [edge.name for edge in graph.input_edges]
    outputs = _output_names(graph)
    missing = [name for index, name in enumerate(inputs) if INPUT_NAME.format(index) not in taken]
    if missing:
        raise ValueError(
            f"Input {missing[0]!r} is not used by the model; export it without this input."
        )
    editor.subgraph.inputs = [taken[INPUT_NAME.format(index)] for index in range(len(inputs))]
    editor.subgraph.outputs = [given[OUTPUT_NAME.format(index)] for index in range(len(outputs))]
    editor.model.signatureDefs = [
        make_signature(inputs, editor.subgraph.inputs, outputs, editor.subgraph.outputs)
    ]


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
    """Return a few random inputs of a model: normal values, rows of tables, or 0 and 1."""
    random, inputs, graph = np.random.default_rng(0), [], read_graph(model)
    for edge in graph.input_edges:
        shape = (num_samples, *(size or 1 for size in edge.shape[1:]))
        is_real = keras.backend.is_float_dtype(edge.dtype)
        layers = [getattr(node.layer, "layer", node.layer) for node in graph.consumers(edge)]
        rows = min((getattr(layer, "input_dim", 2) for layer in layers), default=2)
        inputs.append(random.normal(size=shape) if is_real else random.integers(0, rows, shape))
        inputs[-1] = inputs[-1].astype(edge.dtype)
    return inputs


def _output_names(graph):
    """Return the names of the outputs in the order in which Keras flattens them."""
    if isinstance(graph.outputs, dict):
        return sorted(graph.outputs)
    return [name for name, _ in named_outputs(graph.outputs)]
