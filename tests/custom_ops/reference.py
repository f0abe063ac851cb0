"""The custom operators in plain NumPy, on values instead of bits: what custom_ops/README.md says.

Nothing here is shared with the package. Values are +1 and -1 or codes, as float64; weights are -1,
0 or +1, (kernel_height, kernel_width, channels_in / groups, channels_out).
"""

import numpy as np


def pack(values):
    """Packs +1 and -1 along the last axis into int32 words, 32 a word, a set bit is -1."""
    *shape, channels = values.shape
    words = np.zeros((*shape, -(-channels // 32)), np.uint32)
    for channel in range(channels):
        bit = (values[..., channel] < 0).astype(np.uint32)
        words[..., channel // 32] |= bit << np.uint32(channel % 32)
    return words.view(np.int32)


def unpack(words, channels):
    """The inverse of `pack`, as float64."""
    words = words.view(np.uint32)
    bits = [words[..., c // 32] >> np.uint32(c % 32) & 1 for c in range(channels)]
    return 1.0 - 2.0 * np.stack(bits, axis=-1)


def pack_planes(codes, planes):
    """Packs unsigned codes: plane p holds the complement of bit p."""
    codes = codes.astype(np.int64)
    parts = [pack(np.where(codes >> plane & 1, 1.0, -1.0)) for plane in range(planes)]
    return np.concatenate(parts, axis=-1)


def pack_filter(weights, is_ternary=False):
    """Packs weights densely a channel, least significant bit first; ternary: signs, then mask."""
    rows = np.moveaxis(weights, -1, 0).reshape(weights.shape[-1], -1)
    signs = np.packbits(rows < 0, axis=-1, bitorder="little")
    if not is_ternary:
        return signs
    return np.stack([signs, np.packbits(rows != 0, axis=-1, bitorder="little")])


def same_padding(size, kernel, stride, dilation):
    """Where SAME padding begins, and how long the output is."""
    extent = (kernel - 1) * dilation + 1
    output = -(-size // stride)
    return max((output - 1) * stride + extent - size, 0) // 2, output


def windows(x, kernel, strides=(1, 1), dilation=(1, 1), pad_value=None):
    """(n, oh, ow, kh, kw, c); `pad_value` None is VALID."""
    n, height, width, channels = x.shape
    begin, output = [], []
    for size, k, s, d in zip((height, width), kernel, strides, dilation, strict=True):
        if pad_value is None:
            begin.append(0)
            output.append((size - (k - 1) * d - 1) // s + 1)
        else:
            first, length = same_padding(size, k, s, d)
            begin.append(first)
            output.append(length)
    result = np.full((n, *output, *kernel, channels), pad_value, np.float64)
    for oy, ox, ky, kx in np.ndindex(*output, *kernel):
        y = oy * strides[0] - begin[0] + ky * dilation[0]
        z = ox * strides[1] - begin[1] + kx * dilation[1]
        if 0 <= y < height and 0 <= z < width:
            result[:, oy, ox, ky, kx] = x[:, y, z]
    return result


def convolve(x, weights, groups=1, **arguments):
    """Returns (accumulators, sums of the windows), both (n, oh, ow, channels_out)."""
    taken = windows(x, weights.shape[:2], **arguments)
    parts, sums = [], []
    outputs = weights.shape[-1] // groups
    inputs = x.shape[-1] // groups
    for group in range(groups):
        of_group = taken[..., group * inputs : (group + 1) * inputs]
        filters = weights[..., group * outputs : (group + 1) * outputs]
        parts.append(np.einsum("nyxhwc,hwco->nyxo", of_group, filters))
        total = of_group.sum(axis=(3, 4, 5))[..., None]
        sums.append(np.repeat(total, outputs, axis=-1))
    return np.concatenate(parts, axis=-1), np.concatenate(sums, axis=-1)


def scale(
    acc,
    multiplier,
    bias=0,
    integer_bias=0,
    lower=-np.inf,
    upper=np.inf,
    window_sum=0,
    sum_multiplier=None,
):
    """The float32 output; every operation rounds to float32 on its own."""
    f = np.float32
    y = np.minimum(np.maximum((acc + integer_bias).astype(f), f(lower)), f(upper)).astype(f)
    y = (y * f(multiplier)).astype(f)
    y = (y + np.asarray(bias, f)).astype(f)
    if sum_multiplier is not None:
        y = (y + (np.asarray(window_sum, f) * np.asarray(sum_multiplier, f)).astype(f)).astype(f)
    return y


def to_int8(y, zero_point, low, high):
    """Codes of a float32 output."""
    return (np.clip(np.rint(y), low - zero_point, high - zero_point) + zero_point).astype(np.int8)


def to_words(acc, thresholds, flips):
    """Packed output; `flips` is a boolean a channel."""
    return pack(np.where((acc < thresholds) ^ flips, -1.0, 1.0))
