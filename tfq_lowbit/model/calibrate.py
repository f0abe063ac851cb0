"""Set the step sizes of activations from data."""

import numpy as np

from tfq_lowbit.calibration import ValueSample
from tfq_lowbit.model.batches import as_batches
from tfq_lowbit.model.graph import Graph, read_graph
from tfq_lowbit.model.rules import is_no_op
from tfq_lowbit.wrappers import BinaryWrapper, QuantizeActivation, QuantizeWrapper, SnapToGrid

# Call arguments that only matter once the grids are set.
GRID_ARGUMENTS = ("input_grid", "accumulator_scales", "origin")


def calibrate(model, data):
    """Set the step sizes of all activation quantizers of a model from data.

    The data run through the model in evaluation mode, with quantized weights and float
    activations (binary layers take signs); each quantizer then takes the step size its rule gives
    for the values seen.

    Args:
        model: a model with quantizers, from `quantize_model` or built with wrappers.
        data: inputs: an array, a list or dict of arrays for several inputs, or a dataset of
            batches (of inputs, or pairs of inputs and labels).

    Raises:
        TypeError: if `model` is no Keras model or `data` hold no arrays.
        ValueError: if the model has no quantizers of activations, or the data are empty, of the
            wrong shape, or not finite. No step size is changed then.

    Example:
        >>> import keras
        >>> from tfq_lowbit import quantizers
        >>> layer = QuantizeActivation(quantizers.LSQ(4))
        >>> model = keras.Sequential([keras.Input((2,)), layer])
        >>> calibrate(model, keras.ops.ones((3, 2)))
        >>> bool(layer.quantizer.is_calibrated)
        True
    """
    graph = read_graph(model)
    calibrate_graph(graph, as_batches(graph, data))


def calibrate_graph(graph: Graph, batches):
    """Calibrate as `calibrate` does, on a graph and checked batches."""
    samples: dict = {}

    def observe(layer, quantizer, values):
        entry = samples.setdefault(id(quantizer), (layer, quantizer, ValueSample()))
        entry[-1].update(values)

    def call(node, args, kwargs):
        layer = node.layer
        kwargs = {name: kwargs[name] for name in kwargs if name not in GRID_ARGUMENTS}
        if isinstance(layer, QuantizeActivation):
            if not layer.only_in_evaluation:  # a softmax keeps its fixed grid
                observe(layer, layer.quantizer, args[0])
            return (args[0], np.zeros(3, np.float32)) if layer.return_grid else args[0]
        if isinstance(layer, QuantizeWrapper):
            if layer.input_quantizer is not None:
                observe(layer, layer.input_quantizer, args[0])
            outputs = layer.apply(args[0])
            if layer.output_quantizer is not None:
                observe(layer, layer.output_quantizer, outputs)
            scales = np.zeros(2, np.float32)
            return (outputs, scales) if layer.return_accumulator_scales else outputs
        if isinstance(layer, BinaryWrapper) and layer.input_quantizer.needs_data:
            observe(layer, layer.input_quantizer, args[0])
            return _run_with_own_levels(layer, args[0])
        if isinstance(layer, SnapToGrid) or is_no_op(layer):
            return args[0]
        return layer(*args, **kwargs)

    for batch in batches:
        graph.run(batch, call)
    if not samples:
        raise ValueError(
            f"Model {graph.name!r} has no quantizers of activations to calibrate. Make one with "
            "tfq.quantize_model, or wrap its layers."
        )
    for layer, _, sample in samples.values():
        if not np.isfinite(sample.values()).all():
            raise ValueError(
                f"Layer {layer.name!r} gets values that are NaN or infinite from finite data: "
                "check the weights of the model."
            )
    for _, quantizer, sample in samples.values():
        quantizer.initialize(sample.values())


def _run_with_own_levels(wrapper, values):
    """Run a binary layer with the levels that its input alone would give, and change nothing."""
    quantizer = wrapper.input_quantizer
    before = quantizer.get_weights()
    try:
        quantizer.initialize(values)
        return wrapper(values)
    finally:
        quantizer.set_weights(before)
