"""Find the kernels of a model in a float file that the stock converter wrote."""

from typing import NamedTuple

import numpy as np

# The converter multiplies a kernel with the batch normalization behind it, in float32.
TOLERANCE = 4e-6


class FoundKernel(NamedTuple):
    """A constant of the file that holds codes times scales.

    Attributes:
        tensor: its index in the first subgraph.
        codes: int8, in the shape of the tensor.
        scales: float32, positive, one a channel.
        axis: the channel axis of the tensor.
    """

    tensor: int
    codes: np.ndarray
    scales: np.ndarray
    axis: int


def find_kernel(constants, codes) -> FoundKernel | None:
    """Find the constant that is, channel by channel, a multiple of some codes.

    A negative multiple (a negative factor of a batch normalization) turns the codes' signs.

    Args:
        constants: dict from tensor index to a float32 array.
        codes: integers of shape (inputs, channels), the order of the inputs as in the file.

    Returns:
        The first that fits, None where none does.
    """
    codes = np.asarray(codes, np.int64)
    for tensor, values in constants.items():
        if values.size != codes.size or values.ndim < 2:
            continue
        for axis in (0, values.ndim - 1):
            if values.shape[axis] != codes.shape[1]:
                continue
            rows = np.moveaxis(values, axis, 0).reshape(codes.shape[1], -1)
            multiples = _multiples(rows, codes.T)
            if multiples is not None:
                # A batch normalization that multiplies with 0 leaves no codes.
                turned = (codes.T * np.sign(multiples)[:, None]).astype(np.int8)
                scales = np.where(multiples == 0, 1.0, np.abs(multiples)).astype(np.float32)
                moved = np.moveaxis(values, axis, 0).shape
                in_place = np.moveaxis(turned.reshape(moved), 0, axis)
                return FoundKernel(tensor, in_place, scales, axis)
    return None


def _multiples(rows, codes):
    """Return by what each row of codes is multiplied, None where a row is no multiple."""
    largest = np.abs(codes).argmax(axis=1)[:, None]
    top_codes = np.take_along_axis(codes, largest, 1)[:, 0]
    top_values = np.take_along_axis(rows, largest, 1)[:, 0].astype(np.float64)
    is_empty = top_codes == 0
    multiples = np.where(is_empty, 1.0, top_values / np.where(is_empty, 1, top_codes))
    errors = np.abs(rows - codes * multiples[:, None]).max(axis=1)
    if np.any(errors > TOLERANCE * np.abs(rows).max(axis=1)):
        return None
    return multiples
