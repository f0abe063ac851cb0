"""A tensor of weights that is no kernel: what is learned for each position, or each feature."""

import keras


@keras.saving.register_keras_serializable("tfq_lowbit")
class WeightTensor(keras.layers.Layer):
    """Returns one tensor of weights, whatever its input: as one sample that all samples share.

    `y = weight`, of shape `(1, *shape)`, to be added to a tensor, subtracted or multiplied with it.
    It lets position embeddings and the like, which are variables in a `call` of somebody's own, be
    quantized: a quantizer goes behind it, and the file holds its codes.

    Args:
        shape: of the tensor, without the batch.
        regularizer: of the weights.
        constraint: of the weights.

    Example:
        >>> layer = WeightTensor((3,))
        >>> layer.build((None, 4))
        >>> _ = layer.weight.assign([1.0, 2.0, 3.0])
        >>> layer(keras.ops.zeros((2, 4))).numpy().tolist()
        [[1.0, 2.0, 3.0]]
    """

    def __init__(self, shape, regularizer=None, constraint=None, **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)

    def build(self, input_shape):
        """Create the weights."""
        self.weight = self.add_weight(
            shape=self.shape,
            name="weight",
            initializer="zeros",
            regularizer=self.regularizer,
            constraint=self.constraint,
        )
        self.built = True

    def call(self, inputs):
        """Return the weights."""
        return keras.ops.cast(self.weight, self.compute_dtype)[None]

    def compute_output_shape(self, input_shape):
        """Return the shape that the weights have once they meet a batch."""
        return (input_shape[0], *self.shape)

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "shape": self.shape,
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
        }
