"""Batch normalization that evaluates as the integer kernel will."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.grid import step_size_of
from tfq_lowbit.ste import range_step
from tfq_lowbit.wrappers.accumulator import round_bias

# The kernel code of a batch normalization that stands alone. The largest, for the finest bias.
STANDALONE_CODE = 127


@keras.saving.register_keras_serializable("tfq_lowbit")
class FoldedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization behind a quantized layer.

    Trains as `keras.layers.BatchNormalization` does. In evaluation,
    `y = m * x + round(t / u) * u` with `m = gamma / sqrt(variance + epsilon)`,
    `t = beta - mean * m` and `u = abs(m) * accumulator_step`: at export `m` goes into the scale of
    the layer before and `t` into its int32 bias, whose unit is `u`.

    Behind any other layer it becomes a depthwise convolution of its own, whose kernel is the
    single code 127 or -127: then `accumulator_step = step_in / 127`.

    Call arguments:
        inputs: output of the layer before.
        accumulator_step: float32 of shape (channels,), the unit of its accumulator.
        input_grid: the grid `[step_size, q_min, q_max]` of `inputs`, where no kernel is before
            it. With neither, evaluation does not round.
        training: whether the call trains.
        mask: as `keras.layers.BatchNormalization`.

    Example:
        >>> layer = FoldedBatchNormalization()
        >>> layer(keras.ops.ones((1, 2)), accumulator_step=keras.ops.ones((2,))).shape
        TensorShape([1, 2])
    """

    def __init__(self, **kwargs):
        # Keras would cast step and grid to the type of the activations.
        super().__init__(**{"autocast": False, **kwargs})

    def call(self, inputs, accumulator_step=None, input_grid=None, training=None, mask=None):
        """Return the normalized tensor."""
        if input_grid is not None:
            accumulator_step = range_step(step_size_of(input_grid), STANDALONE_CODE)
        if training or accumulator_step is None:
            inputs = tf.cast(inputs, self.compute_dtype)
            return super().call(inputs, training=training, mask=mask)
        if self.axis not in (-1, len(inputs.shape) - 1):
            raise ValueError(
                f"Layer {self.name!r} folds into the channels: `axis` must be the last one, -1. "
                f"Received: axis={self.axis!r}"
            )
        multiplier, shift = batch_norm_affine(self)
        shift = round_bias(shift, tf.abs(multiplier) * accumulator_step)
        outputs = tf.cast(inputs, tf.float32) * multiplier + shift
        return tf.cast(outputs, self.compute_dtype)


def batch_norm_affine(layer):
    """Return `(m, t)` such that a batch normalization infers `m * x + t`.

    Args:
        layer: a built `keras.layers.BatchNormalization` over the last axis.

    Returns:
        Two float32 tensors of shape (channels,).
    """
    variance = tf.cast(layer.moving_variance, tf.float32)
    multiplier = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        multiplier = multiplier * tf.cast(layer.gamma, tf.float32)
    shift = -tf.cast(layer.moving_mean, tf.float32) * multiplier
    if layer.center:
        shift = shift + tf.cast(layer.beta, tf.float32)
    return multiplier, shift
