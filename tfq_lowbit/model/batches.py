"""The inputs of a model in checked batches."""

from collections.abc import Iterator

import keras
import numpy as np

from tfq_lowbit.model.graph import Graph

BATCH_SIZE = 32


def as_batches(graph: Graph, data, argument="data") -> Iterator[list[np.ndarray]]:
    """Yield batches of checked inputs, each a list with one float array an input.

    Args:
        graph: graph of the model.
        data: an array, a list or dict of arrays for several inputs, or a dataset of batches (of
            inputs, or pairs of inputs and labels).
        argument: what the user calls `data`, for the errors.

    Raises:
        TypeError: if `data` holds no arrays.
        ValueError: if the data are of the wrong structure or shape, not finite, or empty.
    """
    count = 0
    if isinstance(data, (list, tuple, dict)) or hasattr(data, "shape"):
        arrays = _flat_inputs(graph, data, argument)
        sizes = [len(array) for array in arrays]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"Argument `{argument}` must have as many samples for each input. Received: "
                + ", ".join(str(size) for size in sizes)
            )
        for start in range(0, sizes[0], BATCH_SIZE):
            yield [array[start : start + BATCH_SIZE] for array in arrays]
        count = sizes[0]
    else:
        for batch in _iterated(data, argument):
            batch = batch[0] if isinstance(batch, tuple) else batch
            arrays = _flat_inputs(graph, batch, argument)
            yield arrays
            count += len(arrays[0])
    if not count:
        raise ValueError(f"Argument `{argument}` is empty: give at least one sample.")


def _iterated(data, argument):
    try:
        return iter(data)
    except TypeError as error:
        raise TypeError(
            f"Argument `{argument}` must be an array, a list or dict of arrays, or a dataset of "
            f"batches. Received: {type(data).__name__}"
        ) from error


def _flat_inputs(graph, data, argument):
    edges = graph.input_edges
    if isinstance(data, dict):
        missing = sorted({edge.name for edge in edges} - set(data))
        if missing:
            raise ValueError(
                f"Argument `{argument}` must hold every input by name. Missing: "
                f"{', '.join(missing)}. Received: {', '.join(map(str, data)) or 'an empty dict'}"
            )
        data = [data[edge.name] for edge in edges]
    elif not isinstance(data, (list, tuple)):
        data = [data]
    if len(data) != len(edges):
        raise ValueError(
            f"Argument `{argument}` must have one array for each input of the model: {len(edges)}. "
            f"Received: {len(data)}"
        )
    return [_checked(edge, values, argument) for edge, values in zip(edges, data, strict=True)]


def _checked(edge, values, argument):
    what = f"Argument `{argument}` for input {edge.name!r}"
    try:
        dtype = np.float32 if keras.backend.is_float_dtype(edge.dtype) else np.int32
        values = keras.ops.convert_to_numpy(values).astype(dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} must be an array of numbers ({error}). Received: {type(values).__name__}"
        ) from error
    fits = values.ndim == len(edge.shape) and all(
        expected is None or expected == size
        for expected, size in zip(edge.shape[1:], values.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"{what} must have the shape {edge.shape}. Received: {values.shape}")
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise ValueError(
            f"{what} must be finite. Received: {bad} values that are NaN or infinite; remove those "
            "samples."
        )
    return values
