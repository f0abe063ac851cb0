"""The packed formats of low-bit codes, in NumPy: the specification.

INT4 and INT2 tensors of a .tflite file hold two's complement codes in row-major order over the
flattened tensor, 2 or 4 to a byte, the first code in the lowest bits, without padding of rows.
The last byte is filled with zeros.

Values +1 and -1 become bits, of which a set one is -1: activations as int32 words by position,
filters as bytes by output channel. Unsigned codes become bit planes. The formats are described in
`custom_ops/README.md`.
"""

import numpy as np

PACKED_BITS = (2, 4)
WORD_BITS = 32
MAX_PLANES = 4


def pack_codes(codes, num_bits):
    """Pack signed codes into bytes.

    Args:
        codes: integer array of any shape, values in `-2^(b-1) .. 2^(b-1) - 1`.
        num_bits: 2 or 4.

    Returns:
        uint8 vector of `ceil(codes.size * num_bits / 8)` bytes.

    Raises:
        ValueError: for another width, or a code out of range.

    Example:
        >>> [hex(byte) for byte in pack_codes(np.array([1, -2, 7]), 4)]
        ['0xe1', '0x7']
    """
    _check_bits(num_bits)
    codes = np.asarray(codes).reshape(-1).astype(np.int64)
    low, high = -(2 ** (num_bits - 1)), 2 ** (num_bits - 1) - 1
    if codes.size and (codes.min() < low or codes.max() > high):
        raise ValueError(
            f"Codes of {num_bits} bits must lie in {low} .. {high}. "
            f"Received: {codes.min()} .. {codes.max()}"
        )
    per_byte = 8 // num_bits
    padded = np.zeros(-(-codes.size // per_byte) * per_byte, np.uint8)
    padded[: codes.size] = codes & (2**num_bits - 1)
    shifts = np.arange(per_byte, dtype=np.uint8) * num_bits
    return np.bitwise_or.reduce(padded.reshape(-1, per_byte) << shifts, axis=1).astype(np.uint8)


def unpack_codes(data, num_bits, count):
    """Unpack `count` signed codes from bytes.

    Args:
        data: uint8 vector made by `pack_codes`.
        num_bits: 2 or 4.
        count: how many codes.

    Returns:
        int8 vector of `count` codes.

    Raises:
        ValueError: for another width.

    Example:
        >>> unpack_codes(pack_codes(np.array([1, -2, 7]), 4), 4, 3).tolist()
        [1, -2, 7]
    """
    _check_bits(num_bits)
    shifts = np.arange(8 // num_bits, dtype=np.uint8) * num_bits
    fields = (np.asarray(data, np.uint8)[:, None] >> shifts) & (2**num_bits - 1)
    codes = fields.reshape(-1)[:count].astype(np.int16)
    return np.where(codes >= 2 ** (num_bits - 1), codes - 2**num_bits, codes).astype(np.int8)


def words_for(channels):
    """Return how many words hold a bit of each channel: `ceil(channels / 32)`."""
    return -(-channels // WORD_BITS)


def pack_signs(values):
    """Pack values +1 and -1 into words.

    Channel `c` is bit `c % 32` of word `c // 32`; a set bit is -1; padding bits are clear.

    Args:
        values: array (..., channels) of +1 and -1.

    Returns:
        int32 array (..., ceil(channels / 32)).

    Raises:
        ValueError: for another value.

    Example:
        >>> pack_signs(np.array([1, -1, -1, 1, -1])).tolist()
        [22]
    """
    return _words(_sign_bits(values, "values"))


def unpack_signs(words, channels):
    """Unpack values +1 and -1 from words.

    Args:
        words: int32 array (..., ceil(channels / 32)) made by `pack_signs`.
        channels: how many channels.

    Returns:
        int8 array (..., channels).

    Raises:
        ValueError: for a number of words that does not fit.

    Example:
        >>> unpack_signs(np.array([22], np.int32), 5).tolist()
        [1, -1, -1, 1, -1]
    """
    return _signs(_bits(words, channels, 1)[..., 0, :])


def pack_planes(codes, num_planes):
    """Pack unsigned codes into bit planes.

    Plane `p` holds the complement of bit `p`, packed like signs; the planes of a position follow
    one another, plane 0 first.

    Args:
        codes: integer array (..., channels), values in `0 .. 2^num_planes - 1`.
        num_planes: 1 to 4.

    Returns:
        int32 array (..., num_planes * ceil(channels / 32)).

    Raises:
        ValueError: for another number of planes, or a code out of range.

    Example:
        >>> [bin(word) for word in pack_planes(np.array([0, 1, 2, 3]), 2)]
        ['0b101', '0b11']
    """
    _check_planes(num_planes)
    codes = np.asarray(codes)
    top = 2**num_planes - 1
    if codes.size and (codes.min() < 0 or codes.max() > top or np.any(codes != np.rint(codes))):
        raise ValueError(
            f"Codes of {num_planes} planes must be integers in 0 .. {top}. "
            f"Received: {codes.min()} .. {codes.max()}"
        )
    planes = np.arange(num_planes)[:, None]
    words = _words((codes.astype(np.uint8)[..., None, :] >> planes & 1) ^ 1)
    return words.reshape(*codes.shape[:-1], num_planes * words_for(codes.shape[-1]))


def unpack_planes(words, channels, num_planes):
    """Unpack unsigned codes from bit planes.

    Args:
        words: int32 array (..., num_planes * ceil(channels / 32)) made by `pack_planes`.
        channels: how many channels.
        num_planes: 1 to 4.

    Returns:
        uint8 array (..., channels) of codes.

    Raises:
        ValueError: for another number of planes, or a number of words that does not fit.

    Example:
        >>> unpack_planes(np.array([5, 3], np.int32), 4, 2).tolist()
        [0, 1, 2, 3]
    """
    _check_planes(num_planes)
    bits = _bits(words, channels, num_planes) ^ 1
    planes = np.arange(num_planes, dtype=np.uint8)[:, None]
    return np.bitwise_or.reduce(bits << planes, axis=-2)


def pack_filter(kernel):
    """Pack a binary or ternary kernel into bytes, by output channel.

    The bits of an output channel follow one another in the order (height, width, channel), the
    channel fastest, the first in the lowest bit; padding bits are clear. A set bit is -1. A kernel
    with zeros becomes two such filters: the signs, clear for a 0, and the mask of what is not 0.

    Args:
        kernel: array (height, width, channels_in / groups, channels_out) or (channels_in,
            channels_out) of -1, +1 and possibly 0.

    Returns:
        uint8 array (channels_out, ceil(k / 8)), with zeros (2, channels_out, ceil(k / 8)); `k` is
        the number of weights of an output channel.

    Raises:
        ValueError: for another value or rank.

    Example:
        >>> pack_filter(np.array([[1, -1], [-1, -1], [-1, 1]])).tolist()
        [[6], [3]]
        >>> pack_filter(np.array([[0], [-1], [1]])).tolist()
        [[[2]], [[6]]]
    """
    kernel = np.asarray(kernel)
    if kernel.ndim not in (2, 4):
        raise ValueError(
            "Argument `kernel` must have the shape (height, width, channels_in, channels_out) or "
            f"(channels_in, channels_out). Received: {kernel.shape}"
        )
    rows = kernel.reshape(-1, kernel.shape[-1]).T
    mask = rows != 0
    signs = _sign_bits(np.where(mask, rows, 1), "kernel")
    if mask.all():
        return np.packbits(signs, axis=-1, bitorder="little")
    return np.packbits(np.stack([signs, mask]), axis=-1, bitorder="little")


def unpack_filter(bits, shape):
    """Unpack a binary or ternary kernel from bytes.

    Args:
        bits: uint8 array (channels_out, ceil(k / 8)), or (2, channels_out, ceil(k / 8)) for a
            ternary kernel, made by `pack_filter`.
        shape: of the kernel, (height, width, channels_in / groups, channels_out) or (channels_in,
            channels_out).

    Returns:
        int8 array of `shape`.

    Raises:
        ValueError: for a shape of `bits` that does not fit.

    Example:
        >>> unpack_filter(np.array([[6], [3]], np.uint8), (3, 2)).tolist()
        [[1, -1], [-1, -1], [-1, 1]]
    """
    bits = np.asarray(bits, np.uint8)
    count = int(np.prod(shape[:-1]))
    expected = (shape[-1], -(-count // 8))
    if bits.shape not in (expected, (2, *expected)):
        raise ValueError(
            f"Argument `bits` must have the shape {expected}, or {(2, *expected)} for a ternary "
            f"kernel. Received: {bits.shape}"
        )
    fields = np.unpackbits(bits, axis=-1, count=count, bitorder="little")
    rows = _signs(fields) if bits.ndim == 2 else _signs(fields[0]) * fields[1].astype(np.int8)
    return np.ascontiguousarray(rows.T).reshape(shape)


def _sign_bits(values, name):
    """Return 1 where a value is -1, 0 where it is +1, as uint8."""
    values = np.asarray(values)
    bits = values == -1
    wrong = ~(bits | (values == 1))
    if wrong.any():
        raise ValueError(
            f"Argument `{name}` must hold +1 and -1{', or 0' if name == 'kernel' else ''} only. "
            f"Received: {values[wrong][0]}"
        )
    return bits.astype(np.uint8)


def _signs(bits):
    return (1 - 2 * bits.astype(np.int8)).astype(np.int8)


def _words(bits):
    """Pack the last axis of 0 and 1 into int32 words."""
    channels = bits.shape[-1]
    padding = [(0, 0)] * (bits.ndim - 1) + [(0, words_for(channels) * WORD_BITS - channels)]
    data = np.packbits(np.pad(bits, padding), axis=-1, bitorder="little")
    return data.view("<i4").astype(np.int32)


def _bits(words, channels, num_planes):
    """Return the bits (..., num_planes, channels) of words, as uint8."""
    words = np.asarray(words, np.int32)
    expected = num_planes * words_for(channels)
    if words.ndim == 0 or words.shape[-1] != expected:
        raise ValueError(
            f"Argument `words` must have {expected} words at a position for {channels} channels in "
            f"{num_planes} planes. Received the shape: {words.shape}"
        )
    planes = np.ascontiguousarray(words.astype("<i4"))
    planes = planes.reshape(*words.shape[:-1], num_planes, words_for(channels))
    return np.unpackbits(planes.view(np.uint8), axis=-1, count=channels, bitorder="little")


def _check_planes(num_planes):
    if num_planes not in range(1, MAX_PLANES + 1):
        raise ValueError(
            f"Argument `num_planes` must be 1 to {MAX_PLANES}. Received: {num_planes!r}"
        )


def _check_bits(num_bits):
    if num_bits not in PACKED_BITS:
        raise ValueError(
            f"Argument `num_bits` must be one of {PACKED_BITS}. Received: {num_bits!r}"
        )
