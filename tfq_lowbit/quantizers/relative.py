"""A trained number that the optimizer sees as a multiple of its first value."""

import keras
import numpy as np
import tensorflow as tf

from tfq_lowbit.ste import relative_ste

# Below a thousandth of its first value a step size is no use: nearly every value would clip.
SMALLEST_RATIO = 1e-3


@keras.saving.register_keras_serializable("tfq_lowbit")
class AtLeast(keras.constraints.Constraint):
    """Keeps a variable at or above a positive floor.

    Args:
        floor: the smallest value allowed.
    """

    def __init__(self, floor=SMALLEST_RATIO):
        self.floor = floor

    def __call__(self, value):
        """Return `max(value, floor)`."""
        return tf.maximum(value, tf.cast(self.floor, value.dtype))

    def get_config(self):
        """Return the arguments."""
        return {"floor": self.floor}


class RelativeVariable:
    """`value = ratio * reference`: the reference is set from data, the ratio is trained.

    Step sizes lie anywhere between 1e-3 and 10, and an optimizer that normalizes gradients (Adam)
    moves every variable by about its learning rate: a step of 0.002 would double or vanish in one
    update. As a ratio it changes by a fraction of itself. The gradient of the ratio is that of the
    value divided by the reference, so plain gradient descent moves the value just as it would move
    a variable that holds it.

    Args:
        layer: the layer that owns the two variables.
        name: name of the value.
        shape: of the value.
        is_positive: whether to keep the ratio at or above a thousandth.

    Attributes:
        ratio: the trained variable, 1 at first.
        reference: the variable that data sets.
    """

    def __init__(self, layer, name, shape, is_positive=True):
        self.shape = tf.TensorShape(shape)
        self._is_positive = is_positive
        self.ratio = layer.add_weight(
            name=f"{name}_ratio",
            shape=shape,
            initializer="ones",
            constraint=AtLeast() if is_positive else None,
            dtype="float32",
        )
        self.reference = layer.add_weight(
            name=f"{name}_reference",
            shape=shape,
            initializer="ones",
            trainable=False,
            dtype="float32",
        )

    @property
    def value(self):
        """The value, a float32 tensor."""
        ratio = tf.convert_to_tensor(self.ratio)
        if self._is_positive:
            ratio = tf.maximum(ratio, SMALLEST_RATIO)
        return relative_ste(ratio, tf.convert_to_tensor(self.reference))

    def assign(self, value, reference=None):
        """Set the value.

        Args:
            value: the new value.
            reference: what it is to be a multiple of; by default the value itself, or the reference
                as it is for a number of any sign.
        """
        value = tf.reshape(tf.cast(value, tf.float32), self.shape)
        if reference is None:
            reference = value if self._is_positive else self.reference
        self.reference.assign(tf.reshape(tf.cast(reference, tf.float32), self.shape))
        self.ratio.assign(value / self.reference)

    def numpy(self):
        """Return the value as an array."""
        return self.value.numpy()

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numpy(), dtype)
