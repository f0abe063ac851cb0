"""A learned factor for each channel."""

import keras
import tensorflow as tf

from tfq_lowbit.wrappers.accumulator import fold_scale, unknown_scales
from tfq_lowbit.wrappers.folding import FoldingLayer, scales_before


@keras.saving.register_keras_serializable("tfq_lowbit")
class ChannelScale(FoldingLayer):
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

    def __init__(self, initializer="ones", regularizer=None, constraint=None, **kwargs):
        super().__init__(**kwargs)
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

    def call(self, inputs, accumulator_scales=None, input_grid=None):
        """Return the scaled tensor, and the scales of its accumulator if asked for."""
        gamma = tf.cast(self.gamma, tf.float32)
        outputs = tf.cast(tf.cast(inputs, tf.float32) * gamma, self.compute_dtype)
        scales = scales_before(inputs, accumulator_scales, input_grid)
        if scales is None:
            scales = unknown_scales(inputs.shape[-1:])
        return self.with_scales(outputs, fold_scale(scales, gamma))

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
        }
