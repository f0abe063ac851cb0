"""Products at awkward sizes: what is computed, what it is compared with, and in which ways."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tests.custom_ops import reference
from tfq_lowbit import ops


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution; `planes` 0 is values +1 and -1, else so many bit planes of codes."""

    image: tuple = (5, 6)
    channels_in: int = 33
    channels_out: int = 5
    kernel_size: tuple = (3, 3)
    strides: tuple = (1, 1)
    dilation: tuple = (1, 1)
    groups: int = 1
    padding: str = "SAME_ONE"
    planes: int = 0
    is_ternary: bool = False
    batch: int = 2

    def draw(self, seed=0):
        """Returns values or codes, and weights."""
        generator = np.random.default_rng(seed)
        shape = (self.batch, *self.image, self.channels_in)
        if self.planes:
            values = generator.integers(0, 2**self.planes, shape)
        else:
            values = generator.choice([-1, 1], shape)
        shape = (*self.kernel_size, self.channels_in // self.groups, self.channels_out)
        weights = generator.choice([-1, 0, 1] if self.is_ternary else [-1, 1], shape)
        if self.is_ternary:
            weights[..., 0] = 0  # a channel without a weight
        return values.astype(np.float64), weights.astype(np.float64)

    def words(self, values):
        return reference.pack_planes(values, self.planes) if self.planes else reference.pack(values)

    def accumulate(self, values, weights):
        """Returns accumulators and window sums."""
        pad = {"VALID": None, "SAME_ONE": 1.0, "SAME_ZERO": 0.0}[self.padding]
        pad = 0.0 if pad is not None and self.planes else pad
        window = {"strides": self.strides, "dilation": self.dilation, "pad_value": pad}
        return reference.convolve(values, weights, self.groups, **window)

    def run(self, x, filter_bits, output, **arguments):
        return ops.bconv2d(
            x,
            filter_bits,
            output,
            channels_in=self.channels_in,
            kernel_size=self.kernel_size,
            strides=self.strides,
            dilation=self.dilation,
            groups=self.groups,
            padding=self.padding,
            num_planes=max(self.planes, 1),
            has_codes=self.planes > 0,
            **arguments,
        )


CONVOLUTIONS = {
    "one of everything": Convolution((1, 1), 1, 1, (1, 1), padding="VALID", batch=1),
    "31 channels": Convolution(channels_in=31, channels_out=31),
    "32 channels": Convolution(channels_in=32, channels_out=32),
    "65 channels": Convolution(channels_in=65, channels_out=33, padding="VALID"),
    "128 to 64": Convolution((7, 7), 128, 64, padding="SAME_ONE"),
    "zeros around": Convolution(padding="SAME_ZERO"),
    "stride": Convolution((7, 8), 64, strides=(2, 3)),
    "stride, zeros": Convolution((7, 8), 64, strides=(3, 2), padding="SAME_ZERO"),
    "dilation": Convolution((7, 9), 32, dilation=(2, 3)),
    "dilation and stride": Convolution((8, 9), 32, dilation=(2, 2), strides=(2, 2)),
    "even kernel": Convolution(kernel_size=(2, 4), padding="SAME_ZERO"),
    "window larger than the image": Convolution((2, 3), 40, kernel_size=(5, 7)),
    "groups of words": Convolution(channels_in=64, channels_out=6, groups=2),
    "groups within a word": Convolution(channels_in=24, channels_out=6, groups=3),
    "depthwise": Convolution(channels_in=5, channels_out=10, groups=5, padding="SAME_ZERO"),
    "ternary": Convolution(is_ternary=True, padding="SAME_ZERO"),
    "ternary groups": Convolution(channels_in=70, channels_out=4, groups=2, is_ternary=True),
    "W1A1 codes": Convolution(planes=1, padding="SAME_ZERO"),
    "W1A2": Convolution(planes=2),
    "W1A4": Convolution(planes=4, channels_in=65, padding="VALID"),
    "ternary A2": Convolution(planes=2, is_ternary=True, strides=(2, 2)),
}


@dataclasses.dataclass(frozen=True)
class Dense(Convolution):
    """A dense layer, as a convolution of an image with one position."""

    image: tuple = (1, 1)
    kernel_size: tuple = (1, 1)
    padding: str = "VALID"

    def run(self, x, filter_bits, output, **arguments):
        return ops.bdense(
            x,
            filter_bits,
            output,
            channels_in=self.channels_in,
            num_planes=max(self.planes, 1),
            has_codes=self.planes > 0,
            **arguments,
        )


DENSES = {
    "dense, 1 to 1": Dense(channels_in=1, channels_out=1),
    "dense, 33 to 31": Dense(channels_in=33, channels_out=31, batch=5),
    "dense, 1000 to 65": Dense(channels_in=1000, channels_out=65),
    "dense, ternary": Dense(channels_in=70, channels_out=32, is_ternary=True),
    "dense, W1A3": Dense(channels_in=64, channels_out=33, planes=3),
}

PRODUCTS = CONVOLUTIONS | DENSES


def real_parameters(case, seed=1):
    """Returns everything that a float32 output can have, but for the integer bias."""
    generator = np.random.default_rng(seed)
    draw = generator.standard_normal((5, case.channels_out)).astype(np.float32)
    return {
        "multiplier": draw[0],
        "bias": 10 * draw[1],
        "lower": -abs(20 * draw[2]),
        "upper": abs(30 * draw[3]),
        "sum_multiplier": draw[4],
    }


def integer_bias(case, seed=2):
    """Returns biases of which some take accumulators beyond the integers of float32."""
    biases = np.random.default_rng(seed).integers(-50, 50, case.channels_out)
    biases[0] = 2**27 + 1
    return biases.astype(np.int32)


def outputs(case):
    """Yields (output, function from accumulators and window sums to the expected array)."""
    parameters = real_parameters(case)

    def real(given):
        return lambda acc, sums: reference.scale(acc, **given, window_sum=sums)

    few = {name: parameters[name] for name in ("multiplier", "bias")}
    integer = {name: value for name, value in parameters.items() if name != "bias"}
    integer["integer_bias"] = integer_bias(case)
    for given in (few, parameters, integer):
        yield ops.RealOutput(**given), real(given)

    codes = {"zero_point": -7, "low": -100, "high": 90}
    yield (
        ops.Int8Output(**parameters, **codes),
        lambda acc, sums: reference.to_int8(real(parameters)(acc, sums), **codes),
    )

    generator = np.random.default_rng(3)
    thresholds = generator.integers(-4, 5, case.channels_out).astype(np.int32)
    flips = generator.integers(0, 2, case.channels_out).astype(bool)
    yield (
        ops.SignOutput(thresholds, flips),
        lambda acc, sums: reference.to_words(acc, thresholds, flips),
    )


def in_eager_mode(function, x):
    return function(tf.constant(x))


def in_a_graph(function, x):
    return tf.function(function)(x)


def in_a_graph_of_unknown_sizes(function, x):
    signature = tf.TensorSpec([*[None] * (x.ndim - 1), x.shape[-1]], x.dtype)
    return tf.function(function, input_signature=[signature])(x)


def in_a_keras_model(function, x):
    class Operators(keras.layers.Layer):
        def __init__(self):
            super().__init__(autocast=False)
            self.supports_jit = False  # compiled operators have no form for XLA

        def call(self, inputs):
            return function(inputs)

    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    model = keras.Model(inputs, Operators()(inputs))
    model.compile()
    return model.predict(x, verbose=0)


WAYS = (in_eager_mode, in_a_graph, in_a_graph_of_unknown_sizes, in_a_keras_model)
