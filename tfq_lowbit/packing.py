"""The packed formats of low-bit codes, in NumPy: the specification.

INT4 and INT2 tensors of a .tflite file hold two's complement codes in row-major order over the
flattened tensor, 2 or 4 to a byte, the first code in the lowest bits, without padding of rows.
The last byte is filled with zeros.
"""

import numpy as np

PACKED_BITS = (2, 4)


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


def _check_bits(num_bits):
    if num_bits not in PACKED_BITS:
        raise ValueError(
            f"Argument `num_bits` must be one of {PACKED_BITS}. Received: {num_bits!r}"
        )
