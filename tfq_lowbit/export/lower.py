"""Lower a quantized Keras model to a program of integer operators."""

import keras
import numpy as np

from tfq_lowbit.export.operators import AveragePool, Dequantize, MaxPool, Pad, Reshape, Softmax
from tfq_lowbit.export.pending import (
    Emitter,
    Pending,
    PendingCodes,
    PendingInput,
    PendingJoin,
    PendingMean,
    PendingMove,
    PendingSum,
)
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.export.program import Grid, Program, Tensor
from tfq_lowbit.model import clamp_of, has_softmax, read_graph
from tfq_lowbit.quantizers.grid import int8_zero_point
from tfq_lowbit.targets import TARGETS
from tfq_lowbit.wrappers import (
    STANDALONE_CODE,
    FoldedBatchNormalization,
    QuantizeActivation,
    QuantizedAveragePooling2D,
    QuantizeWrapper,
    SnapToGrid,
    batch_norm_affine,
    bias_codes,
)

IO_TYPES = ("float32", "int8")


def lower(model, target="litert", prefer="size", input_type="float32", output_type="float32"):
    """Lower a model with quantizers to integer operators.

    Args:
        model: a calibrated or trained model from `quantize_model`, or built with wrappers.
        target: name of the target, a key of `TARGETS`.
        prefer: "size" stores weights at their width, "speed" as the runtime is fastest.
        input_type: "float32" or "int8".
        output_type: "float32" or "int8".

    Returns:
        The `Program`: it runs in TensorFlow with the arithmetic of the runtime, and is what the
        writer writes.

    Raises:
        ValueError: if an argument is unknown, a quantizer has no step size yet, or a layer or edge
            cannot be expressed in integers; the layer is named.
    """
    for name, value in (("input_type", input_type), ("output_type", output_type)):
        if value not in IO_TYPES:
            raise ValueError(f"Argument `{name}` must be one of {IO_TYPES}. Received: {value!r}")
    if prefer not in ("size", "speed"):
        raise ValueError(f"Argument `prefer` must be 'size' or 'speed'. Received: {prefer!r}")
    if target not in TARGETS:
        raise ValueError(
            f"Argument `target` must be one of {sorted(TARGETS)}. Received: {target!r}"
        )
    graph = read_graph(model)
    _check_shapes(graph)
    _check_calibrated(graph)
    options = dict(target=target, prefer=prefer, input_type=input_type, output_type=output_type)
    program = Program(graph.name, options=options)
    return _Lowering(graph, Emitter(program, TARGETS[target], prefer, input_type)).run(output_type)


def quantizers_of(layer) -> list:
    """Return the quantizers of a layer."""
    if isinstance(layer, QuantizeActivation):
        return [layer.quantizer]
    if isinstance(layer, QuantizeWrapper):
        quantizers = (layer.kernel_quantizer, layer.input_quantizer, layer.output_quantizer)
        return [quantizer for quantizer in quantizers if quantizer is not None]
    return []


def grid_of(quantizer) -> Grid:
    """Return the int8 grid of an activation quantizer."""
    step_size = quantizer.encode(np.zeros(1, np.float32)).step_size
    q_min, q_max = int(round(float(quantizer.q_min))), int(round(float(quantizer.q_max)))
    zero_point = int8_zero_point(q_max)
    return Grid(np.float32(step_size), zero_point, zero_point + q_min, zero_point + q_max)


def _check_shapes(graph):
    for edge in graph.input_edges:
        if None in edge.shape[1:]:
            raise ValueError(
                f"Input {edge.name!r} must have a known shape but for the batch. Received: "
                f"{edge.shape}. Build the model with keras.Input of a fixed size."
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


class _Lowering:
    """Walks the graph once; each edge becomes a tensor on a grid or a pending value."""

    def __init__(self, graph, emitter):
        self.graph, self.emitter = graph, emitter
        self.program = emitter.program
        self.values = {}
        self.uses = {edge: len(graph.consumers(edge)) for edge in graph.input_edges}
        for node in graph.nodes:
            for edge in keras.tree.flatten(node.outputs):
                self.uses[edge] = len(graph.consumers(edge))

    def run(self, output_type):
        for edge in self.graph.input_edges:
            self.values[edge] = PendingInput(edge.name, edge.shape)
            self.program.input_names.append(edge.name)
            self.program.inputs.append(None)
        for node in self.graph.nodes:
            lowering = _LOWERINGS.get(type(node.layer))
            if lowering is None:
                raise ValueError(
                    f"Layer {node.name!r} ({type(node.layer).__name__}) cannot be exported: no "
                    "integer form of it is known. Leave it out of the exported model, or put it "
                    "together from layers that are known."
                )
            lowering(self, node)
        unused = [
            name
            for name, tensor in zip(self.program.input_names, self.program.inputs, strict=True)
            if tensor is None
        ]
        if unused:
            raise ValueError(f"Inputs {', '.join(unused)} do not reach a quantizer.")
        for name, edge in _named(self.graph.outputs, "output"):
            tensor = self.codes(edge, f"the model output {edge.name!r}")
            if output_type == "float32":
                reals = self.emitter.reals(f"{tensor.name}/values", tensor.shape)
                tensor = self.emitter.add(Dequantize(edge.name, tensor, reals))
            self.program.outputs.append(tensor)
            self.program.output_names.append(name)
        return self.program

    def codes(self, edge, consumer) -> Tensor:
        """Return the int8 tensor of an edge that must be quantized already."""
        value = self.values[edge]
        if isinstance(value, Pending):
            raise ValueError(
                f"The output of layer {value.name!r} is not quantized, but {consumer} reads it in "
                "integers. Put a tfq.QuantizeActivation between them, or use tfq.quantize_model."
            )
        return value

    def pending(self, edge, consumer) -> Pending:
        """Return the pending value of an edge that `consumer` alone works on."""
        value = self.values[edge]
        if self.uses[edge] > 1:
            raise ValueError(
                f"The output of layer {value.name!r} has several consumers, and {consumer} reads "
                "it before it is quantized. Put a tfq.QuantizeActivation behind the layer, or use "
                "tfq.quantize_model."
            )
        return value

    def move(self, node, make):
        """Lower an operator that keeps the grid of its input."""
        edge, shape = node.data_inputs[0], node.output.shape
        value = self.values[edge]
        if isinstance(value, Pending):
            before = self.pending(edge, f"layer {node.name!r}")
            self.values[node.output] = PendingMove(node.name, shape, before, make)
        else:
            output = self.emitter.tensor(node.name, shape, value.grid)
            self.values[node.output] = self.emitter.add(make(value, output))

    # One method a layer class.

    def _quantize_activation(self, node):
        self._quantize(node.data_inputs[0], node.output, node.name, node.layer.quantizer)

    def _quantize(self, edge, output, name, quantizer):
        value, grid = self.values[edge], grid_of(quantizer)
        if isinstance(value, Tensor):
            value = PendingCodes(name, value)
        # A pending value with several consumers: `emit` sees to it that all ask for one grid.
        self.program.edges[name] = self.values[output] = value.emit(self.emitter, grid)

    def _wrapper(self, node):
        wrapper, edge = node.layer, node.data_inputs[0]
        if wrapper.input_quantizer is not None:
            grid, value = grid_of(wrapper.input_quantizer), self.values[edge]
            if isinstance(value, Tensor):
                value = PendingCodes(f"{node.name}/input", value)
            source = value.emit(self.emitter, grid)
            self.program.edges[f"{node.name}/input"] = source
        else:
            source = self.codes(edge, f"layer {node.name!r}")
        layer, kernel = wrapper.layer, np.asarray(wrapper.layer.kernel, np.float32)
        steps = np.asarray(wrapper.kernel_step_size())
        bias = np.zeros_like(steps)
        if layer.use_bias:
            unit = source.grid.scale * steps
            bias = np.asarray(bias_codes(np.asarray(layer.bias, np.float32), unit))
        value = PendingKernel(
            node.name,
            node.output.shape,
            _kernel_spec(wrapper),
            source,
            np.asarray(wrapper.kernel_quantizer.encode(kernel).codes),
            steps,
            bias,
        )
        value.clamp(clamp_of(layer))
        self.values[node.output] = value
        if wrapper.output_quantizer is not None:
            name = f"{node.name}/output"
            self._quantize(node.output, node.output, name, wrapper.output_quantizer)

    def _batch_norm(self, node):
        edge = node.data_inputs[0]
        multiplier, shift = (np.asarray(part) for part in batch_norm_affine(node.layer))
        value = self.values[edge]
        if isinstance(value, PendingKernel):
            value = self.pending(edge, f"layer {node.name!r}")
        else:
            value = self._standalone(node)
        unit = np.abs(multiplier) * value.accumulator_step
        value.fold(multiplier, shift, np.asarray(bias_codes(shift, unit)))
        self.values[node.output] = value
        if len(node.output.shape) != 4:
            make = lambda source, output: Reshape(node.name, source, output)  # noqa: E731
            self.values[node.output] = PendingMove(node.name, node.output.shape, value, make)

    def _standalone(self, node):
        """Return a depthwise convolution of one code that passes its input on."""
        source = self.codes(node.data_inputs[0], f"layer {node.name!r}")
        channels = source.shape[-1]
        shape = source.shape
        if len(shape) != 4:
            rows = int(np.prod(shape[1:-1]))
            shape = (shape[0], rows, 1, channels)
            output = self.emitter.tensor(f"{node.name}/image", shape, source.grid)
            source = self.emitter.add(Reshape(node.name, source, output))
        codes = np.full((1, 1, channels, 1), STANDALONE_CODE)
        steps = np.full(channels, 1.0 / STANDALONE_CODE, np.float32)
        spec = KernelSpec("DEPTHWISE_CONV_2D")
        return PendingKernel(node.name, shape, spec, source, codes, steps, np.zeros(channels))

    def _activation(self, node):
        edge = node.data_inputs[0]
        if has_softmax(node.layer):
            self._softmax(node)
            return
        clamp, value = clamp_of(node.layer), self.values[edge]
        if isinstance(value, Pending):
            value = self.pending(edge, f"layer {node.name!r}")
            value.clamp(clamp)
        elif clamp.lower is not None:
            pending = PendingCodes(node.name, value)
            pending.clamp(clamp)
            value = pending.emit(self.emitter, value.grid)
        self.values[node.output] = value

    def _softmax(self, node):
        source = self.codes(node.data_inputs[0], f"layer {node.name!r}")
        grid = Grid(np.float32(1.0 / 256.0), -128)
        output = self.emitter.tensor(node.name, node.output.shape, grid)
        self.values[node.output] = self.emitter.add(Softmax(node.name, source, output))

    def _add(self, node):
        name = f"layer {node.name!r}"
        left, right = (self.codes(edge, name) for edge in node.data_inputs)
        self.values[node.output] = PendingSum(node.name, node.output.shape, left, right)

    def _concatenate(self, node):
        parts = []
        for edge in node.data_inputs:
            value = self.values[edge]
            if isinstance(value, Pending):
                parts.append(self.pending(edge, f"layer {node.name!r}"))
            else:
                parts.append(PendingCodes(f"{node.name}/{edge.name}", value))
        self.values[node.output] = PendingJoin(
            node.name, node.output.shape, parts, node.layer.axis % len(node.output.shape)
        )

    def _mean(self, node):
        source = self.codes(node.data_inputs[0], f"layer {node.name!r}")
        self.values[node.output] = PendingMean(
            node.name, node.output.shape, source, node.layer.keepdims
        )

    def _average_pool(self, node):
        self.codes(node.data_inputs[0], f"layer {node.name!r}")
        self._pool(node, AveragePool)
        self.program.edges[node.name] = self.values[node.output]

    def _max_pool(self, node):
        self._pool(node, MaxPool)

    def _pool(self, node, operator):
        layer = node.layer
        window, strides = tuple(layer.pool_size), tuple(layer.strides)
        padding = layer.padding.upper()
        self.move(
            node,
            lambda source, output: operator(node.name, source, output, window, strides, padding),
        )

    def _pad(self, node):
        paddings = tuple(tuple(pair) for pair in node.layer.padding)
        self.move(node, lambda source, output: Pad(node.name, source, output, paddings))

    def _reshape(self, node):
        if node.output.shape == node.data_inputs[0].shape:
            self._pass(node)
        else:
            self.move(node, lambda source, output: Reshape(node.name, source, output))

    def _pass(self, node):
        self.values[node.output] = self.values[node.data_inputs[0]]
        self.uses[node.output] = max(self.uses[node.output], self.uses[node.data_inputs[0]])

    def _rescaling(self, node):
        value = self.pending(node.data_inputs[0], f"layer {node.name!r}")
        if not isinstance(value, PendingInput):
            raise ValueError(
                f"Layer {node.name!r} (Rescaling) cannot be exported: it must be the first layer "
                "behind a model input."
            )
        value.rescale(float(node.layer.scale), float(node.layer.offset))
        self.values[node.output] = value

    def _snap(self, node):
        self._pass(node)
        self.program.edges[node.name] = self.values[node.output]


_LOWERINGS = {
    QuantizeActivation: _Lowering._quantize_activation,
    QuantizeWrapper: _Lowering._wrapper,
    FoldedBatchNormalization: _Lowering._batch_norm,
    keras.layers.BatchNormalization: _Lowering._batch_norm,
    keras.layers.ReLU: _Lowering._activation,
    keras.layers.Activation: _Lowering._activation,
    keras.layers.Softmax: _Lowering._softmax,
    keras.layers.Add: _Lowering._add,
    keras.layers.Concatenate: _Lowering._concatenate,
    keras.layers.GlobalAveragePooling2D: _Lowering._mean,
    QuantizedAveragePooling2D: _Lowering._average_pool,
    keras.layers.AveragePooling2D: _Lowering._average_pool,
    keras.layers.MaxPooling2D: _Lowering._max_pool,
    keras.layers.ZeroPadding2D: _Lowering._pad,
    keras.layers.Flatten: _Lowering._reshape,
    keras.layers.Reshape: _Lowering._reshape,
    keras.layers.Dropout: _Lowering._pass,
    keras.layers.Rescaling: _Lowering._rescaling,
    SnapToGrid: _Lowering._snap,
}


def _kernel_spec(wrapper) -> KernelSpec:
    layer, num_bits = wrapper.layer, wrapper.kernel_quantizer.num_bits
    if isinstance(layer, keras.layers.Dense):
        return KernelSpec("FULLY_CONNECTED", num_bits=num_bits)
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return KernelSpec(
        "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D",
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        layer.padding.upper(),
        num_bits,
    )


def _named(structure, prefix):
    """Yield names and edges of a model's outputs: the keys of a dict, else numbered."""
    if isinstance(structure, dict):
        yield from structure.items()
        return
    for index, edge in enumerate(keras.tree.flatten(structure)):
        yield f"{prefix}_{index}", edge
