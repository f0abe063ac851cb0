"""Shipped equals trained for activation functions and merges: function, widths, signs of inputs."""

import keras
import pytest

from tests.networks import images, randomize
from tests.promise import MAX_STEP_DIFFERENCE, check_promise, check_shipped
from tfq_lowbit import Recipe, gelu_tanh, quantize_model
from tfq_lowbit.export import KERAS_LITERT

layers = keras.layers


def random_slopes(lowest=-1, highest=2, **options):
    """Returns a PReLU, by default with slopes below 0, between 0 and 1, and above."""
    slopes = keras.initializers.RandomUniform(lowest, highest, seed=1)
    return layers.PReLU(alpha_initializer=slopes, **options)


def activation(name):
    return lambda: layers.Activation(name)


NAMES = ["sigmoid", "tanh", "elu", "gelu", "leaky_relu", "silu", "hard_silu", "hard_sigmoid"]
NAMES += ["hard_tanh", "softplus", "softsign", "selu", "exponential", "mish", "celu", "log_sigmoid"]
NAMES += ["squareplus", "tanh_shrink", "soft_shrink", "hard_shrink", "sparse_plus"]
NAMES += ["sparse_sigmoid"]
FUNCTIONS = {name: activation(name) for name in NAMES} | {
    "gelu by tanh": activation(gelu_tanh),
    "LeakyReLU": lambda: layers.LeakyReLU(0.3),
    "LeakyReLU above 1": lambda: layers.LeakyReLU(1.7),
    "ReLU with a slope": lambda: layers.ReLU(negative_slope=0.1),
    "ReLU with a slope and a maximum": lambda: layers.ReLU(2.0, negative_slope=0.1),
    "ReLU with a threshold": lambda: layers.ReLU(threshold=0.5),
    "ReLU with a maximum": lambda: layers.ReLU(1.5),
    "ReLU with a large maximum": lambda: layers.ReLU(7.5),
    "PReLU": lambda: random_slopes(),
    "PReLU a channel": lambda: random_slopes(shared_axes=[1, 2]),
    "PReLU gentle": lambda: random_slopes(0, 1, shared_axes=[1, 2]),
    "PReLU of one slope": lambda: random_slopes(0, 1, shared_axes=[1, 2, 3]),
    "ELU": lambda: layers.ELU(),
    "ELU of 2": lambda: layers.ELU(2.0),
    "Rescaling": lambda: layers.Rescaling(0.3),
    "Rescaling negative": lambda: layers.Rescaling(-1.2),
    "Rescaling with offset": lambda: layers.Rescaling(0.613, 0.377),
    "abs": lambda: keras.ops.abs,
    "clip": lambda: lambda x: keras.ops.clip(x, -0.8, 0.9),
    "one minus": lambda: layers.Rescaling(-1.0, 1.0),
}
WIDTHS = {"W8A8": (8, 8), "W4A4": (4, 4)}
FAST = ["sigmoid", "leaky_relu", "hard_silu", "gelu", "mish", "PReLU a channel"]
FAST += ["ReLU with a maximum", "clip"]
# What stands before the function: a kernel, values from 0 up, an own grid with other consumers.
BEFORE = {
    "kernel": lambda x: layers.Conv2D(5, 3, padding="same")(x),
    "relu": lambda x: layers.Conv2D(5, 3, padding="same", activation="relu")(x),
    "input": lambda x: x,
}


# Keras divides by 6, which in a graph is a product with 1/6: values in the middle between two
# codes, of which these have many, may fall to either side.
HAVE_TIES = ("hard_sigmoid",)


def check(model, widths, seed=0, has_ties=False):
    randomize(model, seed)
    weights, inputs = WIDTHS[widths]
    recipe = Recipe.lsq(weights, inputs, first_last_bits=None)
    qmodel = quantize_model(model, recipe, images(model, 64))
    return check_promise(qmodel, images(model, 32, seed=1), has_ties=has_ties)


def with_function(function, before):
    inputs = keras.Input((6, 5, 3))
    x = BEFORE[before](inputs)
    y = FUNCTIONS[function]()(x)
    y = layers.Conv2D(4, 2)(y)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(y)))


CASES = [
    pytest.param(
        name,
        widths,
        before,
        marks=[] if name in FAST and (widths, before) == ("W4A4", "kernel") else pytest.mark.slow,
    )
    for name in FUNCTIONS
    for widths in WIDTHS
    for before in BEFORE
]


@pytest.mark.parametrize(("name", "widths", "before"), CASES)
def test_a_function_ships_what_was_trained(name, widths, before):
    check(with_function(name, before), widths, has_ties=name in HAVE_TIES)


# Merges.

MERGES = {
    "Subtract": layers.Subtract,
    "Multiply": layers.Multiply,
    "Average": layers.Average,
    "Maximum": layers.Maximum,
    "Minimum": layers.Minimum,
    "Add": layers.Add,
}
OFTEN = ["Multiply", "Average", "Maximum", "Add"]  # of more than two


def conv(filters=5, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


def finish(inputs, x):
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(conv()(x))))


def merged(name, count, behind=None):
    """Returns a net that merges kernels, one with a ReLU, and the image itself last."""
    inputs = keras.Input((6, 5, 5))
    parts = [conv(activation="relu")(inputs), conv()(inputs), inputs][-count:]
    x = MERGES[name]()(parts)
    return finish(inputs, x if behind is None else behind(x))


def broadcast(name):
    """Returns a net that merges an image with its mean by channel, and with one channel of it."""
    inputs = keras.Input((6, 5, 3))
    x = conv(activation="relu")(inputs)
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = MERGES[name]()([x, conv(5, 1)(mean)])
    z = MERGES[name]()([conv(1, 1)(x), y])
    return finish(inputs, z)


def squeeze_excite(gate, act):
    """Returns a MobileNetV3 or EfficientNet block."""
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(conv(8, strides=2, use_bias=False)(inputs))
    x = layers.Activation(act)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.Activation(act)(layers.BatchNormalization()(y))
    s = layers.GlobalAveragePooling2D(keepdims=True)(y)
    s = conv(4, 1, activation=act)(s)
    y = layers.Multiply()([y, gate(conv(8, 1)(s))])
    y = layers.BatchNormalization()(conv(8, 1, use_bias=False)(y))
    return finish(inputs, layers.Add()([x, y]))


def hard_sigmoid_in_operations(x):
    return layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)


def dot(axes, left=(6, 5), right=(7, 5), gate=None):
    """Returns a net that multiplies two tensors over one axis of each."""
    inputs = [keras.Input(left), keras.Input(right)]
    x, y = layers.Dense(left[-1])(inputs[0]), layers.Dense(right[-1], activation=gate)(inputs[1])
    product = layers.Dot(axes)([x, y])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(product)))


AFTER = {"relu": layers.ReLU, "relu6": lambda: layers.ReLU(6), "pool": layers.MaxPooling2D}
NETS = {
    "SE with sigmoid": lambda: squeeze_excite(layers.Activation("sigmoid"), "silu"),
    "SE with hard sigmoid": lambda: squeeze_excite(layers.Activation("hard_sigmoid"), "hard_silu"),
    "SE of MobileNetV3": lambda: squeeze_excite(hard_sigmoid_in_operations, "relu"),
    **{f"{name} of 2": lambda name=name: merged(name, 2) for name in MERGES},
    **{f"{name} of 3": lambda name=name: merged(name, 3) for name in OFTEN},
    **{
        f"{name} then {after}": lambda name=name, after=after: merged(name, 2, AFTER[after]())
        for name in MERGES
        for after in AFTER
    },
    **{f"{name} broadcast": lambda name=name: broadcast(name) for name in MERGES},
    "Dot": lambda: dot(2),
    "Dot over steps": lambda: dot((1, 1), (6, 5), (6, 3)),
    "Dot of differing axes": lambda: dot((2, 1), (6, 5), (5, 3), gate="sigmoid"),
    "Dot of vectors": lambda: dot(1, (9,), (9,), gate="relu"),
    "Dot with a vector": lambda: dot((2, 1), (6, 5), (5,), gate="tanh"),
}
FAST_NETS = ["SE with sigmoid", "SE of MobileNetV3", "Subtract of 2", "Average of 3"]
FAST_NETS += [
    "Dot of differing axes",
    "Dot of vectors",
    "Maximum of 3",
    "Multiply broadcast",
    "Average then relu6",
    "Minimum then pool",
]
NET_CASES = [
    pytest.param(
        net, widths, marks=[] if net in FAST_NETS and widths == "W4A4" else pytest.mark.slow
    )
    for net in NETS
    for widths in WIDTHS
]


@pytest.mark.parametrize(("net", "widths"), NET_CASES)
def test_a_merge_ships_what_was_trained(net, widths):
    check(NETS[net](), widths)


@pytest.mark.parametrize("net", ["SE with sigmoid", "Average of 3"])
def test_a_mixed_float16_model_ships_its_codes(net, mixed_float16):
    model = randomize(NETS[net]())
    qmodel = quantize_model(model, Recipe.lsq(8, 8), images(model, 32))
    fidelity = check_shipped(qmodel, images(model, 16, seed=1))
    steps = [
        pairs[KERAS_LITERT].max_step_difference
        for pairs in fidelity.layers.values()
        if KERAS_LITERT in pairs
    ]
    assert max(steps) <= MAX_STEP_DIFFERENCE
