"""What layers of one's own are: told once, read when a model is quantized."""

from dataclasses import dataclass
from typing import Any

import keras

from tfq_lowbit.model.rules import RULES
from tfq_lowbit.wrappers import FloatIsland, RegisteredFunction, RegisteredIdentity

KINDS = ("function", "identity", "layers", "float")
SIGNS = ("nonnegative", "signed", "skewed")

# Read by `quantize_model` alone: a quantized model holds what it was told.
_registered: dict[type, "Registration"] = {}


@dataclass(frozen=True)
class Registration:
    """What one class of layers is; a context manager that forgets it in the end.

    Attributes:
        layer_class: the class.
        kind: "function", "identity", "layers" or "float".
        sign: of a function's values.
        becomes: what makes other layers of a layer.
    """

    layer_class: type
    kind: str
    sign: str = "signed"
    becomes: Any = None

    def remove(self):
        """Forget it; models that are quantized already stay as they are."""
        if _registered.get(self.layer_class) is self:
            del _registered[self.layer_class]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.remove()


def register_layer(layer_class, kind, *, sign="signed", becomes=None) -> Registration:
    """Say what a layer class of one's own is, so that `quantize_model` can quantize it.

    A layer whose `call` is made of Keras layers and `keras.ops` alone needs none: it is read by
    tracing. The kinds are

    - "function": it computes one function of every value, as an activation does. The file holds a
      table of its 256 values; a quantizer goes behind it.
    - "identity": it acts in training alone, as dropout does.
    - "layers": `becomes(layer)` returns a Keras layer, or a functional model, that computes the
      same with weights of its own. That is how a kernel is told, whatever its variable is called.
    - "float": it stays in float, whatever `on_unsupported` says.

    Subclasses are not meant. A registration is read when a model is quantized; the quantized model
    keeps what was told, in a file too.

    Args:
        layer_class: a subclass of `keras.layers.Layer`.
        kind: "function", "identity", "layers" or "float".
        sign: of a function: "nonnegative", "signed", or "skewed" where values lie mostly to one
            side of 0 (the quantizer then gets a zero point).
        becomes: of "layers": `(layer) -> keras.layers.Layer or keras.Model`, called once a layer.

    Returns:
        A `Registration`: `remove()` forgets it, and so does the end of a `with` block.

    Raises:
        TypeError: if `layer_class` is no layer class, or `becomes` is not callable.
        ValueError: if the class has an integer form or is registered already, or an argument is
            unknown or does not belong to the kind.

    Example:
        >>> class Square(keras.layers.Layer):
        ...     def call(self, inputs):
        ...         return inputs * inputs
        >>> registration = register_layer(Square, "function", sign="nonnegative")
        >>> registration.remove()
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise TypeError(
            "Argument `layer_class` must be a subclass of keras.layers.Layer, the class itself. "
            f"Received: {layer_class!r}"
        )
    for name, value, known in (("kind", kind, KINDS), ("sign", sign, SIGNS)):
        if value not in known:
            raise ValueError(f"Argument `{name}` must be one of {known}. Received: {value!r}")
    if sign != "signed" and kind != "function":
        raise ValueError(f"Argument `sign` belongs to kind='function'. Received: kind={kind!r}")
    if (becomes is not None) != (kind == "layers"):
        raise ValueError(
            "Argument `becomes` belongs to kind='layers', which needs it. Received: "
            f"kind={kind!r}, becomes={becomes!r}"
        )
    if becomes is not None and not callable(becomes):
        raise TypeError(f"Argument `becomes` must be a function of a layer. Received: {becomes!r}")
    _check_free(layer_class)
    registration = Registration(layer_class, kind, sign, becomes)
    _registered[layer_class] = registration
    return registration


def find_registration(layer) -> Registration | None:
    """Return the registration of a layer's class, None where there is none."""
    return _registered.get(type(layer))


def apply_registration(node, made: dict):
    """Put what a registered layer is in its place.

    Args:
        node: a call of the graph, changed in place.
        made: what was put in place of which layer, by the layer's id: a layer that is called twice
            stays shared.

    Raises:
        ValueError: naming the layer, if what `becomes` returns is none or has another output.
    """
    layer, registration = node.layer, find_registration(node.layer)
    if registration is None:
        return
    if id(layer) not in made:
        made[id(layer)] = layer, _make(layer, registration)
    node.layer = made[id(layer)][1]
    if registration.kind == "layers":
        _check_output(node, layer)


def _make(layer, registration):
    if registration.kind == "function":
        return RegisteredFunction(layer, registration.sign)
    if registration.kind == "identity":
        return RegisteredIdentity(layer)
    if registration.kind == "float":
        return FloatIsland(layer, "it is registered as such")
    made = registration.becomes(layer)
    if not isinstance(made, keras.layers.Layer) or find_registration(made) is not None:
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) is registered to become other layers: "
            "`becomes` must return a Keras layer or model of a class that is not registered. "
            f"Received: {made!r}"
        )
    return made


def _check_output(node, layer):
    def symbolic(leaf):
        is_edge = any(leaf is edge for edge in node.inputs)
        return keras.KerasTensor(leaf.shape, leaf.dtype) if is_edge else leaf

    args, kwargs = keras.tree.map_structure(symbolic, (node.args, node.kwargs))
    made = [tuple(each.shape) for each in keras.tree.flatten(node.layer(*args, **kwargs))]
    expected = [tuple(edge.shape) for edge in keras.tree.flatten(node.outputs)]
    if made != expected:
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) has outputs of the shapes {expected}, "
            f"what its registration makes of it {made}. `becomes` must return what computes the "
            "same."
        )


def _check_free(layer_class):
    if any(rule.layer_class is layer_class for rule in RULES):
        raise ValueError(
            f"{layer_class.__name__} has an integer form already: it cannot be registered. "
            "Register a subclass."
        )
    if layer_class in _registered:
        raise ValueError(
            f"{layer_class.__name__} is registered already, as {_registered[layer_class].kind!r}. "
            "Call remove() on what register_layer returned first."
        )
