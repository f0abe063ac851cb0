"""Shipped equals trained: whole networks at every pair of widths, and every arrangement of layers.

LiteRT equals the lowered graph bit for bit, and so do the NumPy evaluator and Keras. Each holds for
whole networks and layer by layer.
"""

import keras
import pytest

from tests.networks import conv_norm, images, mobilenet, randomize, resnet, vgg
from tests.promise import MAX_STEP_DIFFERENCE, check_promise, check_shipped
from tfq_lowbit import Recipe, quantize_model
from tfq_lowbit.export import KERAS_LITERT

layers = keras.layers

WEIGHT_BITS = (2, 3, 4, 5, 6, 7, 8)
ACTIVATION_BITS = (2, 4, 8)
PAIRS = [(weights, inputs) for weights in WEIGHT_BITS for inputs in ACTIVATION_BITS]
# By name: builder, samples to calibrate with, samples to compare.
NETWORKS = {
    "resnet": (resnet, 32, 64),
    "vgg": (vgg, 32, 64),
    "mobilenet": (mobilenet, 16, 8),
    "small mobilenet": (lambda: mobilenet(alpha=0.35), 16, 4),
    "small resnet": (lambda: resnet(size=16, width=8, blocks=1), 32, 16),
    "small vgg": (lambda: vgg(size=16, width=8), 32, 16),
}
FAST = [
    ("small resnet", 2, 2),
    ("small resnet", 4, 4),
    ("small resnet", 7, 8),
    ("small vgg", 2, 4),
    ("small vgg", 4, 2),
    ("small vgg", 8, 8),
    ("small mobilenet", 4, 8),
]
SLOW = [(name, *pair) for name in ("mobilenet", "resnet", "vgg") for pair in PAIRS]


@pytest.fixture(scope="module")
def float_models():
    return {}


def check_network(float_models, name, weight_bits, activation_bits, prefers):
    """Checks a network at one pair of widths; returns the fidelities."""
    build, num_calibrated, num_compared = NETWORKS[name]
    if name not in float_models:
        float_models[name] = build()
    model = float_models[name]
    recipe = Recipe.lsq(weight_bits, activation_bits, first_last_bits=None)
    quantized = quantize_model(model, recipe, images(model, num_calibrated))
    data = images(model, num_compared, seed=1)
    return [check_promise(quantized, data, num_evaluated=2, prefer=prefer) for prefer in prefers]


@pytest.mark.parametrize(("name", "weight_bits", "activation_bits"), FAST)
def test_a_small_network_ships_what_was_trained(float_models, name, weight_bits, activation_bits):
    check_network(float_models, name, weight_bits, activation_bits, ["size"])


def test_preferring_speed_ships_what_was_trained(float_models):
    check_network(float_models, "small resnet", 2, 4, ["speed"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "weight_bits", "activation_bits"), SLOW)
def test_a_network_ships_what_was_trained(
    float_models, name, weight_bits, activation_bits, record_property
):
    # Wider codes are stored alike, whatever is preferred.
    prefers = ["size", "speed"] if weight_bits <= 4 else ["size"]
    for fidelity in check_network(float_models, name, weight_bits, activation_bits, prefers):
        record_property("fidelity", str(fidelity))


# Arrangements of layers.


def image(channels=5, size=9, name=None):
    return keras.Input((size, size + 1, channels), name=name)


def chain(*stages, inputs=None):
    """Returns a model of layers one behind the other."""
    inputs = image() if inputs is None else inputs
    x = inputs
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, x)


def conv(filters=8, size=3, **options):
    return layers.Conv2D(filters, size, **options)


def shared_layers():
    left, right = image(name="left"), image(name="right")
    shared, norm = conv(use_bias=False), layers.BatchNormalization()
    ways = [layers.ReLU()(norm(shared(side))) for side in (left, right)]
    pooled = [layers.GlobalAveragePooling2D()(way) for way in ways]
    dense = layers.Dense(4)
    return keras.Model([left, right], layers.Add()([dense(way) for way in pooled]))


def shared_layer_beside_its_name():
    inputs = image(name="image")
    shared = conv(5, padding="same", activation="relu", name="conv")
    x = shared(conv(5, 2, padding="same", name="conv_1")(shared(inputs)))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def vanishing_gammas():
    return chain(conv(), layers.BatchNormalization(name="vanishing"), layers.ReLU(), conv(4))


def shared_quantized_layer():
    inputs = image()
    shared = conv(5, padding="same", activation="relu")
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(shared(shared(inputs)))))


def two_inputs_two_outputs():
    left, right = keras.Input((10, 9, 3), name="left"), keras.Input((5, 5, 2), name="right")
    x = conv(6, strides=2, activation="relu", padding="same")(left)
    y = conv(4, activation="relu", padding="same")(right)
    joined = layers.Concatenate()([x, y])
    scores = layers.Dense(5)(layers.GlobalAveragePooling2D()(joined))
    return keras.Model([left, right], [scores, conv(2, 1)(x)])


def squeeze_keepdims():
    inputs = image()
    x = conv(activation="relu")(inputs)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return keras.Model(inputs, layers.Flatten()(conv(6, 1)(pooled)))


def concatenated_with_input():
    inputs = image()
    x = conv(4, padding="same", activation="relu")(inputs)
    y = conv(3, 1)(inputs)
    joined = layers.Concatenate()([x, inputs, y])
    return keras.Model(inputs, conv(6)(joined))


def concatenated_codes_twice():
    inputs = image()
    x = conv(4, padding="same", activation="relu")(inputs)
    joined = layers.Concatenate()([x, layers.MaxPooling2D(3, 1, "same")(x), x])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(conv(6)(joined))))


def norm_before_conv():
    inputs = image()
    x = conv_norm(layers.BatchNormalization()(inputs), 6, 3)
    x = layers.ReLU()(layers.BatchNormalization()(layers.MaxPooling2D()(x)))
    return keras.Model(inputs, layers.Flatten()(conv(6, 1)(x)))


def norm_of_vectors():
    return chain(
        layers.Dense(9, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(6),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(4),
        inputs=keras.Input((7,)),
    )


def norm_of_a_sequence():
    return chain(
        layers.Dense(9, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(4),
        inputs=keras.Input((6, 7)),
    )


def preactivation(rectifier):
    """Returns a net whose sum feeds a shortcut as it is, and a branch behind an own ReLU."""
    inputs = image()
    x = conv(6, padding="same")(inputs)
    y = conv(6, padding="same")(rectifier(x))
    x = layers.Add()([x, y])
    y = conv(6, padding="same")(rectifier(x))
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.Add()([x, y]))))


def sum_of_three():
    inputs = image()
    ways = [conv(6, size, padding="same", activation="relu")(inputs) for size in (1, 2, 3)]
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Add()(ways)))


def average_pooling_same():
    x = layers.AveragePooling2D(3, strides=2, padding="same")
    return chain(
        conv(activation="relu"), x, conv(6), layers.AveragePooling2D((2, 1), 1), conv(3, 1)
    )


NETS = {
    "rescaling with offset": lambda: chain(layers.Rescaling(1 / 127.5, -1), conv(), layers.ReLU()),
    "rescaling with odd offset": lambda: chain(layers.Rescaling(1 / 58, -2.1), conv(), conv(4, 1)),
    "shared layers": shared_layers,
    "shared layer behind itself": shared_quantized_layer,
    "shared layer beside its name": shared_layer_beside_its_name,
    "vanishing gammas": vanishing_gammas,
    "two inputs, two outputs": two_inputs_two_outputs,
    "global average with keepdims": squeeze_keepdims,
    "average pooling with padding": average_pooling_same,
    "concatenation with an input": concatenated_with_input,
    "concatenation of codes": concatenated_codes_twice,
    "own batch normalization": norm_before_conv,
    "batch normalization of vectors": norm_of_vectors,
    "batch normalization of a sequence": norm_of_a_sequence,
    "relu6": lambda: chain(conv(), layers.ReLU(6), conv(activation="relu6"), conv(4, 1)),
    "own relu": lambda: preactivation(layers.ReLU()),
    "own relu6": lambda: preactivation(layers.ReLU(6)),
    "sum of three": sum_of_three,
    "zero padding": lambda: chain(
        layers.ZeroPadding2D(((1, 2), (0, 3))), conv(strides=2), layers.ZeroPadding2D(1), conv()
    ),
    "reshape and sequence": lambda: chain(
        conv(6, strides=2, activation="relu"),
        layers.Reshape((-1, 6)),
        layers.Dense(7, activation="relu"),
        layers.Dense(5),
    ),
    "grouped": lambda: chain(
        conv(6, activation="relu"), conv(9, groups=3, strides=2), conv(3, 1, groups=3)
    ),
    "grouped by channel": lambda: chain(
        conv(6, activation="relu"),
        conv(6, (3, 2), groups=6, padding="same", dilation_rate=2),
        layers.BatchNormalization(),
        conv(12, groups=6, strides=2, use_bias=False),
        conv(12, 2, groups=12, strides=(1, 2)),
    ),
    "dilated": lambda: chain(
        conv(6, dilation_rate=2, activation="relu"), conv(4, dilation_rate=(1, 2), padding="same")
    ),
    "unequal strides": lambda: chain(
        conv(6, (3, 2), strides=(1, 2), padding="same"), conv(4, (1, 3), strides=(2, 1))
    ),
    "window within its stride": lambda: chain(
        conv(6, 2, strides=3), layers.ReLU(), conv(6, 1, strides=2)
    ),
    "depth multiplier": lambda: chain(
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.BatchNormalization(),
        layers.ReLU(6),
        layers.DepthwiseConv2D((2, 3), dilation_rate=2, padding="same", activation="relu"),
        conv(4, 1),
    ),
    "pooling before relu": lambda: chain(
        conv(padding="same"), layers.MaxPooling2D(), layers.ReLU(), conv(4)
    ),
    "softmax": lambda: chain(
        layers.Flatten(), layers.Dense(9, activation="relu"), layers.Dense(6), layers.Softmax()
    ),
    "activations in the kernel layers": lambda: chain(
        layers.Dense(9, activation="relu6"),
        layers.Dense(6, activation="softmax"),
        inputs=keras.Input((7,)),
    ),
}
RECIPES = {
    "W4A4": Recipe.lsq(4, 4, first_last_bits=None),
    "W8A8": Recipe.lsq(8, 8),
    "W2A2 first and last 8": Recipe.lsq(2, 2),
}
SCHEMES = {
    "LSQ+": Recipe.lsq(4, 4, first_last_bits=None, activation_quantizer="lsq_plus"),
    "PACT": Recipe.pact(4, 4, first_last_bits=None),
    "PACT W2A2": Recipe.pact(2, 2),
    "DoReFa": Recipe.dorefa(3, 4),
    "ternary": Recipe.ternary(4, first_last_bits=None),
    "affine": Recipe(5, 6, None, "affine", "affine"),
    "per tensor": Recipe.lsq(4, 4, None, per_channel=False),
    "three-bit inputs and outputs": Recipe.lsq(4, 4, None, input_bits=3, output_bits=3),
    "override": Recipe.lsq(2, 2).override(r"conv2d.*", weight_bits=8, activation_bits=5),
}


def quantized(build, recipe):
    model = randomize(build())
    for layer in model.layers:
        if layer.name == "vanishing":
            layer.gamma.assign([1.0, -1.0, 1e-6, -1e-10, 1e-20, -1e-32, 1e-37, 1e-42])
    return quantize_model(model, recipe, images(model, 64)), images(model, 64, seed=1)


def rows(names, fast):
    """Returns parameters of which all but the fast ones are marked as slow."""
    return [
        pytest.param(name, marks=[] if name in fast else pytest.mark.slow, id=name)
        for name in names
    ]


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("recipe", rows(RECIPES, ["W4A4"]))
def test_an_arrangement_ships_what_was_trained(net, recipe):
    check_promise(*quantized(NETS[net], RECIPES[recipe]))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "net", rows(["own relu", "pooling before relu", "depth multiplier"], ["own relu"])
)
def test_a_scheme_ships_what_was_trained(net, scheme):
    keras.utils.clear_session()  # an override names a layer
    check_promise(*quantized(NETS[net], SCHEMES[scheme]))


TYPED = ["rescaling with offset", "two inputs, two outputs", "relu6"]


@pytest.mark.parametrize("net", rows(TYPED, TYPED[:1]))
@pytest.mark.parametrize("input_type", ["float32", "int8"])
@pytest.mark.parametrize("output_type", ["float32", "int8"])
def test_a_type_of_inputs_and_outputs_ships_what_was_trained(net, input_type, output_type):
    model, data = quantized(NETS[net], RECIPES["W4A4"])
    check_promise(model, data, input_type=input_type, output_type=output_type)


MIXED = {
    "resnet": lambda: resnet(size=16, width=8, blocks=1),
    "vgg": lambda: vgg(size=16, width=8),
    "average pooling": average_pooling_same,
    "own batch normalization": norm_before_conv,
}


@pytest.mark.parametrize("net", rows(MIXED, ["resnet", "average pooling"]))
def test_a_mixed_float16_model_ships_its_codes(net, mixed_float16):
    model, data = quantized(MIXED[net], RECIPES["W4A4"])
    fidelity = check_shipped(model, data)
    # Keras computes each layer in float16, whose 11 bits round values near the middle between two
    # codes to the middle: more ties, of one step still.
    steps = [
        pairs[KERAS_LITERT].max_step_difference
        for pairs in fidelity.layers.values()
        if KERAS_LITERT in pairs
    ]
    assert max(steps) <= MAX_STEP_DIFFERENCE
    # The same variables in a float32 model are within the bounds.
    keras.config.set_dtype_policy("float32")
    single, _ = quantized(MIXED[net], RECIPES["W4A4"])
    single.set_weights(model.get_weights())
    check_promise(single, data)
