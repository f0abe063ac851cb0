"""Activation functions of layers: their names, and the bounds of those that are clamps."""

from typing import NamedTuple

import keras

from tfq_lowbit.model.functions import (
    ACTIVATIONS,
    PRODUCTS,
    find_activation,
    function_of,
    known_activation,
)


class Clamp(NamedTuple):
    """Real bounds of an activation function."""

    lower: float | None
    upper: float | None


CLAMPS = {
    "linear": Clamp(None, None),
    "relu": Clamp(0.0, None),
    "relu6": Clamp(0.0, 6.0),
    "hard_tanh": Clamp(-1.0, 1.0),
}
# Every name that an Activation, and a layer with a kernel, may have.
KNOWN = (*CLAMPS, "softmax", *ACTIVATIONS, *PRODUCTS)


def activation_name(layer) -> str:
    """Return the name of a layer's activation function ("linear" where it has none)."""
    function = getattr(layer, "activation", None)
    if function is None:
        return "linear"
    for name in KNOWN:
        if function is find_activation(name):
            return name
    # A function of one's own may have the name of another.
    name = getattr(function, "__name__", type(function).__name__)
    return f"own {name}" if name in KNOWN else name


def has_softmax(layer) -> bool:
    """Return whether a layer ends in a softmax."""
    return activation_name(layer) == "softmax"


def is_function(layer) -> bool:
    """Return whether a layer is a function of single values that is more than a clamp."""
    return function_of(layer) is not None or (
        type(layer) is keras.layers.Activation and known_activation(layer) in PRODUCTS
    )


def clamp_of(layer) -> Clamp:
    """Return the bounds that a ReLU, Activation or layer with an activation applies."""
    if function_of(layer) is not None:
        return CLAMPS["linear"]
    if isinstance(layer, keras.layers.ReLU):
        return Clamp(0.0, None if layer.max_value is None else float(layer.max_value))
    return CLAMPS.get(activation_name(layer), CLAMPS["linear"])
