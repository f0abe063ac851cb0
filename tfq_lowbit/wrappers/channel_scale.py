"""A learned factor for each channel."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.grid import step_size_of
from tfq_lowbit.wrappers.accumulator import fold_scale, standalone_scales, unknown_scales


@keras.saving.register_keras_serializable("tfq_lowbit")
class ChannelScale(keras.layers.Layer):
    """Multiplies by a learned factor for each channel: `y = gamma * x`.

    At export gamma goes into the scale of the layer before, as that of a batch normalization does.
    Behind any other layer it becomes a depthwise convolution of its own.

    Args:
        initializer: of gamma.
        regularizer: of gamma.
        constraint: of gamma.
        return_accumulator_scales: also return those of the output, for the quantizer that follows.

    Call arguments:
        inputs: tensor of shape (..., channels).
        accumulator_scales: float32 of shape (2, channels), whose product is the unit of the
            accumulator of `inputs`. Nothing is added here, so nothing is rounded to it.
        input_grid: the grid `[step_size, q_min, q_max]` of `inputs`, where no kernel is before it.

    Example:
        >>> layer = ChannelScale(initializer=keras.initializers.Constant(0.5))
        >>> float(layer(keras.ops.ones((1, 2)))[0, 0])
        0.5

    References:
        Touvron et al., "Going deeper with Image Transformers", ICCV 2021,
        https://arxiv.org/abs/2103.17239 (LayerScale)
    """

    def __init__(
        self,
        initializer="ones",
        regularizer=None,
        constraint=None,
        return_accumulator_scales=False,
        **kwargs,
    ):
        # Keras would cast scales and grid to the type of the activations.
        super().__init__(**{"autocast": False, **kwargs})
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)
        self.return_accumulator_scales = return_accumulator_scales

    def build(self, input_shape):
        """Create gamma."""
        self.gamma = self.add_weight(
            name="gamma",
            shape=input_shape[-1:],
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
        )

    def call(self, inputs, accumulator_scales=None, input_grid=None):
        """Return the scaled tensor, and the scales of its accumulator if asked for."""
        gamma, channels = tf.cast(self.gamma, tf.float32), inputs.shape[-1:]
        outputs = tf.cast(tf.cast(inputs, tf.float32) * gamma, self.compute_dtype)
        scales = accumulator_scales
        if input_grid is not None:
            scales = standalone_scales(step_size_of(input_grid), channels)
        elif scales is None:
            scales = unknown_scales(channels)
        return self._with_scales(outputs, fold_scale(scales, gamma))

    def compute_output_spec(self, inputs, accumulator_scales=None, input_grid=None):
        """Return shape and type of the outputs."""
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        scales = keras.KerasTensor((2, *inputs.shape[-1:]), "float32")
        return self._with_scales(outputs, scales)

    def _with_scales(self, outputs, scales):
        return (outputs, scales) if self.return_accumulator_scales else outputs

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
            "return_accumulator_scales": self.return_accumulator_scales,
        }
