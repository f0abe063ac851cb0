"""Values to packed words."""

import tensorflow as tf

from ..packing import MAX_PLANES
from . import library, plain, words


def bitpack(x, thresholds=None, num_planes=1, lowest=0):
    """Pack the last axis of a tensor into words.

    One plane: the bits `x < threshold`, that is `-1` below the threshold and `+1` from it on. More:
    the bit planes of the codes `clamp(x - lowest, 0, 2^num_planes - 1)`. (Subnormal numbers count
    as 0, as everywhere in TensorFlow.) Gradient: none.

    Args:
        x: float32 or int8 (..., channels), with `channels` known; int8 for more than one plane.
        thresholds: float32 for float32 values, int32 for int8 values, () or (channels,); 0 if not
            given. None with more than one plane.
        num_planes: 1 to 4.
        lowest: the value of code 0, with more than one plane.

    Returns:
        int32 (..., num_planes * ceil(channels / 32)).

    Raises:
        ValueError: for another number of planes, another type, or thresholds that do not fit.

    Example:
        >>> bitpack(tf.constant([0.5, -0.5, -2.0, 0.0])).numpy()
        array([6], dtype=int32)
    """
    x = tf.convert_to_tensor(x)
    thresholds = _thresholds(x, thresholds, num_planes)
    kernels = library.compiled()
    if kernels is not None:
        return kernels.tfq_bitpack(x, thresholds, planes=num_planes, lowest=lowest)
    if num_planes > 1:
        return words.pack_planes(plain.codes(x, num_planes, lowest), num_planes)
    return words.pack_signs(plain.signs(x, thresholds))


def _thresholds(x, thresholds, num_planes):
    """Check the arguments of `bitpack`; return the thresholds as a tensor, empty if unused."""
    if num_planes not in range(1, MAX_PLANES + 1):
        raise ValueError(
            f"Argument `num_planes` must be 1 to {MAX_PLANES}. Received: {num_planes!r}"
        )
    allowed = (tf.float32, tf.int8) if num_planes == 1 else (tf.int8,)
    if x.dtype not in allowed:
        raise ValueError(
            f"Argument `x` must be {' or '.join(t.name for t in allowed)} for {num_planes} planes. "
            f"Received: {x.dtype.name}"
        )
    dtype = tf.float32 if x.dtype == tf.float32 else tf.int32
    if num_planes > 1:
        if thresholds is not None:
            raise ValueError("Argument `thresholds` must not be given with more than one plane.")
        return tf.zeros((0,), dtype)
    thresholds = tf.cast(0 if thresholds is None else thresholds, dtype)
    if thresholds.shape.rank and thresholds.shape[-1] not in (1, x.shape[-1]):
        raise ValueError(
            f"Argument `thresholds` must have one value, or one a channel of {x.shape[-1]}. "
            f"Received the shape: {thresholds.shape}"
        )
    return thresholds
