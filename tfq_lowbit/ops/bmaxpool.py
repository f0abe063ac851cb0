"""Maximum of packed values."""

import tensorflow as tf

from ..packing import WORD_BITS
from . import library, plain
from . import words as packed


def bmaxpool(words, kernel_size, strides, padding="VALID"):
    """Take the maximum of packed values +1 and -1 in each window.

    Gradient: none.

    Args:
        words: int32 (batch, height, width, words).
        kernel_size: (height, width).
        strides: (height, width).
        padding: `"VALID"` or `"SAME"`; padding never wins.

    Returns:
        int32 (batch, out_height, out_width, words).

    Raises:
        ValueError: for another padding.

    Example:
        >>> image = tf.reshape([0b01, 0b11], (1, 1, 2, 1))
        >>> tf.reshape(bmaxpool(image, (1, 2), (1, 1)), [-1]).numpy()
        array([1], dtype=int32)
    """
    if padding not in ("VALID", "SAME"):
        raise ValueError(f"Argument `padding` must be VALID or SAME. Received: {padding!r}")
    words = tf.convert_to_tensor(words)
    kernels = library.compiled()
    if kernels is not None:
        return kernels.tfq_bmaxpool(
            words,
            kernel_height=kernel_size[0],
            kernel_width=kernel_size[1],
            stride_height=strides[0],
            stride_width=strides[1],
            padding=("VALID", "SAME").index(padding),
        )
    values = packed.unpack_signs(words, WORD_BITS * words.shape[-1])
    return packed.pack_signs(plain.max_pool(values, kernel_size, strides, padding))
