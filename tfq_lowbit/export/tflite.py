"""Export a model with quantizers as an integer .tflite file, and prove what it computes."""

from dataclasses import dataclass

import numpy as np

from tfq_lowbit.export.fidelity import LOWERED_LITERT, Fidelity, FloatFidelity
from tfq_lowbit.export.files import require_writable_file, write_whole
from tfq_lowbit.export.lower import lower
from tfq_lowbit.export.operators import (
    BitKernelOperator,
    EmbeddingLookup,
    FlattenRows,
    Gather,
    KernelOperator,
)
from tfq_lowbit.export.pending_binary import BinaryWeights
from tfq_lowbit.export.pending_kernel import IntegerWeights
from tfq_lowbit.export.program import IndexTensor
from tfq_lowbit.export.verify import verify_program
from tfq_lowbit.export.weight_only import random_reals, verify_weight_only, write_weight_only
from tfq_lowbit.export.writer import runtime_version, write_tflite
from tfq_lowbit.native.delegate import DELEGATE
from tfq_lowbit.targets import TARGETS, Finding, check

RANDOM_SAMPLES = 4
# What packed weights cost a convolution: benchmarks/packed_convolution.md.
WINDOW_COSTS = {"INT4": "1.2 to 2.2 times", "INT2": "2.5 to 3.5 times"}


@dataclass(frozen=True)
class ExportedLayer:
    """How the weights of one layer were stored.

    Attributes:
        name: path of the layer.
        operator: the operator that computes it.
        num_bits: width it was trained at.
        stored_as: type of the file.
        num_bytes: bytes of its weights in the file.
        note: what the choice costs, or what the target changed, "" where nothing.
        plain_reason: why it does not run on bits, "" where it does.
    """

    name: str
    operator: str
    num_bits: int
    stored_as: str
    num_bytes: int
    note: str = ""
    plain_reason: str = ""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote and found.

    Attributes:
        path: the file.
        target: the target it is for.
        num_bytes: its size.
        min_runtime_version: first TensorFlow or LiteRT release that runs it.
        layers: the layers with weights.
        fidelity: the comparison of Keras, lowered graph and LiteRT; a `FloatFidelity` of Keras and
            LiteRT where activations are in float.
        is_random_data: whether the comparison ran on random inputs.
        custom_operators: names of the custom operators in the file, which need the delegate.
        findings: rules of the target that the file breaks; such operators run elsewhere.
        islands: for each layer that stayed in float, its name and why.
    """

    path: str
    target: str
    num_bytes: int
    min_runtime_version: str
    layers: tuple[ExportedLayer, ...]
    fidelity: Fidelity | FloatFidelity
    is_random_data: bool
    custom_operators: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    islands: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        lines = [
            f"{self.path}: {self.num_bytes:,} bytes for {self.target}, "
            f"runtime {self.min_runtime_version} or newer"
        ]
        for layer in self.layers:
            note = f"  ({layer.note})" if layer.note else ""
            lines.append(
                f"  {layer.name}: {_bits(layer.num_bits)} in {layer.stored_as}, "
                f"{layer.num_bytes:,} bytes, {layer.operator}{note}"
            )
        if self.custom_operators:
            lines.append(f"needs {DELEGATE} for {', '.join(self.custom_operators)}")
            plain = [layer for layer in self.layers if layer.plain_reason]
            lines.append("not on bits:" if plain else "every layer with weights runs on bits")
            lines += [f"  {layer.name}: {layer.plain_reason}" for layer in plain]
        lines += [f"  {name}: in float: {reason}" for name, reason in self.islands]
        lines += [str(finding) for finding in self.findings]
        lines.append(str(self.fidelity) + (" (random inputs)" if self.is_random_data else ""))
        codes = self.fidelity if isinstance(self.fidelity, Fidelity) else None
        if codes is not None and not codes.is_exact and not self.islands:
            lines.append(
                f"WARNING: LiteRT on this machine parts from the lowered graph ({LOWERED_LITERT})."
            )
        return "\n".join(lines)


def export_tflite(
    model,
    path,
    target="litert",
    prefer="size",
    input_type=None,
    output_type=None,
    verify_data=None,
    custom_ops="binary",
    activations="int8",
) -> ExportReport:
    """Write a model with quantizers as a full-integer .tflite file and verify it.

    The trained codes are written as they are, with batch normalization folded into scales and
    int32 biases. Binary layers become custom operators, which `libtfq_delegate.so` brings to any
    LiteRT; their batch normalization, activation, pooling and the sign that follows become one
    integer threshold a channel. The file appears whole or not at all.

    Args:
        model: a calibrated or trained model from `quantize_model`, or built with wrappers.
        path: where to write; an existing file is replaced.
        target: "litert", "edgetpu", "ethos-u" or "tflm". The file of each also runs in LiteRT, in
            which it is verified, and the report says what its tables changed.
        prefer: "size" stores weights at their width (int2, int4, int8); "speed" stores a layer
            wider where the runtime is faster so. The codes are the same.
        input_type: "float32", or "int8" to be fed codes ("int16" where activations have 16 bits);
            None takes "float32" for "litert" and codes for the others ("edgetpu" and "ethos-u"
            have no other).
        output_type: likewise, for what it returns.
        verify_data: inputs to compare Keras, the lowered graph and LiteRT on; None takes four
            random inputs.
        custom_ops: which layers become custom operators: "binary" takes the layers that have no
            other form; "lowbit" also those with binary or ternary weights whose inputs have at most
            two bits, with the same results. A model without such layers needs no delegate.
        activations: "int8" for full-integer files. A model with quantized weights alone
            (`Recipe.weight_only`) is written for "litert" with "float" activations, its weights
            unpacked once by the runtime, or with "dynamic" ones: dense layers and convolutions then
            quantize their input to eight bits by the range that it has in each call.

    Returns:
        An `ExportReport`, with the `Fidelity` found.

    Raises:
        ValueError: if the model is not calibrated, a layer or edge cannot be expressed in
            integers (named), or an argument is unknown.
        OSError: if `path` cannot be written.
    """
    path = require_writable_file(path)
    if activations != "int8":
        if target != "litert":
            raise ValueError(
                f"Argument `activations` must be 'int8' for the target {target!r}, which computes "
                f"in integers. Received: {activations!r}"
            )
        return _export_weight_only(model, path, activations, verify_data)
    program = lower(model, target, prefer, input_type, output_type, custom_ops)
    tables = TARGETS[target]
    content = write_tflite(program, tables)
    is_random = verify_data is None
    data = _random_inputs(program) if is_random else verify_data
    fidelity = verify_program(model, program, content, data, argument="verify_data")
    write_whole(path, content)
    return ExportReport(
        str(path),
        target,
        len(content),
        runtime_version(program, tables),
        tuple(_exported(program, tables)),
        fidelity,
        is_random,
        tuple(program.custom_operators),
        check(content, target, run_tools=False).findings if target != "litert" else (),
        tuple((island.name, island.reason) for island in program.islands),
    )


def _export_weight_only(model, path, activations, verify_data):
    content, kernels, runtime = write_weight_only(model, activations)
    is_random = verify_data is None
    data = random_reals(model) if is_random else verify_data
    fidelity = verify_weight_only(model, content, data, argument="verify_data")
    write_whole(path, content)
    layers = [
        ExportedLayer(
            each.name,
            each.operator,
            each.num_bits,
            each.stored_as,
            each.num_bytes,
            each.note,
        )
        for each in kernels
    ]
    return ExportReport(
        str(path), "litert", len(content), runtime, tuple(layers), fidelity, is_random
    )


def integer_weights(
    model, target="litert", prefer="size"
) -> dict[str, IntegerWeights | BinaryWeights]:
    """Return the integers that an export ships, by layer.

    Args:
        model: a calibrated or trained model with quantizers.
        target: as `export_tflite`.
        prefer: as `export_tflite`.

    Returns:
        A dict from layer name to `IntegerWeights` (codes, scales, int32 bias and where they are
        stored), for a binary layer to `BinaryWeights`.

    Raises:
        ValueError: as `export_tflite`.
    """
    return lower(model, target, prefer).weights


def _bits(count):
    return "1 bit" if count == 1 else f"{count} bits"


def _exported(program, tables):
    for operator in program.operators:
        if isinstance(operator, EmbeddingLookup):
            yield ExportedLayer(
                operator.name,
                operator.code,
                operator.num_bits,
                operator.filter.type,
                _packed_bytes(operator.filter, tables),
                "rows unpacked when looked up",
            )
        if not isinstance(operator, KernelOperator | BitKernelOperator):
            continue
        weights, stored = program.weights[operator.name], operator.filter
        is_on_bits = isinstance(operator, BitKernelOperator)
        yield ExportedLayer(
            operator.name,
            operator.code,
            weights.num_bits,
            "packed bits" if is_on_bits else stored.type,
            _packed_bytes(stored, tables),
            "" if is_on_bits else _note(operator, weights, tables),
            program.plain_layers.get(operator.name, ""),
        )


def _packed_bytes(constant, tables):
    return -(-constant.values.size * tables.BITS[constant.type] // 8)


def _note(operator, weights, target):
    if weights.is_one_pixel:
        return f"a 1x1 convolution: {target.name} takes dense layers of one vector and one scale"
    is_wide = operator.filter.type == "INT8" and weights.num_bits <= target.BITS["INT4"]
    if is_wide and target.name != "litert":
        if (operator.code, "INT4") in target.SINGLE_SCALE and operator.filter.scales.size > 1:
            return (
                f"int8: {target.name} packs dense weights of one scale only, "
                "Recipe(per_channel_dense=False)"
            )
        if "INT4" not in target.CONTAINERS[operator.code]:
            return f"int8: {target.name} takes no packed weights"
    if weights.gathers_windows:
        return f"as windows: {WINDOW_COSTS[operator.filter.type]} the time of int8, prefer='speed'"
    return ""


def _random_inputs(program):
    """Return random values on the grid of each input."""
    random = np.random.default_rng(0)
    inputs = []
    made_from = {
        operator.inputs[0]: operator.output.grid
        for operator in reversed(program.operators)
        if operator.inputs[0] in program.inputs
    }
    rows = _rows_of_tables(program)
    for tensor in program.inputs:
        shape = (RANDOM_SAMPLES, *tensor.shape[1:])
        if isinstance(tensor, IndexTensor):
            inputs.append(random.integers(0, rows[tensor], shape, np.int32))
            continue
        grid = tensor.grid or made_from[tensor]
        inputs.append(grid.decode(random.integers(grid.low, grid.high + 1, shape)))
    return inputs


def _rows_of_tables(program):
    """Return how many rows the table has that each tensor of indices is for."""
    flattened = {
        each.output: each.source for each in program.operators if isinstance(each, FlattenRows)
    }
    rows = {}
    for operator in program.operators:
        if isinstance(operator, Gather | EmbeddingLookup):
            table = operator.table if isinstance(operator, Gather) else operator.filter.values
            rows[flattened.get(operator.source, operator.source)] = len(table)
    return rows
