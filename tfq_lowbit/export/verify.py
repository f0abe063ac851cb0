"""Prove that a file computes what the Keras model computes."""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tfq_lowbit.export.fidelity import (
    KERAS_LITERT,
    KERAS_LOWERED,
    LOWERED_LITERT,
    Agreement,
    Fidelity,
    FloatFidelity,
)
from tfq_lowbit.export.lower import lower
from tfq_lowbit.export.program import (
    AnyTensor,
    FloatTensor,
    IndexTensor,
    PackedTensor,
    Program,
    storages_of,
    taken_by,
)
from tfq_lowbit.export.storage import INT16
from tfq_lowbit.export.unpacking import unpack_filters
from tfq_lowbit.export.weight_only import verify_weight_only
from tfq_lowbit.export.writer import METADATA_NAME, NEEDS_NAME, pack_model
from tfq_lowbit.model import as_batches, is_no_op, read_graph
from tfq_lowbit.native import load_delegate
from tfq_lowbit.targets import TARGETS
from tfq_lowbit.wrappers import QuantizeActivation

# Of a step. A sum of float32 as long as those of layers is off by less.
TIE_TOLERANCE = 2.0**-10


def verify(model, path, data, per_layer=False) -> Fidelity | FloatFidelity:
    """Compare a Keras model, its lowered graph and LiteRT on the same inputs.

    Args:
        model: the model with quantizers that was exported.
        path: the .tflite file, written by `export_tflite`.
        data: inputs as the Keras model takes them: an array, a list or dict of arrays, or a
            dataset of batches.
        per_layer: also compare layer by layer. Each layer of the Keras model and each operator
            of the lowered graph is fed the codes that the runtime computed for its inputs, so
            that a difference is named where it arises.

    Returns:
        A `Fidelity`; for a file with float activations a `FloatFidelity` of its outputs.

    Raises:
        ValueError: if the file was not written by this library, or the data do not fit.
    """
    content = pathlib.Path(path).read_bytes()
    if "activations" in (_options_of(content) or {}):
        return verify_weight_only(model, content, data)
    return verify_program(model, program_of(model, content), content, data, per_layer)


def program_of(model, content) -> Program:
    """Lower `model` as it was for the file `content`.

    Raises:
        ValueError: if the file does not say how it was written.
    """
    options = _options_of(content)
    if options is not None:
        options.pop(NEEDS_NAME, None)
        return lower(model, **options)
    raise ValueError(
        "The file holds no metadata of this library, so its layers cannot be matched to the "
        "model's. Verify files written by tfq.export_tflite."
    )


def _options_of(content):
    """Return what a file says of how it was written, None where it does not."""
    written = schema.ModelT.InitFromPackedBuf(content, 0)
    for metadata in written.metadata or ():
        if metadata.name == METADATA_NAME.encode():
            return json.loads(bytes(written.buffers[metadata.buffer].data))
    return None


def verify_program(model, program, content, data, per_layer=False, argument="data") -> Fidelity:
    """Compare as `verify` does, with the program and the file's bytes at hand.

    `argument` is what the user calls `data`, for the errors.
    """
    graph = read_graph(model)
    fidelity = Fidelity(islands=tuple(island.name for island in program.islands))
    content = unpack_filters(content, TARGETS[program.options["target"]].UNPACKED_TO_VERIFY)
    runtime = _Runtime(content, program)
    spied = _Runtime(_with_all_outputs(content, program), program) if per_layer else None
    coded = _coded_outputs(program)
    function = tf.function(
        lambda *inputs: list(map(program.run(inputs).get, coded)),
        autograph=False,  # nothing to convert, and it warns where it cannot read the source
    )
    has_int16 = any(INT16 in storages_of(operator) for operator in program.operators)
    run = _by_sample(function) if runtime.has_fixed_batch and has_int16 else function
    for batch in as_batches(graph, data, argument):
        fidelity.num_samples += len(batch[0])
        fed = [_fed(tensor, values) for tensor, values in zip(program.inputs, batch, strict=True)]
        computed = {
            "keras": _keras_codes(model, graph, coded, batch),
            "lowered": [np.asarray(codes) for codes in run(*map(tf.constant, fed))],
            "litert": runtime.output_codes(fed),
        }
        for pair in (KERAS_LITERT, KERAS_LOWERED, LOWERED_LITERT):
            left, right = (computed[side] for side in pair.split(" ~ "))
            for name, one, other in zip(program.output_names, left, right, strict=True):
                _agreement(fidelity.outputs, name, pair).update(one, other)
        if spied is not None:
            codes = spied.all_codes(fed)
            _compare_operators(fidelity, program, codes, runtime.has_fixed_batch)
            _compare_layers(fidelity, graph, program, batch, codes)
    return fidelity


class _Runtime:
    """LiteRT with its default resolver, and our delegate if the file needs it, on one file."""

    def __init__(self, content, program):
        self.program, self.coded = program, _coded_outputs(program)
        self.has_fixed_batch = TARGETS[program.options["target"]].HAS_FIXED_BATCH
        self.interpreter = Interpreter(
            model_content=content,
            num_threads=1,
            experimental_delegates=[load_delegate()] if program.custom_operators else None,
        )
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()

    def invoke(self, fed):
        if not self.has_fixed_batch:
            return self._invoke(fed)
        made = [
            self._invoke([values[index : index + 1] for values in fed])
            for index in range(len(fed[0]))
        ]
        return {name: np.concatenate([each[name] for each in made]) for name in made[0]}

    def _invoke(self, fed):
        for detail, values in zip(self.inputs, fed, strict=True):
            if tuple(detail["shape"]) != values.shape:
                self.interpreter.resize_tensor_input(detail["index"], values.shape)
        self.interpreter.allocate_tensors()
        self.inputs = self.interpreter.get_input_details()
        for detail, values in zip(self.inputs, fed, strict=True):
            self.interpreter.set_tensor(detail["index"], values)
        self.interpreter.invoke()
        return {
            detail["name"]: self.interpreter.get_tensor(detail["index"]) for detail in self.outputs
        }

    def output_codes(self, fed):
        made = self.invoke(fed)
        return [
            made[output.name] if output is coded else coded.grid.encode(made[output.name])
            for output, coded in zip(self.program.outputs, self.coded, strict=True)
        ]

    def all_codes(self, fed):
        """Return what every operator made, packed bits as values."""
        made = self.invoke(fed)
        for tensor in (operator.output for operator in self.program.operators):
            if isinstance(tensor, PackedTensor):
                made[tensor.name] = tensor.unpack(made[tensor.name])
        fed = zip(self.program.inputs, fed, strict=True)
        return made | {tensor.name: values for tensor, values in fed}


def _with_all_outputs(content, program):
    """Return the file with every tensor that an operator of the program makes as an output."""
    names = {operator.output.name.encode() for operator in program.operators}
    written = schema.ModelT.InitFromPackedBuf(content, 0)
    subgraph = written.subgraphs[0]
    subgraph.outputs = [
        index
        for operator in subgraph.operators
        for index in operator.outputs
        if subgraph.tensors[index].name in names
    ]
    written.signatureDefs = []
    return pack_model(written)


def _coded_outputs(program):
    """Return the int8 tensor of each output: itself, or what it is dequantized from."""
    made_by = {operator.output: operator for operator in program.operators}
    return [tensor if tensor.grid else made_by[tensor].source for tensor in program.outputs]


def _fed(tensor: AnyTensor, values):
    if isinstance(tensor, IndexTensor):
        return values.astype(np.int32)
    return tensor.grid.encode(values) if tensor.grid else values.astype(np.float32)


def _keras_codes(model, graph, coded, batch):
    inputs = keras.tree.pack_sequence_as(graph.inputs, batch)
    outputs = keras.tree.flatten(model.predict_on_batch(inputs))
    count = len(batch[0])  # a distributed model returns the batch once a replica
    return [
        tensor.grid.encode(values[:count]) for tensor, values in zip(coded, outputs, strict=True)
    ]


def _by_sample(function):
    """Return a function that runs `function` on one sample after the other, as the runtime does.

    Some int16 kernels round the last codes of a tensor otherwise than those before.
    """

    def run(*arrays):
        samples = [
            function(*(values[index : index + 1] for values in arrays))
            for index in range(len(arrays[0]))
        ]
        return [np.concatenate(each) for each in zip(*samples, strict=True)]

    return run


def _compare_operators(fidelity, program, codes, has_fixed_batch):
    for operator in program.operators:
        if isinstance(operator.output, FloatTensor):
            continue
        taken = [tf.cast(codes[each.name], tf.float32) for each in taken_by(operator)]
        if has_fixed_batch and INT16 in storages_of(operator):
            compute = operator.compute
            (computed,) = _by_sample(lambda *each, compute=compute: [compute(*each)])(*taken)
        else:
            computed = operator.compute(*taken).numpy()
        agreement = _agreement(fidelity.layers, operator.output.name, LOWERED_LITERT)
        agreement.update(computed, codes[operator.output.name])


def _compare_layers(fidelity, graph, program, batch, codes):
    """Run the Keras layers, each on the values that the runtime computed for its inputs."""

    def replace(name, values, reals=None):
        tensor = program.edges.get(name)
        if tensor is None:
            return values
        agreement = _agreement(fidelity.layers, tensor.name, KERAS_LITERT)
        is_tie = None if reals is None else _is_tie(tensor.grid, reals)
        agreement.update(tensor.grid.encode(values), codes[tensor.name], is_tie)
        return tf.constant(tensor.grid.decode(codes[tensor.name]))

    def replace_signs(tensor, quantizer, values):
        """Compare the signs that a binary layer takes; return values that have the runtime's."""
        signs = np.reshape(codes[tensor.name], values.shape)
        agreement = _agreement(fidelity.layers, tensor.name, KERAS_LITERT)
        agreement.update(np.asarray(quantizer.encode(values).codes) < 0, signs < 0)
        thresholds = np.asarray(quantizer.thresholds(), np.float32)
        below = thresholds - (np.float32(1) + np.abs(thresholds))
        return tf.constant(np.where(signs < 0, below, thresholds))

    def call(node, args, kwargs):
        source = program.edges.get(f"{node.name}/input")
        if isinstance(source, PackedTensor):
            args = (replace_signs(source, node.layer.input_quantizer, args[0]), *args[1:])
        elif source is not None:
            quantized = node.layer.input_quantizer(args[0])
            args = (replace(f"{node.name}/input", quantized, args[0]), *args[1:])
        # Random layers train unless told otherwise.
        outputs = args[0] if is_no_op(node.layer) else node.layer(*args, **kwargs)
        for name in (node.name, f"{node.name}/output"):
            if name in program.edges:
                flat = keras.tree.flatten(outputs)
                reals = args[0] if isinstance(node.layer, QuantizeActivation) else None
                flat[0] = replace(name, flat[0], reals)
                outputs = keras.tree.pack_sequence_as(outputs, flat)
        return outputs

    graph.run([tf.constant(values) for values in batch], call)


def _is_tie(grid, reals):
    """Return where reals lie in the middle between two codes, as far as float32 can tell."""
    scaled = np.asarray(reals, np.float64) / np.float64(grid.scale)
    return np.abs(scaled - np.floor(scaled) - 0.5) < TIE_TOLERANCE


def _agreement(table, name, pair):
    return table.setdefault(name, {}).setdefault(pair, Agreement())
