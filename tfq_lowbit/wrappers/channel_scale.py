"""A learned factor for each channel."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfq_lowbit")
class ChannelScale(keras.layers.Layer):
    """Multiplies by a learned factor for each channel: `y = gamma * x`.

    At export gamma goes into the scale of the layer before, as that of a batch normalization does.
    Behind any other layer it becomes a depthwise convolution of its own.

    Args:
        initializer: of gamma.
        regularizer: of gamma.
        constraint: of gamma.

    Call arguments:
        inputs: tensor of shape (..., channels).
        accumulator_step: taken and left alone: nothing is added, so nothing is rounded.
        input_grid: likewise.

    Example:
        >>> layer = ChannelScale(initializer=keras.initializers.Constant(0.5))
        >>> float(layer(keras.ops.ones((1, 2)))[0, 0])
        0.5

    References:
        Touvron et al., "Going deeper with Image Transformers", ICCV 2021,
        https://arxiv.org/abs/2103.17239 (LayerScale)
    """

    def __init__(self, initializer="ones", regularizer=None, constraint=None, **kwargs):
        # Keras would cast step and grid to the type of the activations.
        super().__init__(**{"autocast": False, **kwargs})
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)

    def build(self, input_shape):
        """Create gamma."""
        self.gamma = self.add_weight(
            name="gamma",
            shape=input_shape[-1:],
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
        )

    def call(self, inputs, accumulator_step=None, input_grid=None):
        """Return the scaled tensor."""
        del accumulator_step, input_grid
        outputs = tf.cast(inputs, tf.float32) * tf.cast(self.gamma, tf.float32)
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_spec(self, inputs, accumulator_step=None, input_grid=None):
        """Return shape and type of the output."""
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
        }
