"""Set the step sizes of activations from data."""

import keras
import numpy as np

from tfq_lowbit.calibration import ValueSample
from tfq_lowbit.model.graph import Graph, read_graph
from tfq_lowbit.wrappers import QuantizeActivation, QuantizeWrapper

BATCH_SIZE = 32
# Call arguments that only matter once the grids are set.
GRID_ARGUMENTS = ("input_grid", "accumulator_step")


def calibrate(model, data):
    """Set the step sizes of all activation quantizers of a model from data.

    The data run through the model in evaluation mode, with quantized weights and float
    activations; each quantizer then takes the step size its rule gives for the values seen.

    Args:
        model: a model with quantizers, from `quantize_model` or built with wrappers.
        data: inputs: an array, a list or dict of arrays for several inputs, or a dataset of
            batches (of inputs, or pairs of inputs and labels).

    Raises:
        ValueError: if the data are empty, of the wrong shape, or not finite.

    Example:
        >>> layer = QuantizeActivation(quantizers.LSQ(4))
        >>> model = keras.Sequential([keras.Input((2,)), layer])
        >>> calibrate(model, keras.ops.ones((3, 2)))
        >>> bool(layer.quantizer.is_calibrated)
        True
    """
    graph = read_graph(model)
    samples: dict = {}

    def observe(quantizer, values):
        # A softmax keeps its fixed grid.
        samples.setdefault(id(quantizer), (quantizer, ValueSample()))[1].update(values)

    def call(node, args, kwargs):
        layer = node.layer
        kwargs = {name: kwargs[name] for name in kwargs if name not in GRID_ARGUMENTS}
        if isinstance(layer, QuantizeActivation):
            if not layer.only_in_evaluation:
                observe(layer.quantizer, args[0])
            return (args[0], np.zeros(3, np.float32)) if layer.return_grid else args[0]
        if isinstance(layer, QuantizeWrapper):
            if layer.input_quantizer is not None:
                observe(layer.input_quantizer, args[0])
            outputs = layer.apply(args[0])
            if layer.output_quantizer is not None:
                observe(layer.output_quantizer, outputs)
            return (outputs, np.zeros(1, np.float32)) if layer.return_accumulator_step else outputs
        return layer(*args, **kwargs)

    count = 0
    for batch in as_batches(graph, data):
        graph.run(batch, call)
        count += 1
    if not count:
        raise ValueError("Calibration data are empty: give at least one sample.")
    for quantizer, sample in samples.values():
        quantizer.initialize(sample.values())


def as_batches(graph: Graph, data):
    """Yield batches of checked inputs, each a list with one float array an input.

    Raises:
        ValueError: if the data are of the wrong structure or shape, or not finite.
    """
    if isinstance(data, list) and data and isinstance(data[0], list):
        yield from data  # checked before
        return
    if isinstance(data, (np.ndarray, list, tuple, dict)) or hasattr(data, "shape"):
        arrays = _flat_inputs(graph, data)
        sizes = {len(array) for array in arrays}
        if len(sizes) > 1:
            raise ValueError(
                f"Calibration data must have as many samples for each input. Received: {sizes}"
            )
        for start in range(0, sizes.pop(), BATCH_SIZE):
            yield [array[start : start + BATCH_SIZE] for array in arrays]
        return
    for batch in data:
        yield _flat_inputs(graph, batch[0] if isinstance(batch, tuple) else batch)


def _flat_inputs(graph, data):
    edges = graph.input_edges
    if isinstance(data, dict):
        missing = sorted({edge.name for edge in edges} - set(data))
        if missing:
            raise ValueError(
                f"Calibration data must hold every input by name. Missing: {', '.join(missing)}"
            )
        data = [data[edge.name] for edge in edges]
    elif isinstance(data, (list, tuple)):
        data = list(data)
    else:
        data = [data]
    if len(data) != len(edges):
        raise ValueError(
            f"Calibration data must be {len(edges)} arrays, one an input. Received: {len(data)}"
        )
    return [_checked(edge, values) for edge, values in zip(edges, data, strict=True)]


def _checked(edge, values):
    values = keras.ops.convert_to_numpy(values).astype(np.float32)
    fits = values.ndim == len(edge.shape) and all(
        expected is None or expected == size
        for expected, size in zip(edge.shape[1:], values.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"Calibration data for input {edge.name!r} must have the shape {edge.shape}. "
            f"Received: {values.shape}"
        )
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise ValueError(
            f"Calibration data for input {edge.name!r} must be finite. Received: {bad} values that "
            "are NaN or infinite; remove those samples."
        )
    return values
