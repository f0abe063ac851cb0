"""The packed formats, against a decoder of a few lines that shares nothing with ours."""

import numpy as np
import pytest

from tfq_lowbit.packing import (
    pack_codes,
    pack_filter,
    pack_planes,
    pack_signs,
    unpack_codes,
    unpack_filter,
    unpack_planes,
    unpack_signs,
    words_for,
)

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


# Bits. The reference reads and writes one bit after the other.

CHANNELS = (1, 2, 7, 8, 31, 32, 33, 63, 64, 65, 100)


def slow_words(bits):
    """Packs rows of 0 and 1 into words, channel c as bit c % 32 of word c // 32."""
    packed = []
    for row in bits.reshape(-1, bits.shape[-1]).tolist():
        numbers = [0] * -(-len(row) // 32)
        for c, bit in enumerate(row):
            numbers[c // 32] += bit << (c % 32)
        packed.append([n - 2**32 if n >= 2**31 else n for n in numbers])
    return np.array(packed, np.int64).reshape(*bits.shape[:-1], -(-bits.shape[-1] // 32))


def slow_filter(rows):
    """Packs rows of 0 and 1 into bytes, the first in the lowest bit."""
    return [
        list(sum(bit << i for i, bit in enumerate(row)).to_bytes(-(-len(row) // 8), "little"))
        for row in rows.tolist()
    ]


def random_signs(*shape, choices=(-1, 1)):
    return np.random.default_rng(0).choice(choices, shape).astype(np.int8)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3, 4), (0,)])
def test_signs_become_words_and_come_back(channels, leading):
    values = random_signs(*leading, channels)
    words = pack_signs(values)
    assert words.dtype == np.int32
    assert words.shape == (*leading, words_for(channels))
    np.testing.assert_array_equal(words, slow_words((values == -1).astype(int)).astype(np.int32))
    unpacked = unpack_signs(words, channels)
    assert unpacked.dtype == np.int8
    np.testing.assert_array_equal(unpacked, values)


def test_padding_bits_are_clear_and_unread():
    assert pack_signs(-np.ones(33)).tolist() == [-1, 1]
    np.testing.assert_array_equal(unpack_signs(np.array([-1, -1]), 33), -np.ones(33))


@pytest.mark.parametrize("num_planes", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", CHANNELS)
def test_codes_become_planes_and_come_back(channels, num_planes):
    codes = np.random.default_rng(0).integers(0, 2**num_planes, (2, 3, channels))
    words = pack_planes(codes, num_planes)
    planes = [slow_words((codes >> p & 1) ^ 1) for p in range(num_planes)]
    np.testing.assert_array_equal(words, np.concatenate(planes, axis=-1))
    np.testing.assert_array_equal(unpack_planes(words, channels, num_planes), codes)


@pytest.mark.parametrize("num_planes", [1, 2, 3, 4])
def test_planes_are_signs_whose_weighted_sum_gives_the_code(num_planes):
    codes = np.arange(2**num_planes)
    words = pack_planes(codes, num_planes).reshape(num_planes, -1)
    signs = unpack_signs(words, len(codes)).astype(int)
    total = sum(2**p * plane for p, plane in enumerate(signs))
    np.testing.assert_array_equal((total + 2**num_planes - 1) // 2, codes)


@pytest.mark.parametrize("shape", [(3, 3, 5, 4), (1, 1, 8, 1), (2, 1, 33, 3), (7, 2), (64, 5)])
@pytest.mark.parametrize("choices", [(-1, 1), (-1, 0, 1)])
def test_a_kernel_becomes_bytes_by_output_channel_and_comes_back(shape, choices):
    kernel = random_signs(*shape, choices=choices)
    if 0 in choices:
        kernel[(0,) * len(shape)] = 0
    bits = pack_filter(kernel)
    assert bits.dtype == np.uint8
    rows = np.moveaxis(kernel, -1, 0).reshape(shape[-1], -1)
    signs, mask = slow_filter((rows == -1).astype(int)), slow_filter((rows != 0).astype(int))
    assert bits.tolist() == ([signs, mask] if 0 in choices else signs)
    unpacked = unpack_filter(bits, shape)
    assert unpacked.dtype == np.int8
    np.testing.assert_array_equal(unpacked, kernel)


def test_the_sign_of_a_masked_weight_is_not_read():
    bits = np.array([[[0b111]], [[0b101]]], np.uint8)
    assert unpack_filter(bits, (3, 1)).tolist() == [[-1], [0], [-1]]


@pytest.mark.parametrize("value", [0, 2, 0.5, np.nan])
def test_only_signs_are_packed(value):
    with pytest.raises(ValueError, match=f"`values` must hold .1 and -1 only. Received: {value}"):
        pack_signs([1, value])


@pytest.mark.parametrize("value", [2, 0.5, np.nan])
def test_only_binary_and_ternary_kernels_are_packed(value):
    with pytest.raises(ValueError, match=f"`kernel` must hold .1 and -1, or 0 only.*: {value}"):
        pack_filter([[1, 0, value]])
    with pytest.raises(ValueError, match=r"`kernel` must have the shape.*Received: \(2,\)"):
        pack_filter([1, 1])


@pytest.mark.parametrize("code", [-1, 4, 1.5])
def test_a_code_that_has_no_planes_is_refused(code):
    with pytest.raises(ValueError, match=f"2 planes must be integers in 0 .. 3.*{code}"):
        pack_planes([0, code], 2)


@pytest.mark.parametrize("num_planes", [0, 5, 1.5])
def test_another_number_of_planes_is_refused(num_planes):
    with pytest.raises(ValueError, match=f"`num_planes` must be 1 to 4. Received: {num_planes}"):
        pack_planes([0], num_planes)
    with pytest.raises(ValueError, match=f"`num_planes` must be 1 to 4. Received: {num_planes}"):
        unpack_planes(np.zeros(1), 1, num_planes)


def test_words_and_bits_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"must have 2 words .* for 33 channels.*\(3, 1\)"):
        unpack_signs(np.zeros((3, 1), np.int32), 33)
    with pytest.raises(ValueError, match=r"must have 4 words .* in 2 planes.*\(2,\)"):
        unpack_planes(np.zeros(2, np.int32), 33, 2)
    with pytest.raises(ValueError, match=r"shape \(5, 2\), or \(2, 5, 2\).*Received: \(5, 1\)"):
        unpack_filter(np.zeros((5, 1), np.uint8), (3, 3, 1, 5))
