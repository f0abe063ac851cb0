"""The packed formats, against a decoder of a few lines that shares nothing with ours."""

import numpy as np
import pytest

from tfq_lowbit.packing import pack_codes, unpack_codes

WIDTHS = (2, 4)


def decode(data, num_bits, count):
    """Reads bit by bit: code k lies in bits `k * num_bits` and up of one long number."""
    number = int.from_bytes(bytes(data), "little")
    fields = [number >> (k * num_bits) & (2**num_bits - 1) for k in range(count)]
    return [field - 2**num_bits if field >> (num_bits - 1) else field for field in fields]


def draw(num_bits, shape):
    limits = -(2 ** (num_bits - 1)), 2 ** (num_bits - 1)
    return np.random.default_rng(0).integers(*limits, shape)


@pytest.mark.parametrize("num_bits", WIDTHS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 63, 64, 65])
def test_an_independent_decoder_reads_what_is_packed(num_bits, count):
    codes = draw(num_bits, count)
    packed = pack_codes(codes, num_bits)
    assert packed.dtype == np.uint8
    assert packed.shape == (-(-count * num_bits // 8),)
    assert decode(packed, num_bits, count) == codes.tolist()
    np.testing.assert_array_equal(unpack_codes(packed, num_bits, count), codes)


@pytest.mark.parametrize("num_bits", WIDTHS)
def test_an_array_is_packed_row_by_row_without_padding(num_bits):
    codes = draw(num_bits, (3, 5, 7))
    packed = pack_codes(codes, num_bits)
    np.testing.assert_array_equal(packed, pack_codes(codes.reshape(-1), num_bits))
    assert unpack_codes(packed, num_bits, codes.size).dtype == np.int8


@pytest.mark.parametrize(("num_bits", "last"), [(2, 0b00_00_00_11), (4, 0b0000_1111)])
def test_the_last_byte_is_filled_with_zeros(num_bits, last):
    assert pack_codes(np.full(8 // num_bits + 1, -1), num_bits).tolist() == [255, last]


@pytest.mark.parametrize("num_bits", WIDTHS)
def test_a_code_out_of_range_is_refused(num_bits):
    top = 2 ** (num_bits - 1)
    for code in (top, -top - 1, 300):
        with pytest.raises(ValueError, match=f"Codes of {num_bits} bits must lie in.*{code}"):
            pack_codes([0, code], num_bits)


@pytest.mark.parametrize("num_bits", [1, 3, 8, "4"])
def test_another_width_is_refused(num_bits):
    with pytest.raises(ValueError, match="`num_bits` must be one of"):
        pack_codes([0], num_bits)
    with pytest.raises(ValueError, match="`num_bits` must be one of"):
        unpack_codes(np.zeros(1, np.uint8), num_bits, 1)
