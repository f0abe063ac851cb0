"""Which edges have 16 bits, and where conversions go."""

import keras
import pytest

from tfq_lowbit.model import Recipe, read_graph
from tfq_lowbit.model.placement import Placement
from tfq_lowbit.wrappers import Narrow, Widen

layers = keras.layers
WIDE, NARROW = Recipe(activation_bits=16), Recipe(activation_bits=4)


def conv(name, **options):
    return layers.Conv2D(4, 3, padding="same", name=name, **options)


def image():
    return keras.Input((8, 8, 4), name="image")


def plain():
    x = inputs = image()
    for name in ("first", "middle", "last"):
        x = conv(name, activation="relu")(x)
    return keras.Model(inputs, x)


def pooled():
    inputs = image()
    x = layers.BatchNormalization(name="norm")(conv("first")(inputs))
    x = layers.MaxPooling2D(name="pool")(layers.ReLU(name="relu")(x))
    return keras.Model(inputs, layers.Softmax(name="softmax")(conv("last")(x)))


def shared():
    inputs = image()
    x = conv("first")(inputs)
    return keras.Model(inputs, layers.Add(name="sum")([conv("a")(x), conv("b")(x)]))


def rescaled():
    inputs = image()
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(inputs)
    return keras.Model(inputs, conv("last")(x))


# Model, recipe: the width of each quantizer, and the conversions with the type they make.
TABLE = {
    "plain": (plain, WIDE, {"image": 16, "first": 16, "middle": 16, "last": 16}, {}),
    "nothing wide": (plain, NARROW, {"image": 8, "first": 4, "middle": 8, "last": 8}, {}),
    "a narrow layer": (
        plain,
        WIDE.override("middle", activation_bits=5),
        {"image": 16, "first": 16, "first_to_int8": 5, "middle": 8, "last": 16},
        {"first_to_int8": Narrow, "middle_to_int16": Widen},
    ),
    "a wide layer": (
        plain,
        NARROW.override("middle", activation_bits=16),
        {"image": 8, "first": 8, "middle": 16, "middle_to_int8": 8, "last": 8},
        {"first_to_int16": Widen, "middle_to_int8": Narrow},
    ),
    "a wide input alone": (
        plain,
        Recipe(activation_bits=4, input_bits=16),
        {"image": 16, "image_to_int8": 8, "first": 4, "middle": 8, "last": 8},
        {"image_to_int8": Narrow},
    ),
    "normalization and pooling follow": (
        pooled,
        NARROW.override("first", activation_bits=16),
        {"image": 16, "pool": 16, "pool_to_int8": 8, "last": 8, "softmax": 8},
        {"pool_to_int8": Narrow},
    ),
    "a softmax is narrow": (
        pooled,
        WIDE,
        {"image": 16, "pool": 16, "last": 16, "last_to_int8": 8, "softmax": 8},
        {"last_to_int8": Narrow},
    ),
    "one conversion for all takers": (
        shared,
        WIDE.override("a|b", activation_bits=8),
        {"image": 16, "first": 16, "first_to_int8": 8, "a": 8, "b": 8, "sum": 16},
        {"first_to_int8": Narrow, "a_to_int16": Widen, "b_to_int16": Widen},
    ),
    "an input with an offset": (
        rescaled,
        WIDE,
        {"rescaling": 8, "last": 16},
        {"rescaling_to_int16": Widen},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_widths_and_conversions(name):
    build, recipe, widths, conversions = TABLE[name]
    placement = Placement(read_graph(build()), recipe)
    assert {edge.name: placement.quantizer(edge).num_bits for edge in placement.quantized} == widths
    assert {
        node.name: type(node.layer)
        for node in placement.graph.nodes
        if isinstance(node.layer, Narrow | Widen)
    } == conversions
