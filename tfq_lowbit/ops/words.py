"""Packed words and filters in plain TensorFlow: the format of `tfq_lowbit.packing`, in a graph."""

import tensorflow as tf

from ..packing import WORD_BITS, words_for


def pack_signs(values):
    """Pack values +1 and -1 into int32 words, a set bit for -1.

    Args:
        values: tensor (..., channels), `channels` known; what is negative counts as -1.

    Returns:
        int32 (..., ceil(channels / 32)).

    Example:
        >>> pack_signs(tf.constant([1.0, -1.0, -1.0, 1.0, -1.0])).numpy()
        array([22], dtype=int32)
    """
    return _pack(values < 0)


def unpack_signs(words, channels):
    """Unpack values +1 and -1 from words.

    Args:
        words: int32 (..., ceil(channels / 32)).
        channels: how many.

    Returns:
        float32 (..., channels).

    Example:
        >>> unpack_signs(tf.constant([22]), 5).numpy()
        array([ 1., -1., -1.,  1., -1.], dtype=float32)
    """
    return 1.0 - 2.0 * tf.cast(_unpack(words, channels), tf.float32)


def pack_planes(codes, num_planes):
    """Pack unsigned codes into bit planes, which hold the complement of the codes' bits.

    Args:
        codes: tensor (..., channels) of integers in `0 .. 2^num_planes - 1`, `channels` known.
        num_planes: 1 to 4.

    Returns:
        int32 (..., num_planes * ceil(channels / 32)).

    Example:
        >>> pack_planes(tf.constant([0, 1, 2, 3]), 2).numpy()
        array([5, 3], dtype=int32)
    """
    codes = tf.cast(codes, tf.int32)
    planes = [
        _pack(tf.equal(tf.bitwise.bitwise_and(codes, 1 << plane), 0)) for plane in range(num_planes)
    ]
    return tf.concat(planes, axis=-1)


def unpack_planes(words, channels, num_planes):
    """Unpack unsigned codes from bit planes.

    Args:
        words: int32 (..., num_planes * ceil(channels / 32)).
        channels: how many.
        num_planes: 1 to 4.

    Returns:
        float32 (..., channels) of codes.

    Example:
        >>> unpack_planes(tf.constant([5, 3]), 4, 2).numpy()
        array([0., 1., 2., 3.], dtype=float32)
    """
    planes = tf.split(words, num_planes, axis=-1)
    codes = sum((1 - _unpack(p, channels)) * (1 << i) for i, p in enumerate(planes))
    return tf.cast(codes, tf.float32)


def pack_filter(kernel):
    """Pack a binary kernel.

    Args:
        kernel: tensor (..., channels_out) of known shape; what is negative counts as -1.

    Returns:
        uint8 (channels_out, bytes).

    Example:
        >>> pack_filter(tf.constant([[1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])).numpy()
        array([[6],
               [3]], dtype=uint8)
    """
    count = kernel.shape[:-1].num_elements()
    rows = tf.transpose(tf.reshape(kernel, (count, kernel.shape[-1])) < 0)
    rows = tf.pad(tf.cast(rows, tf.int32), [(0, 0), (0, -count % 8)])
    fields = tf.reshape(rows, (kernel.shape[-1], -1, 8))
    return tf.cast(tf.reduce_sum(tf.bitwise.left_shift(fields, tf.range(8)), axis=-1), tf.uint8)


def unpack_filter(bits, shape):
    """Unpack a binary or ternary kernel.

    Args:
        bits: uint8 (channels_out, bytes), or (2, channels_out, bytes) if ternary.
        shape: of the kernel, (height, width, channels_in / groups, channels_out) or (channels_in,
            units).

    Returns:
        float32 of `shape`: -1, +1 and, if ternary, 0.

    Example:
        >>> unpack_filter(tf.constant([[6], [3]], tf.uint8), (3, 2)).numpy()
        array([[ 1., -1.],
               [-1., -1.],
               [-1.,  1.]], dtype=float32)
    """
    count = tf.TensorShape(shape[:-1]).num_elements()
    shifts = tf.range(8, dtype=tf.int32)
    fields = tf.bitwise.right_shift(tf.cast(bits, tf.int32)[..., None], shifts)
    fields = tf.cast(tf.bitwise.bitwise_and(fields, 1), tf.float32)
    rows = tf.reshape(fields, tf.concat([tf.shape(bits)[:-1], [-1]], axis=0))[..., :count]
    if rows.shape.rank == 3:
        rows = (1.0 - 2.0 * rows[0]) * rows[1]
    else:
        rows = 1.0 - 2.0 * rows
    return tf.reshape(tf.transpose(rows), shape)


def _pack(bits):
    """Pack booleans (..., channels) into words."""
    channels = bits.shape[-1]
    count = words_for(channels)
    padding = [(0, 0)] * (bits.shape.rank - 1) + [(0, count * WORD_BITS - channels)]
    bits = tf.pad(tf.cast(bits, tf.int32), padding)
    bits = tf.reshape(bits, tf.concat([tf.shape(bits)[:-1], [count, WORD_BITS]], axis=0))
    words = tf.reduce_sum(tf.bitwise.left_shift(bits, tf.range(WORD_BITS)), axis=-1)
    return tf.ensure_shape(words, [*[None] * (words.shape.rank - 1), count])


def _unpack(words, channels):
    """Unpack words (..., ceil(channels / 32)) into 0 and 1, int32."""
    bits = tf.bitwise.right_shift(words[..., None], tf.range(WORD_BITS))
    bits = tf.bitwise.bitwise_and(bits, 1)
    shape = tf.concat([tf.shape(words)[:-1], [-1]], axis=0)
    bits = tf.reshape(bits, shape)[..., :channels]
    return tf.ensure_shape(bits, [*words.shape[:-1], channels])
