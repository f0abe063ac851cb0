"""The layer that quantizes an activation."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.grid import pack_grid
from tfq_lowbit.ste import replace_ste
from tfq_lowbit.wrappers.kernel_rounding import round_as_kernel


@keras.saving.register_keras_serializable("tfq_lowbit")
class QuantizeActivation(keras.layers.Layer):
    """Quantizes the tensor on one edge of a model; every consumer sees the same grid.

    Args:
        quantizer: the quantizer of the tensor, one step size for all of it.
        return_grid: also return the grid `[step_size, q_min, q_max]` for consumers that round
            their bias to it.
        only_in_evaluation: pass values through unchanged in training (a softmax whose small
            probabilities would round to 0 has no useful loss).

    Call arguments:
        inputs: the tensor.
        origin: how `inputs` was computed (see `kernel_rounding`): in evaluation it is rounded as
            the integer kernel rounds it. None where that is not known.
        training: whether the call trains.

    Raises:
        ValueError: if the quantizer is per channel: an integer tensor has one scale.

    Example:
        >>> from tfq_lowbit import quantizers
        >>> layer = QuantizeActivation(quantizers.UniformAffine(8, signed=False))
        >>> layer.quantizer.initialize([0.0, 2.55])
        >>> round(float(layer(keras.ops.array([0.014]))[0]), 4)
        0.01
    """

    def __init__(self, quantizer, return_grid=False, only_in_evaluation=False, **kwargs):
        kwargs = {"dtype": "float32", "autocast": False, **kwargs}
        super().__init__(**kwargs)
        if quantizer.axis is not None:
            raise ValueError(
                "Argument `quantizer` must have one step size for the tensor (axis=None): "
                f"integer tensors have one scale. Received: axis={quantizer.axis!r}"
            )
        self.quantizer = quantizer
        self.return_grid = return_grid
        self.only_in_evaluation = only_in_evaluation

    def build(self, input_shape):
        """Build the quantizer."""
        if not self.quantizer.built:
            self.quantizer.build(input_shape)

    def call(self, inputs, origin=None, training=None):
        """Return the quantized tensor, and its grid if asked for."""
        if origin is not None and not training:
            reals = tf.cast(inputs, tf.float32)
            rounded = round_as_kernel(reals, origin, self.grid(inputs))
            inputs = replace_ste(inputs, tf.cast(rounded, inputs.dtype))
        if training and self.only_in_evaluation:
            outputs = inputs
        else:
            outputs = self.quantizer(inputs, training=training)
        return (outputs, self.grid(inputs)) if self.return_grid else outputs

    def compute_output_spec(self, inputs, origin=None, training=None):
        """Return shape and type of the outputs."""
        outputs = keras.KerasTensor(inputs.shape, inputs.dtype)
        return (outputs, keras.KerasTensor((3,), "float32")) if self.return_grid else outputs

    def grid(self, values):
        """Return the grid of the tensor, float32 of shape (3,)."""
        encoded = self.quantizer.encode(values)
        return pack_grid(encoded.step_size, self.quantizer.q_min, self.quantizer.q_max)

    def get_config(self):
        """Return the arguments, the quantizer serialized."""
        return {
            **super().get_config(),
            "quantizer": keras.saving.serialize_keras_object(self.quantizer),
            "return_grid": self.return_grid,
            "only_in_evaluation": self.only_in_evaluation,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build the layer from `get_config()`."""
        config = dict(config)
        config["quantizer"] = keras.saving.deserialize_keras_object(
            config["quantizer"], custom_objects=custom_objects
        )
        return cls(**config)
