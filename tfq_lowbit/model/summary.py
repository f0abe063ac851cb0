"""What a quantized model costs: bits, bytes and multiplications by layer."""

import math
from dataclasses import dataclass

import keras

from tfq_lowbit.model.graph import read_graph
from tfq_lowbit.wrappers import (
    TRANSPOSED,
    BinaryWrapper,
    FloatIsland,
    QuantizeActivation,
    QuantizeEmbedding,
    QuantizeWrapper,
    channel_shape,
)

FLOAT_BYTES = 4
BIAS_BYTES = 4
SCALE_BYTES, BLOCK_SCALE_BYTES = 4, 2
# Of an embedding: its table, and the numbers of the rows that enter it.
TABLE_BITS, INDEX_BITS = 8, 32
HEADER = ("layer", "class", "output", "weights", "input", "parameters", "bytes", "MACs")


@dataclass(frozen=True)
class LayerSummary:
    """The cost of one call of a layer with a kernel.

    Attributes:
        name: path of the call.
        layer_class: class of the wrapped layer.
        output_shape: with the batch first.
        weight_bits: width of the kernel.
        input_bits: width of the input, None where no quantizer is before the layer.
        num_parameters: kernel and bias.
        num_bytes: kernel at its width (a binary one packed by output channel), int32 biases and
            one float32 scale a channel (another where binary weights have an offset), or one
            float16 scale a block.
        macs: multiplications for one sample.
        block_size: number of inputs that share a scale, None for all of a channel.
    """

    name: str
    layer_class: str
    output_shape: tuple
    weight_bits: int
    input_bits: int | None
    num_parameters: int
    num_bytes: int
    macs: int
    block_size: int | None = None


@dataclass(frozen=True)
class Summary:
    """The cost of a model; prints as a table.

    Attributes:
        name: of the model.
        layers: one entry for each call of a layer with a kernel.
        num_parameters: of those layers; shared layers count once.
        num_bytes: likewise.
        float_bytes: the same parameters in float32.
        macs: multiplications for one sample.
        islands: for each layer that stays in float, its name and why.
    """

    name: str
    layers: tuple[LayerSummary, ...]
    num_parameters: int
    num_bytes: int
    float_bytes: int
    macs: int
    islands: tuple[tuple[str, str], ...] = ()

    def __str__(self):
        rows = [HEADER]
        for layer in self.layers:
            rows.append(
                (
                    layer.name,
                    layer.layer_class,
                    "x".join(str(size) for size in layer.output_shape[1:]),
                    _width(layer.weight_bits)
                    + (f" in {layer.block_size}s" if layer.block_size else ""),
                    _width(layer.input_bits),
                    f"{layer.num_parameters:,}",
                    f"{layer.num_bytes:,}",
                    f"{layer.macs:,}",
                )
            )
        total = (f"{self.num_parameters:,}", f"{self.num_bytes:,}", f"{self.macs:,}")
        rows.append(("total", "", "", "", "", *total))
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
        lines = [_line(row, widths) for row in rows]
        rule = "-" * len(lines[0])
        ratio = self.float_bytes / max(self.num_bytes, 1)
        closing = f"{self.num_bytes:,} bytes for {self.float_bytes:,} in float32: {ratio:.1f} times"
        islands = [f"in float: {name}: {reason}" for name, reason in self.islands]
        body = [self.name, lines[0], rule, *lines[1:-1], rule, lines[-1], closing]
        return "\n".join(body + islands)


def summary(model) -> Summary:
    """Sum up bits, bytes and multiplications of a model with quantizers.

    Args:
        model: a model from `quantize_model`, or built with wrappers.

    Returns:
        A `Summary`; print it for a table.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if it has no graph.

    Example:
        >>> import keras
        >>> from tfq_lowbit.model import Recipe, quantize_model
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> summary(quantize_model(model, Recipe.lsq(first_last_bits=4))).layers[0].weight_bits
        4
    """
    graph = read_graph(model)
    layers, counted = [], set()
    totals = {"num_parameters": 0, "num_bytes": 0, "float_bytes": 0, "macs": 0}
    for node in graph.nodes:
        if isinstance(node.layer, keras.layers.Embedding):
            row = _embedding_summary(node)
        elif isinstance(node.layer, QuantizeEmbedding):
            row = _table_summary(node)
        elif isinstance(node.layer, (QuantizeWrapper, BinaryWrapper)):
            row = _layer_summary(graph, node)
        else:
            continue
        layers.append(row)
        totals["macs"] += row.macs
        if id(node.layer) not in counted:
            counted.add(id(node.layer))
            totals["num_parameters"] += row.num_parameters
            totals["num_bytes"] += row.num_bytes
            totals["float_bytes"] += FLOAT_BYTES * row.num_parameters
    islands = tuple(
        (node.name, node.layer.reason)
        for node in graph.nodes
        if isinstance(node.layer, FloatIsland)
    )
    return Summary(model.name, tuple(layers), **totals, islands=islands)


def _embedding_summary(node):
    """Return the row of a table, which is stored in int8, on the grid of its output."""
    size = math.prod(node.layer.embeddings.shape)
    return LayerSummary(
        node.name,
        type(node.layer).__name__,
        node.output.shape,
        TABLE_BITS,
        INDEX_BITS,
        size,
        size * TABLE_BITS // 8,
        0,
    )


def _table_summary(node):
    """Return the row of a quantized table."""
    quantizer, shape = node.layer.kernel_quantizer, node.layer.latent_weights.shape
    size, block_size = math.prod(shape), getattr(quantizer, "block_size", None)
    rows = shape[0] if quantizer.axis is not None else 1
    return LayerSummary(
        node.name,
        type(node.layer.layer).__name__,
        node.output.shape,
        quantizer.num_bits,
        INDEX_BITS,
        size,
        -(-size * quantizer.num_bits // 8) + _scale_bytes(node.layer, rows, size),
        0,
        block_size,
    )


def _layer_summary(graph, node):
    wrapper, layer = node.layer, node.layer.layer
    kernel, channels = layer.kernel.shape, math.prod(channel_shape(layer))
    size, bits = math.prod(kernel), wrapper.kernel_quantizer.num_bits
    is_transposed = isinstance(layer, TRANSPOSED)
    moved = node.data_inputs[0].shape[:-1] if is_transposed else node.output.shape
    positions = math.prod(size or 1 for size in moved[1:])
    positions = positions if is_transposed else positions // channels
    biases = 0 if layer.bias is None else math.prod(layer.bias.shape)
    return LayerSummary(
        node.name,
        type(layer).__name__,
        node.output.shape,
        bits,
        _input_bits(graph, node),
        size + biases,
        _kernel_bytes(wrapper) + BIAS_BYTES * channels + _scale_bytes(wrapper, channels, size),
        # Each kernel value meets each position once, of the input where it spreads that.
        size * positions,
        getattr(wrapper.kernel_quantizer, "block_size", None),
    )


def _kernel_bytes(wrapper):
    kernel, bits = wrapper.layer.kernel.shape, wrapper.kernel_quantizer.num_bits
    if isinstance(wrapper, BinaryWrapper):  # each output channel starts with a byte
        return kernel[-1] * -(-math.prod(kernel[:-1]) // 8)
    return -(-math.prod(kernel) * bits // 8)


def _scale_bytes(wrapper, channels, size):
    quantizer = wrapper.kernel_quantizer
    block_size = getattr(quantizer, "block_size", None)
    if block_size is not None:
        return BLOCK_SCALE_BYTES * (size // block_size)
    return SCALE_BYTES * channels * (2 if getattr(quantizer, "has_offset", False) else 1)


def _input_bits(graph, node):
    """Return the width of the quantizer that the input of a call comes from."""
    if node.layer.input_quantizer is not None:
        return node.layer.input_quantizer.num_bits
    while True:
        node = graph.producer(node.data_inputs[0])
        if node is None:
            return None
        if isinstance(node.layer, QuantizeActivation):
            return node.layer.quantizer.num_bits
        if isinstance(node.layer, QuantizeWrapper):
            output = node.layer.output_quantizer
            return None if output is None else output.num_bits


def _width(bits):
    if bits is None:
        return "float"
    return "1 bit" if bits == 1 else f"{bits} bits"


def _line(row, widths):
    cells = [
        cell.ljust(width) if column < 5 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
