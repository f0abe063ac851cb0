"""Lower a quantized Keras model to a program of integer operators."""

from tfq_lowbit.export.emitter import Emitter
from tfq_lowbit.export.layers import LOWERINGS
from tfq_lowbit.export.lowering import Lowering
from tfq_lowbit.export.program import Program, is_custom, storages_of
from tfq_lowbit.export.storage import INT16
from tfq_lowbit.model import read_graph
from tfq_lowbit.targets import TARGETS
from tfq_lowbit.wrappers import BinaryWrapper, QuantizeActivation, QuantizeWrapper

FLOAT32 = "float32"
CUSTOM_OPS = ("binary", "lowbit")
# Under which names layers hold them.
QUANTIZERS = ("quantizer", "kernel_quantizer", "input_quantizer", "output_quantizer")


def lower(
    model,
    target="litert",
    prefer="size",
    input_type=None,
    output_type=None,
    custom_ops="binary",
):
    """Lower a model with quantizers to integer operators.

    Args:
        model: a calibrated or trained model from `quantize_model`, or built with wrappers.
        target: name of the target, a key of `TARGETS`.
        prefer: "size" stores weights at their width, "speed" as the runtime is fastest.
        input_type: "float32", or codes, "int8" or "int16" as the model has them; None takes the
            target's first choice, "float32" or codes.
        output_type: likewise.
        custom_ops: which layers run on bits: "binary", those that have no other form, or "lowbit",
            also binary and ternary kernels whose inputs have at most two bits.

    Returns:
        The `Program`: it runs in TensorFlow with the arithmetic of the runtime, and is what the
        writer writes.

    Raises:
        ValueError: if an argument is unknown, a quantizer has no step size yet, or a layer or edge
            cannot be expressed in integers; the layer is named.
    """
    if custom_ops not in CUSTOM_OPS:
        raise ValueError(
            f"Argument `custom_ops` must be one of {CUSTOM_OPS}. Received: {custom_ops!r}"
        )
    if prefer not in ("size", "speed"):
        raise ValueError(f"Argument `prefer` must be 'size' or 'speed'. Received: {prefer!r}")
    if target not in TARGETS:
        raise ValueError(
            f"Argument `target` must be one of {sorted(TARGETS)}. Received: {target!r}"
        )
    tables = TARGETS[target]
    _check_io_type("input_type", input_type, tables)
    _check_io_type("output_type", output_type, tables)
    graph = read_graph(model)
    _check_shapes(graph)
    _check_quantized(graph)
    _check_calibrated(graph)
    program = Program(graph.name)
    first = tables.IO_TYPES[0]
    emitter = Emitter(program, tables, prefer, input_type or first, custom_ops)
    program = Lowering(graph, emitter).run(LOWERINGS, output_type or first)
    program.options = dict(
        target=target,
        prefer=prefer,
        input_type=_resolve("input_type", input_type, first, program.inputs),
        output_type=_resolve("output_type", output_type, first, program.outputs),
        custom_ops=custom_ops,
    )
    _check_custom_operators(program, tables)
    _check_int16(program, tables)
    return program


def quantizers_of(layer) -> list:
    """Return the quantizers of a layer."""
    if not isinstance(layer, QuantizeActivation | QuantizeWrapper | BinaryWrapper):
        return []
    found = (getattr(layer, name, None) for name in QUANTIZERS)
    return [quantizer for quantizer in found if quantizer is not None]


def _check_io_type(argument, value, target):
    """Raise a ValueError for a type of inputs or outputs that a target does not have."""
    if value is not None and value not in target.IO_TYPES:
        taken = ", ".join(repr(each) for each in target.IO_TYPES)
        raise ValueError(
            f"Argument `{argument}` must be one of {taken} for target {target.name!r}. "
            f"Received: {value!r}"
        )


def _resolve(argument, value, first, tensors):
    """Return the type of inputs or outputs: as asked for, else reals or the codes that there are.

    Raises:
        ValueError: if codes are of another type than asked for, or of two.
    """
    if FLOAT32 in (value, first if value is None else value):
        return FLOAT32
    found = {each.grid.storage.argument: each.name for each in tensors if each.grid is not None}
    if value is None and len(found) > 1:
        raise ValueError(
            f"The model has codes of both types at its border ({found}), and `{argument}` is one "
            "of them. Give all inputs 16 bits (Recipe(input_bits=16)), or the last layers the "
            f"same width, or export with {argument}='float32'."
        )
    (kind,) = found or {value or first}
    if value is not None and any(each != value for each in found):
        name = next(name for each, name in found.items() if each != value)
        kind = next(each for each in found if each != value)
        raise ValueError(
            f"Argument `{argument}` must be 'float32' or the type of the model's codes: {name!r} "
            f"has {kind}. Received: {value!r}"
        )
    return kind


def _check_custom_operators(program, target):
    layers = [each.name for each in program.operators if is_custom(each)]
    if layers and not target.TAKES_CUSTOM_OPERATORS:
        raise ValueError(
            f"Layer {layers[0]!r} runs on bits, in a custom operator, which target "
            f"{target.name!r} cannot load. Give it two bits or more, "
            "recipe.override(layer, weight_bits=2), or export with target='litert'."
        )


def _check_int16(program, target):
    layers = [each.name for each in program.operators if INT16 in storages_of(each)]
    if layers and not target.TAKES_INT16:
        raise ValueError(
            f"Layer {layers[0]!r} has 16-bit activations, which target {target.name!r} cannot "
            "compute. Quantize with activation_bits=8, or export for another target."
        )


def _check_shapes(graph):
    for edge in graph.input_edges:
        if None in edge.shape[1:]:
            raise ValueError(
                f"Input {edge.name!r} must have a known shape but for the batch. Received: "
                f"{edge.shape}. Build the model with keras.Input of a fixed size."
            )


def _check_quantized(graph):
    if not any(quantizers_of(node.layer) for node in graph.nodes):
        raise ValueError(
            f"Model {graph.name!r} has no quantizers: it computes in float. Quantize it with "
            "tfq.quantize_model(model, recipe, calibration_data) first."
        )


def _check_calibrated(graph):
    missing = [
        node.name
        for node in graph.nodes
        for quantizer in quantizers_of(node.layer)
        if not quantizer.is_calibrated
    ]
    if missing:
        raise ValueError(
            f"The model is not calibrated: {len(missing)} quantizers have no step size yet, the "
            f"first at layer {missing[0]!r}. Give quantize_model calibration_data, call "
            "tfq.calibrate(model, data), or train first."
        )
