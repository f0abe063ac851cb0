"""LiteRT's interpreter, opened the same way everywhere, and predictions over arrays."""

import os
import struct

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.native import load_delegate

BATCH_SIZE = 256
OWN_OPERATORS = b"Tfq"


class Interpreter(litert.Interpreter):
    """LiteRT's interpreter on a .tflite file, with its default kernels.

    It is the runtime's own class: `allocate_tensors`, `set_tensor`, `invoke` and the rest are
    described at https://ai.google.dev/edge/litert. Where the file has binary operators, the
    delegate of `delegate_path` is loaded for them, with the same number of threads.

    Args:
        path_or_bytes: path of a .tflite file, or its content.
        num_threads: number of threads of the kernels, at least 1.

    Raises:
        TypeError: if `path_or_bytes` is neither a path nor bytes.
        ValueError: if the file does not exist or LiteRT cannot read it, or for a thread count
            below 1.
        FileNotFoundError: if the file has binary operators and the delegate is not built.

    Example:
        >>> Interpreter("missing.tflite")
        Traceback (most recent call last):
        ...
        ValueError: Argument `path_or_bytes` must name an existing file. Received: 'missing.tflite'
    """

    def __init__(self, path_or_bytes, num_threads=1):
        if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
            raise ValueError(
                "Argument `num_threads` must be an integer of at least 1. "
                f"Received: {num_threads!r}"
            )
        content = read_model(path_or_bytes)
        # The delegate takes its number of threads from the interpreter, which keeps it alive.
        delegates = [load_delegate()] if has_own_operators(content) else None
        try:
            super().__init__(
                model_content=content, num_threads=num_threads, experimental_delegates=delegates
            )
        except (RuntimeError, ValueError) as error:
            is_content = isinstance(path_or_bytes, (bytes, bytearray))
            shown = f"{len(content)} bytes" if is_content else repr(os.fspath(path_or_bytes))
            raise ValueError(
                f"Argument `path_or_bytes` must be a .tflite model that LiteRT takes ({error}). "
                f"Received: {shown}"
            ) from error


def has_own_operators(content) -> bool:
    """Return whether a .tflite file has custom operators of this package.

    Args:
        content: bytes of the file; other bytes have none.
    """
    try:
        model = schema.Model.GetRootAs(content)
        codes = [model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength())]
    except (AttributeError, IndexError, TypeError, ValueError, struct.error):
        return False  # LiteRT says better what is wrong
    return any(code is not None and code.startswith(OWN_OPERATORS) for code in codes)


def read_model(path_or_bytes) -> bytes:
    """Return the content of a .tflite file, given its path or that content.

    Raises:
        TypeError: if it is neither a path nor bytes.
        ValueError: if the file cannot be read.
    """
    if isinstance(path_or_bytes, (bytes, bytearray)):
        return bytes(path_or_bytes)
    if not isinstance(path_or_bytes, (str, os.PathLike)):
        raise TypeError(
            "Argument `path_or_bytes` must be a path or the content of a .tflite file. "
            f"Received: {type(path_or_bytes).__name__}"
        )
    path = os.fspath(path_or_bytes)
    if not os.path.isfile(path):
        raise ValueError(f"Argument `path_or_bytes` must name an existing file. Received: {path!r}")
    with open(path, "rb") as file:
        return file.read()


def run(path_or_bytes, inputs, batch_size=BATCH_SIZE, num_threads=1):
    """Predict with a .tflite file over whole arrays, batch by batch.

    Args:
        path_or_bytes: path of a .tflite file, or its content.
        inputs: an array with the samples along the first axis, or a list with one array for each
            input of the file, in the file's order. An int8 input takes codes.
        batch_size: samples in one invocation; a file whose batch size is fixed keeps its own.
        num_threads: number of threads of the kernels.

    Returns:
        The output as an array, or a list of arrays where the file has several outputs.

    Raises:
        ValueError: if the number of inputs, a shape or a type does not fit the file.

    Example:
        >>> probabilities = run("model.tflite", images)  # doctest: +SKIP
        >>> accuracy = np.mean(probabilities.argmax(-1) == labels)  # doctest: +SKIP
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            f"Argument `batch_size` must be an integer of at least 1. Received: {batch_size!r}"
        )
    interpreter = Interpreter(path_or_bytes, num_threads)
    inputs = _checked(interpreter.get_input_details(), inputs)
    if has_fixed_batch(interpreter):
        batch_size = int(interpreter.get_input_details()[0]["shape"][0])
    count = len(inputs[0])
    results = []
    for start in range(0, count, batch_size):
        batch = [array[start : start + batch_size] for array in inputs]
        results.append(_run_batch(interpreter, batch, min(batch_size, count - start)))
    outputs = [np.concatenate(parts) for parts in zip(*results, strict=True)]
    return outputs[0] if len(outputs) == 1 else outputs


def has_fixed_batch(interpreter) -> bool:
    """Return whether a file states its batch size, so that it cannot be resized."""
    return any(
        len(details["shape_signature"]) == 0 or details["shape_signature"][0] != -1
        for details in interpreter.get_input_details()
    )


def _run_batch(interpreter, batch, size):
    details = interpreter.get_input_details()
    if has_fixed_batch(interpreter):
        # The last batch is filled up with its last sample.
        wanted = int(details[0]["shape"][0])
        batch = [np.concatenate([each, np.repeat(each[-1:], wanted - size, 0)]) for each in batch]
    for each, array in zip(details, batch, strict=True):
        if tuple(each["shape"]) != array.shape:
            interpreter.resize_tensor_input(each["index"], array.shape)
    interpreter.allocate_tensors()
    for each, array in zip(details, batch, strict=True):
        interpreter.set_tensor(each["index"], array)
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return [interpreter.get_tensor(each["index"])[:size] for each in outputs]


def _checked(details, inputs):
    inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if len(inputs) != len(details):
        names = ", ".join(each["name"] for each in details)
        raise ValueError(
            f"Argument `inputs` must hold {len(details)} arrays, one an input ({names}). "
            f"Received: {len(inputs)}"
        )
    arrays = []
    for each, values in zip(details, inputs, strict=True):
        values, wanted = np.asarray(values), np.dtype(each["dtype"])
        shape = tuple(None if size == -1 else int(size) for size in each["shape_signature"])
        fits = values.ndim == len(shape) and all(
            size in (None, received)
            for size, received in zip(shape[1:], values.shape[1:], strict=True)
        )
        if not fits or not len(values):
            raise ValueError(
                f"Argument `inputs` must have the shape {(None, *shape[1:])}, with at least one "
                f"sample, for input {each['name']!r}. Received: {values.shape}"
            )
        if values.dtype != wanted and wanted.kind != "f":
            raise ValueError(
                f"Argument `inputs` must hold {wanted} codes for input {each['name']!r}: divide by "
                f"the scale and add the zero point of {each['quantization']}, round, clip. "
                f"Received: {values.dtype}"
            )
        arrays.append(values.astype(wanted, copy=False))
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(
            "Argument `inputs` must have as many samples for each input. "
            f"Received: {[len(array) for array in arrays]}"
        )
    return arrays
