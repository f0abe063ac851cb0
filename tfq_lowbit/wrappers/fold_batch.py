"""A change of shape that moves steps into the batch, or out of it."""

import keras


@keras.saving.register_keras_serializable("tfq_lowbit")
class FoldBatch(keras.layers.Layer):
    """Reshapes to `(-1, *shape)`: the batch takes what the shape does not.

    Args:
        shape: of one sample.

    Example:
        >>> FoldBatch((3,))(keras.ops.ones((2, 4, 3))).shape
        TensorShape([8, 3])
    """

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def call(self, inputs):
        """Return the reshaped tensor."""
        return keras.ops.reshape(inputs, (-1, *self.shape))

    def compute_output_shape(self, input_shape):
        """Return the shape, the batch unknown."""
        return (None, *self.shape)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "shape": self.shape}
