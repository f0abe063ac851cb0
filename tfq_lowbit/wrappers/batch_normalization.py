"""Batch normalization that evaluates as the integer kernel will."""

import keras
import tensorflow as tf

from tfq_lowbit.same_bits import reciprocal, rounded
from tfq_lowbit.wrappers.accumulator import fold_scale, round_bias, unit_of, unknown_scales
from tfq_lowbit.wrappers.folding import FoldingLayer, scales_before


@keras.saving.register_keras_serializable("tfq_lowbit")
class FoldedBatchNormalization(FoldingLayer, keras.layers.BatchNormalization):
    """Batch normalization behind a quantized layer.

    Trains as `keras.layers.BatchNormalization` does. In evaluation,
    `y = m * x + round(t / u) * u` with `m = gamma / sqrt(variance + epsilon)`,
    `t = beta - mean * m` and `u = abs(m)` times the unit of the accumulator: at export `m` goes
    into the scale of the layer before and `t` into its int32 bias, whose unit is `u`.

    Behind any other layer it becomes a depthwise convolution of its own, whose kernel is the
    single code 127 or -127: then the unit is `step_in / 127`.

    Args:
        return_accumulator_scales: also return those of the output, for the quantizer that follows;
            zeros in training.
        **kwargs: as `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: output of the layer before.
        accumulator_scales: float32 of shape (2, channels), whose product is the unit of its
            accumulator.
        input_grid: the grid `[step_size, q_min, q_max]` of `inputs`, where no kernel is before
            it. With neither, evaluation does not round.
        training: whether the call trains.
        mask: as `keras.layers.BatchNormalization`.

    Example:
        >>> layer = FoldedBatchNormalization()
        >>> layer(keras.ops.ones((1, 2)), accumulator_scales=keras.ops.ones((2, 2))).shape
        TensorShape([1, 2])
    """

    def call(self, inputs, accumulator_scales=None, input_grid=None, training=None, mask=None):
        """Return the normalized tensor, and the scales of its accumulator if asked for."""
        scales = scales_before(inputs, accumulator_scales, input_grid)
        if training or scales is None:
            inputs = tf.cast(inputs, self.compute_dtype)
            outputs = super().call(inputs, training=training, mask=mask)
            return self.with_scales(outputs, unknown_scales(inputs.shape[-1:]))
        if self.axis not in (-1, len(inputs.shape) - 1):
            raise ValueError(
                f"Layer {self.name!r} folds into the channels: `axis` must be the last one, -1. "
                f"Received: axis={self.axis!r}"
            )
        multiplier, shift = batch_norm_affine(self)
        shift = round_bias(shift, tf.abs(multiplier) * unit_of(scales))
        outputs = tf.cast(inputs, tf.float32) * multiplier + shift
        outputs = tf.cast(outputs, self.compute_dtype)
        return self.with_scales(outputs, fold_scale(scales, multiplier))


def batch_norm_affine(layer, rounds_shift=True):
    """Return `(m, t)` such that a batch normalization infers `m * x + t`.

    Args:
        layer: a built `keras.layers.BatchNormalization` over the last axis.
        rounds_shift: whether it rounds its shift, as `FoldedBatchNormalization` does. Else Keras
            itself evaluates it, and these are its bits.

    Returns:
        Two float32 tensors of shape (channels,).
    """
    variance = tf.cast(layer.moving_variance, tf.float32)
    if rounds_shift:
        # Not the inverse root, which each way of running approximates in its own way.
        multiplier = reciprocal(rounded(tf.sqrt(variance + layer.epsilon)))
    else:
        multiplier = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        multiplier = multiplier * tf.cast(layer.gamma, tf.float32)
    shift = rounded(-tf.cast(layer.moving_mean, tf.float32) * multiplier)
    if layer.center:
        shift = shift + tf.cast(layer.beta, tf.float32)
    return multiplier, shift
