"""Which layers of a model are binary."""

import keras

from tfq_lowbit.wrappers import BinaryWrapper


def binary_layers(model):
    """Return the binary layers of a model, nested models included.

    Args:
        model: a Keras model, as from `quantize_model` with `Recipe.binary`, or one with layers
            wrapped by hand.

    Returns:
        A list of `BinaryWrapper`, in the order of the model.
    """
    found = []
    for layer in model.layers:
        if isinstance(layer, BinaryWrapper):
            found.append(layer)
        elif isinstance(layer, keras.Model):
            found.extend(binary_layers(layer))
    return found


def require_binary_layers(model, what):
    """Return `binary_layers(model)`.

    Args:
        model: a Keras model.
        what: who asks, for the message.

    Raises:
        ValueError: if there are none.
    """
    layers = binary_layers(model)
    if not layers:
        raise ValueError(
            f"{what} needs a model with binary layers. Received: model {model.name!r} without any. "
            "Make them with Recipe.binary and quantize_model, or with Binarize."
        )
    return layers
