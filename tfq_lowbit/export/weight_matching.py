"""Find the weights of a model in a float file that the stock converter wrote."""

from typing import NamedTuple

import numpy as np

# The converter multiplies a kernel with the batch normalization behind it, in float32.
TOLERANCE = 4e-6


class TrainedWeights(NamedTuple):
    """The quantized weights of a layer, as a matrix.

    Attributes:
        num_bits: width that they were trained at.
        codes: integers of shape (inputs, channels), the order of the inputs as in the file.
        step_sizes: float32 of shape (blocks, channels), one block where inputs share a step size.
        block_size: number of inputs in a block, None where the quantizer has none.
    """

    num_bits: int
    codes: np.ndarray
    step_sizes: np.ndarray
    block_size: int | None = None


class FoundWeights(NamedTuple):
    """A constant of the file that holds codes times scales.

    Attributes:
        tensor: its index in the first subgraph.
        codes: int8, in the shape of the tensor.
        scales: float32, positive, of shape (channels, blocks).
        axis: the channel axis of the tensor.
    """

    tensor: int
    codes: np.ndarray
    scales: np.ndarray
    axis: int


def find_weights(constants, weights: TrainedWeights) -> FoundWeights | None:
    """Find the constant that is, block by block of each channel, a multiple of some codes.

    A negative multiple (a negative factor of a batch normalization) turns the codes' signs.

    Args:
        constants: dict from tensor index to a float32 array.
        weights: what to look for.

    Returns:
        The first that fits, None where none does.
    """
    blocks, channels = weights.step_sizes.shape
    codes = np.asarray(weights.codes, np.int64).T.reshape(channels * blocks, -1)
    steps = weights.step_sizes.T.reshape(-1, 1)
    trained = codes.astype(np.float32) * steps
    for tensor, values in constants.items():
        if values.size != codes.size or values.ndim < 2:
            continue
        for axis in (0, values.ndim - 1):
            if values.shape[axis] != channels:
                continue
            rows = np.moveaxis(values, axis, 0).reshape(codes.shape)
            is_same = np.array_equal(rows, trained)
            multiples = steps[:, 0] if is_same else _multiples(rows, codes)
            if multiples is not None:
                # A batch normalization that multiplies with 0 leaves no codes.
                turned = (codes * np.sign(multiples).astype(np.int64)[:, None]).astype(np.int8)
                scales = np.where(multiples == 0, 1.0, np.abs(multiples)).astype(np.float32)
                moved = np.moveaxis(values, axis, 0).shape
                in_place = np.moveaxis(turned.reshape(moved), 0, axis)
                return FoundWeights(tensor, in_place, scales.reshape(channels, blocks), axis)
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
