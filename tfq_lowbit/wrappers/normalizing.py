"""What normalizations of single positions are made of."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfq_lowbit")
class AxisMean(keras.layers.Layer):
    """The mean over some axes.

    Args:
        axis: one axis or several, not the batch.
        keepdims: leave them in the shape, with the size 1.

    Example:
        >>> AxisMean(-1)(keras.ops.array([[1.0, 3.0]])).numpy().tolist()
        [2.0]
    """

    def __init__(self, axis, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        self.keepdims = keepdims

    def axes(self, rank) -> tuple:
        """Return the axes of a tensor of so many axes, counted from the first."""
        return tuple(sorted(axis % rank for axis in self.axis))

    def call(self, inputs):
        """Return the mean."""
        return keras.ops.mean(inputs, axis=self.axis, keepdims=self.keepdims)

    def compute_output_shape(self, input_shape):
        """Return the shape of the mean."""
        axes = self.axes(len(input_shape))
        if self.keepdims:
            return tuple(1 if i in axes else size for i, size in enumerate(input_shape))
        return tuple(size for i, size in enumerate(input_shape) if i not in axes)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "axis": self.axis, "keepdims": self.keepdims}


@keras.saving.register_keras_serializable("tfq_lowbit")
class InverseRoot(keras.layers.Layer):
    """`1 / sqrt(factor * max(x, 0) + epsilon)`.

    Args:
        factor: a positive number.
        epsilon: a positive number, in the unit of `factor * x`.

    Example:
        >>> float(InverseRoot(epsilon=0.0625)(keras.ops.array(0.0)))
        4.0
    """

    def __init__(self, factor=1.0, epsilon=1e-3, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.epsilon = float(factor), float(epsilon)

    def call(self, inputs):
        """Return the inverse roots."""
        return tf.math.rsqrt(self.factor * tf.maximum(inputs, 0) + self.epsilon)

    def compute_output_shape(self, input_shape):
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "factor": self.factor, "epsilon": self.epsilon}
