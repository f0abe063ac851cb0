"""Activation functions that are more than a clamp: what computes each, and on which grid."""

import enum
from typing import NamedTuple

import keras

from tfq_lowbit.wrappers import InverseRoot, RegisteredFunction, RPReLU, gelu_tanh


class Sign(enum.Enum):
    """Where the values of a function lie, for the choice of a quantizer."""

    NONNEGATIVE = "nonnegative"
    SKEWED = "skewed"  # negative to a smaller extent than positive, or the other way round
    SIGNED = "signed"


class Function(NamedTuple):
    """How a function of single values is computed on codes.

    Attributes:
        operator: "LOGISTIC", "TANH", "ELU" or "GELU", the runtime's own tables; "SLOPES", two
            products and the larger or smaller of them; "AFFINE", one product and one sum; "PRELU",
            the custom operator; "LOOKUP", a table of 256 codes that the exporter computes.
        sign: where its values lie.
        step: step of its output where that is fixed, None where a quantizer has it.
    """

    operator: str
    sign: Sign
    step: float | None = None


# By the name that keras.activations has for them. The runtime's operators for sigmoid and tanh have
# fixed output grids.
ACTIVATIONS = {
    "sigmoid": Function("LOGISTIC", Sign.NONNEGATIVE, 1.0 / 256.0),
    "hard_sigmoid": Function("AFFINE", Sign.NONNEGATIVE, 1.0 / 255.0),
    "tanh": Function("TANH", Sign.SIGNED, 1.0 / 128.0),
    "elu": Function("ELU", Sign.SKEWED),
    "gelu": Function("GELU", Sign.SKEWED),
    "gelu_tanh": Function("GELU", Sign.SKEWED),
    "leaky_relu": Function("SLOPES", Sign.SKEWED),
    "softplus": Function("LOOKUP", Sign.NONNEGATIVE),
    "exponential": Function("LOOKUP", Sign.NONNEGATIVE),
    "squareplus": Function("LOOKUP", Sign.NONNEGATIVE),
    "sparse_plus": Function("LOOKUP", Sign.NONNEGATIVE),
    "sparse_sigmoid": Function("LOOKUP", Sign.NONNEGATIVE),
    "selu": Function("LOOKUP", Sign.SKEWED),
    "celu": Function("LOOKUP", Sign.SKEWED),
    "mish": Function("LOOKUP", Sign.SKEWED),
    "log_sigmoid": Function("LOOKUP", Sign.SKEWED),
    "softsign": Function("LOOKUP", Sign.SIGNED),
    "tanh_shrink": Function("LOOKUP", Sign.SIGNED),
    "soft_shrink": Function("LOOKUP", Sign.SIGNED),
    "hard_shrink": Function("LOOKUP", Sign.SIGNED),
}
# `x` times another function of `x`: two operators, and the codes of the factor are on a grid too.
PRODUCTS = {"silu": "sigmoid", "hard_silu": "hard_sigmoid"}
# Layers that are such a function, whatever their arguments.
LAYERS = {
    keras.layers.LeakyReLU: Function("SLOPES", Sign.SKEWED),
    keras.layers.PReLU: Function("SLOPES", Sign.SKEWED),
    keras.layers.Rescaling: Function("AFFINE", Sign.SKEWED),
    InverseRoot: Function("LOOKUP", Sign.NONNEGATIVE),
    RPReLU: Function("PRELU", Sign.SIGNED),
}


def find_activation(name):
    """Return the function that the project or Keras has under a name, None for neither."""
    if name == "gelu_tanh":
        return gelu_tanh
    try:
        return keras.activations.get(name)
    except ValueError:  # an older Keras has fewer
        return None


def function_of(layer) -> Function | None:
    """Return the function that a layer is, None for a layer that is none or only a clamp."""
    kind = type(layer)
    if kind is keras.layers.ReLU:
        return _relu(layer)
    if kind is keras.layers.ELU:
        return ACTIVATIONS["elu"] if layer.alpha == 1.0 else Function("LOOKUP", Sign.SKEWED)
    if kind is keras.layers.Activation:
        return ACTIVATIONS.get(known_activation(layer) or "")
    if kind is RegisteredFunction:
        return Function("LOOKUP", Sign(layer.sign))
    return LAYERS.get(kind)


def require_function(layer) -> Function:
    """Return the function that a layer is known to be."""
    function = function_of(layer)
    if function is None:
        raise ValueError(f"Layer {layer.name!r} ({type(layer).__name__}) is no function of values.")
    return function


def known_activation(layer) -> str | None:
    """Return the name in `ACTIVATIONS` or `PRODUCTS` of a layer's activation, None for another."""
    function = getattr(layer, "activation", None)
    for name in (*ACTIVATIONS, *PRODUCTS):
        if function is not None and function is find_activation(name):
            return name
    return None


def _relu(layer):
    if not layer.threshold and not layer.negative_slope:
        return None
    if layer.threshold or layer.max_value is not None:
        sign = Sign.SKEWED if layer.negative_slope else Sign.NONNEGATIVE
        return Function("LOOKUP", sign)
    return Function("SLOPES", Sign.SKEWED)
