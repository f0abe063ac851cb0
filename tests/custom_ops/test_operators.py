"""Every custom operator in LiteRT equals the NumPy reference, on every kernel, with threads."""

import dataclasses

import numpy as np
import pytest

from tests.custom_ops import models, reference
from tests.custom_ops.running import open_file, predict, supported_kernels

VALID, SAME_ONE, SAME_ZERO = 0, 1, 2
KERNELS = pytest.mark.parametrize("kernel", supported_kernels())
THREADS = pytest.mark.parametrize("num_threads", [1, 2])


@dataclasses.dataclass
class Product:
    """A binary product and its output transform.

    Attributes:
        output: "float32", "int8" or "words".
        extras: optional inputs that are given: "integer_bias", "limits", "sum_multiplier".
    """

    channels_in: int = 64
    channels_out: int = 32
    size: tuple = (7, 6)
    kernel: tuple = (3, 3)
    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    padding: int = SAME_ONE
    planes: int = 1
    codes: bool = False
    ternary: bool = False
    output: str = "float32"
    extras: tuple = ()

    def inputs(self, rng, shape):
        """Returns (values, words)."""
        if self.codes:
            codes = rng.integers(0, 2**self.planes, shape).astype(np.float64)
            return codes, reference.pack_planes(codes, self.planes)
        signs = rng.choice([-1.0, 1.0], shape)
        return signs, reference.pack(signs)

    def weights(self, rng):
        choices = [-1.0, 0.0, 1.0] if self.ternary else [-1.0, 1.0]
        return rng.choice(
            choices, (*self.kernel, self.channels_in // self.groups, self.channels_out)
        )

    def options(self):
        is_int8 = self.output == "int8"
        return {
            "version": 1,
            "channels_in": self.channels_in,
            "planes": self.planes,
            "codes": int(self.codes),
            "zero_point": 5 if is_int8 else 0,
            "low": -100 if is_int8 else 0,
            "high": 110 if is_int8 else 0,
        }

    def window_options(self):
        pairs = {"kernel": self.kernel, "stride": self.strides, "dilation": self.dilation}
        sizes = {
            f"{name}_{axis}": pair[index]
            for name, pair in pairs.items()
            for index, axis in enumerate(("height", "width"))
        }
        return {**sizes, "groups": self.groups, "padding": self.padding}

    def accumulate(self, values, weights):
        pad_value = None if self.padding == VALID else float(self.padding == SAME_ONE)
        if self.codes and self.padding != VALID:
            pad_value = 0.0
        return reference.convolve(
            values,
            weights,
            groups=self.groups,
            strides=self.strides,
            dilation=self.dilation,
            pad_value=pad_value,
        )

    def transform(self, rng, acc, sums):
        """Returns (constants behind the filter, expected output)."""
        channels = self.channels_out
        if self.output == "words":
            thresholds = rng.integers(acc.min(), acc.max() + 2, channels).astype(np.int32)
            flips = rng.integers(0, 2, channels).astype(bool)
            flip_words = reference.pack(np.where(flips, -1.0, 1.0))
            return [thresholds, flip_words], reference.to_words(acc, thresholds, flips)
        scale = 40 / max(1, np.abs(acc).max()) if self.output == "int8" else 1
        multiplier = (rng.normal(size=channels) * scale).astype(np.float32)
        if "integer_bias" in self.extras:
            second = rng.integers(-9, 10, channels).astype(np.int32)
            biases = {"integer_bias": second}
        else:
            second = rng.normal(size=channels).astype(np.float32)
            biases = {"bias": second}
        lower = upper = sum_multiplier = None
        if "limits" in self.extras:
            lower = rng.integers(-20, 0, channels).astype(np.float32)
            upper = rng.integers(1, 20, channels).astype(np.float32)
            biases |= {"lower": lower, "upper": upper}
        if "sum_multiplier" in self.extras:
            sum_multiplier = rng.normal(size=channels).astype(np.float32)
            biases |= {"window_sum": sums, "sum_multiplier": sum_multiplier}
        y = reference.scale(acc, multiplier, **biases)
        if self.output == "int8":
            o = self.options()
            y = reference.to_int8(y, o["zero_point"], o["low"], o["high"])
        return [multiplier, second, lower, upper, sum_multiplier], y


CONVOLUTIONS = {
    "plain": Product(),
    "words": Product(output="words", channels_out=70),
    "int8": Product(output="int8"),
    "stride 2, zeros": Product(strides=(2, 2), padding=SAME_ZERO, output="words"),
    "stride 2 and 3, valid": Product(strides=(2, 3), padding=VALID, size=(9, 11)),
    "dilated": Product(dilation=(2, 3), padding=SAME_ZERO, size=(9, 8)),
    "dilated, words": Product(dilation=(2, 1), output="words"),
    "1x1": Product(kernel=(1, 1), channels_in=96, channels_out=33),
    "5x2": Product(kernel=(5, 2), channels_in=33, channels_out=1),
    "1 channel": Product(channels_in=1, channels_out=1, output="words"),
    "31 and 65 channels": Product(channels_in=31, channels_out=65, padding=SAME_ZERO),
    "limits": Product(extras=("limits", "integer_bias")),
    "sum multiplier": Product(extras=("sum_multiplier",)),
    "all extras, int8": Product(
        extras=("limits", "integer_bias", "sum_multiplier"), padding=SAME_ZERO, output="int8"
    ),
    "2 groups": Product(groups=2, channels_in=128, channels_out=64),
    "3 groups of 20": Product(groups=3, channels_in=60, channels_out=66, output="words"),
    "depthwise": Product(groups=8, channels_in=8, channels_out=8, extras=("sum_multiplier",)),
    "ternary": Product(ternary=True, padding=SAME_ZERO),
    "ternary, words": Product(ternary=True, output="words"),
    "W1A2": Product(planes=2, codes=True, output="int8"),
    "W1A2, words": Product(planes=2, codes=True, output="words", strides=(2, 2)),
    "ternary W2A2": Product(planes=2, codes=True, ternary=True, extras=("sum_multiplier",)),
    "W1A4 in groups": Product(planes=4, codes=True, groups=2, padding=VALID),
    "codes of one plane": Product(planes=1, codes=True, padding=SAME_ZERO, output="words"),
    "large": Product(size=(17, 19), channels_in=256, channels_out=128, output="words"),
}
DENSE_LAYERS = {
    "plain": Product(kernel=(1, 1), padding=VALID, channels_in=200, channels_out=10),
    "words": Product(kernel=(1, 1), padding=VALID, channels_out=100, output="words"),
    "int8 ternary": Product(kernel=(1, 1), padding=VALID, ternary=True, output="int8"),
    "three planes": Product(
        kernel=(1, 1), padding=VALID, planes=3, codes=True, extras=("sum_multiplier",)
    ),
}


def check(content, x, expected, kernel, num_threads):
    output = predict(open_file(content, num_threads, kernel), x)
    assert output.dtype == expected.dtype
    np.testing.assert_array_equal(output, expected)


@THREADS
@KERNELS
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_equals_the_reference(case, kernel, num_threads):
    product, rng = CONVOLUTIONS[case], np.random.default_rng(0)
    values, words = product.inputs(rng, (2, *product.size, product.channels_in))
    weights = product.weights(rng)
    constants, expected = product.transform(rng, *product.accumulate(values, weights))
    content = models.one_operator(
        "TfqBconv2d",
        (words.shape, np.int32),
        [reference.pack_filter(weights, product.ternary), *constants],
        (expected.shape, expected.dtype),
        {**product.options(), **product.window_options()},
    )
    check(content, words, expected, kernel, num_threads)


@THREADS
@KERNELS
@pytest.mark.parametrize("leading", [(5,), (), (2, 3, 7)])
@pytest.mark.parametrize("case", DENSE_LAYERS)
def test_a_dense_layer_equals_the_reference_at_every_rank(case, leading, kernel, num_threads):
    product, rng = DENSE_LAYERS[case], np.random.default_rng(1)
    values, words = product.inputs(rng, (*leading, product.channels_in))
    weights = product.weights(rng)
    rows = values.reshape(1, 1, -1, product.channels_in)
    constants, expected = product.transform(rng, *product.accumulate(rows, weights))
    expected = expected.reshape(*leading, -1)
    content = models.one_operator(
        "TfqBdense",
        (words.shape, np.int32),
        [reference.pack_filter(weights, product.ternary), *constants],
        (expected.shape, expected.dtype),
        product.options(),
    )
    check(content, words, expected, kernel, num_threads)


@THREADS
@KERNELS
@pytest.mark.parametrize("channels", [1, 31, 32, 33, 64, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_packing_signs_equals_the_reference(per_channel, dtype, channels, kernel, num_threads):
    rng = np.random.default_rng(2)
    x = rng.integers(-9, 10, (2, 3, 5, channels)).astype(dtype)  # often at the threshold itself
    threshold_type = np.float32 if dtype == np.float32 else np.int32
    thresholds = rng.integers(-5, 6, (channels,) if per_channel else ()).astype(threshold_type)
    expected = reference.pack(np.where(x < thresholds, -1.0, 1.0))
    content = models.one_operator(
        "TfqBitpack",
        (x.shape, dtype),
        [thresholds],
        (expected.shape, np.int32),
        models.BITPACK,
    )
    check(content, x, expected, kernel, num_threads)


@THREADS
@KERNELS
@pytest.mark.parametrize("planes", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 33, 64])
def test_packing_codes_equals_the_reference(channels, planes, kernel, num_threads):
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (2, 3, channels)).astype(np.int8)
    lowest = 127 - (2**planes - 1)
    codes = np.clip(x.astype(int) - lowest, 0, 2**planes - 1)
    expected = reference.pack_planes(codes, planes)
    content = models.one_operator(
        "TfqBitpack",
        (x.shape, np.int8),
        [],
        (expected.shape, np.int32),
        {"version": 1, "planes": planes, "lowest": lowest},
    )
    check(content, x, expected, kernel, num_threads)


@THREADS
@KERNELS
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(
    ("size", "strides"), [((2, 2), (2, 2)), ((3, 2), (2, 1)), ((3, 3), (1, 2))]
)
def test_pooling_equals_the_reference(size, strides, padding, kernel, num_threads):
    rng = np.random.default_rng(4)
    # Mostly -1: a padding that took part would win.
    values = np.where(rng.random((2, 7, 8, 70)) < 0.9, -1.0, 1.0)
    taken = reference.windows(values, size, strides, pad_value=-1 if padding else None)
    expected = reference.pack(taken.max(axis=(3, 4)))
    options = {"version": 1, "padding": padding}
    options |= dict(zip(("kernel_height", "kernel_width"), size, strict=True))
    options |= dict(zip(("stride_height", "stride_width"), strides, strict=True))
    words = reference.pack(values)
    content = models.one_operator(
        "TfqBmaxpool", (words.shape, np.int32), [], (expected.shape, np.int32), options
    )
    check(content, words, expected, kernel, num_threads)


@THREADS
@KERNELS
@pytest.mark.parametrize("channels", [1, 15, 16, 33])
def test_prelu_equals_the_reference(channels, kernel, num_threads):
    rng = np.random.default_rng(5)
    f = np.float32
    x = rng.integers(-128, 128, (2, 9, channels)).astype(np.int8)
    knee = rng.integers(-50, 50, channels).astype(np.int32)
    above, above_bias, below, below_bias = rng.normal(size=(4, channels)).astype(f)
    is_above = x > knee
    y = (x.astype(f) * np.where(is_above, above, below)).astype(f)
    y = (y + np.where(is_above, above_bias, below_bias)).astype(f)
    expected = np.clip(np.rint(y), -90, 80).astype(np.int8)
    content = models.one_operator(
        "TfqPrelu",
        (x.shape, np.int8),
        [knee, above, above_bias, below, below_bias],
        (x.shape, np.int8),
        {"version": 1, "low": -90, "high": 80},
    )
    check(content, x, expected, kernel, num_threads)
