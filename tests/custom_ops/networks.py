"""Small networks of custom operators, with what they must compute."""

import dataclasses

import numpy as np

from tests.custom_ops import models, reference

CHANNELS, HIDDEN, OUTPUTS = 40, 70, 33


@dataclasses.dataclass
class Network:
    """Pack, convolve to packed bits, pool, convolve to float32; and LiteRT's own RELU behind it.

    Attributes:
        content: the file; its batch size is open.
        pooled: index of the tensor behind the pooling.
        expected: values -> (output, words behind the pooling).
    """

    content: bytes
    pooled: int
    expected: object


def network(seed=0, with_relu=True):
    rng = np.random.default_rng(seed)
    first = rng.choice([-1.0, 1.0], (3, 3, CHANNELS, HIDDEN))
    second = rng.choice([-1.0, 1.0], (3, 3, HIDDEN, OUTPUTS))
    channel_thresholds = rng.normal(size=CHANNELS).astype(np.float32) / 4
    thresholds = rng.integers(-20, 20, HIDDEN).astype(np.int32)
    flips = rng.integers(0, 2, HIDDEN).astype(bool)
    multiplier = rng.uniform(0.1, 2, OUTPUTS).astype(np.float32)
    bias = rng.normal(size=OUTPUTS).astype(np.float32)

    builder = models.ModelBuilder()
    x = builder.input((None, 9, 9, CHANNELS), np.float32)
    words = builder.custom(
        "TfqBitpack",
        [x, channel_thresholds],
        builder.tensor((None, 9, 9, 2), np.int32),
        models.BITPACK,
    )
    options = {**models.BCONV2D, "kernel_height": 3, "kernel_width": 3}
    hidden = builder.custom(
        "TfqBconv2d",
        [words, reference.pack_filter(first), thresholds, _flip_words(flips)],
        builder.tensor((None, 9, 9, 3), np.int32),
        {**options, "channels_in": CHANNELS, "padding": 1},
    )
    pooled = builder.custom(
        "TfqBmaxpool", [hidden], builder.tensor((None, 4, 4, 3), np.int32), models.BMAXPOOL
    )
    output = builder.custom(
        "TfqBconv2d",
        [pooled, reference.pack_filter(second), multiplier, bias],
        builder.tensor((None, 4, 4, OUTPUTS), np.float32),
        {**options, "channels_in": HIDDEN, "padding": 2},
    )
    if with_relu:
        last = builder.tensor((None, 4, 4, OUTPUTS), np.float32)
        output = builder.builtin("RELU", [output], last)

    def expected(values):
        signs = np.where(values < channel_thresholds, -1.0, 1.0)
        acc, _ = reference.convolve(signs, first, pad_value=1)
        bits = np.where((acc < thresholds) ^ flips, -1.0, 1.0)
        largest = reference.windows(bits, (2, 2), strides=(2, 2)).max(axis=(3, 4))
        acc, _ = reference.convolve(largest, second, pad_value=0)
        y = reference.scale(acc, multiplier, bias)
        return np.maximum(y, 0) if with_relu else y, reference.pack(largest)

    return Network(builder.build(output), pooled, expected)


def images(count, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 9, 9, CHANNELS)).astype(np.float32)


def _flip_words(flips):
    return reference.pack(np.where(flips, -1.0, 1.0))
