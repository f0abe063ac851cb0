"""Layers of one's own within a quantized model, as `tfq.register_layer` says what they are."""

import keras

from tfq_lowbit.wrappers.shell import Shell


@keras.saving.register_keras_serializable("tfq_lowbit")
class RegisteredFunction(Shell):
    """A layer that computes one function of every value: the exporter asks it for 256 values.

    Args:
        operation: the layer.
        sign: where its values lie: "nonnegative", "signed" or "skewed".

    Example:
        >>> layer = RegisteredFunction(keras.layers.ReLU(max_value=1.0), "nonnegative")
        >>> float(layer(keras.ops.array([3.0]))[0])
        1.0
    """

    def __init__(self, operation, sign="signed", **kwargs):
        super().__init__(operation, **kwargs)
        self.sign = sign

    def own_config(self):
        return {"sign": self.sign}


@keras.saving.register_keras_serializable("tfq_lowbit")
class RegisteredIdentity(Shell):
    """A layer that acts in training alone: in evaluation it returns its input.

    Args:
        operation: the layer.

    Example:
        >>> layer = RegisteredIdentity(keras.layers.GaussianNoise(1.0))
        >>> float(layer(keras.ops.array([3.0]))[0])
        3.0
    """

    def call(self, inputs, training=None):
        """Return the input, in training what the layer makes of it."""
        return self.operation(inputs, training=training) if training else inputs
