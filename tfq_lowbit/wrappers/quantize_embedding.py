"""The wrapper that trains an embedding with a quantized table."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfq_lowbit")
class QuantizeEmbedding(keras.layers.Wrapper):
    """Runs one `Embedding` with a quantized table.

    Computes `q_k(embeddings)[ids]`. The table of the wrapped layer stays the float ("latent")
    variable that the optimizer updates.

    Args:
        layer: a `keras.layers.Embedding`.
        kernel_quantizer: quantizer of the table, whose channels are its rows: with `axis=0` each
            row has a step size of its own.

    Call arguments:
        inputs: integers of any shape, the numbers of rows.
        training: whether the call trains.

    Raises:
        ValueError: for another layer.

    Example:
        >>> from tfq_lowbit import quantizers
        >>> table = quantizers.LSQ(4, narrow_range=True, axis=0)
        >>> layer = QuantizeEmbedding(keras.layers.Embedding(10, 4), kernel_quantizer=table)
        >>> layer(keras.ops.array([[1, 2, 3]])).shape
        TensorShape([1, 3, 4])
    """

    def __init__(self, layer, kernel_quantizer, **kwargs):
        # Not isinstance: a subclass may compute something else in its own `call`.
        if type(layer) is not keras.layers.Embedding:
            raise ValueError(
                "Only keras.layers.Embedding has a table to quantize. Received: layer "
                f"{getattr(layer, 'name', layer)!r} of class {type(layer).__name__}"
            )
        kwargs = {"name": layer.name, "dtype": "float32", "autocast": False, **kwargs}
        super().__init__(layer, **kwargs)
        self.kernel_quantizer = kernel_quantizer
        self.supports_masking = layer.supports_masking

    @property
    def latent_weights(self):
        """What the quantizer quantizes: the float table, of shape (rows, channels)."""
        return self.layer.embeddings

    def build(self, input_shape=None):
        """Build the layer and the quantizer; the step sizes are set from the table."""
        super().build(input_shape)
        if not self.kernel_quantizer.built:
            self.kernel_quantizer.build(self.latent_weights.shape)
            if tf.executing_eagerly():
                self.kernel_quantizer.initialize(self.latent_weights)

    def call(self, inputs, training=None):
        """Return rows of the quantized table."""
        table = tf.convert_to_tensor(self.latent_weights)
        table = self.kernel_quantizer(table, training=training)
        rows = keras.ops.take(table, keras.ops.cast(inputs, "int32"), axis=0)
        return keras.ops.cast(rows, self.layer.compute_dtype)

    def compute_output_spec(self, inputs, training=None):
        """Return shape and type of the rows."""
        del training
        return keras.KerasTensor((*inputs.shape, self.layer.output_dim), self.layer.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        """Return the mask of the wrapped layer."""
        del mask
        return self.layer.compute_mask(inputs)

    def get_config(self):
        """Return the arguments, the quantizer serialized."""
        quantizer = keras.saving.serialize_keras_object(self.kernel_quantizer)
        return {**super().get_config(), "kernel_quantizer": quantizer}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build a wrapper from `get_config()`."""
        config = dict(config)
        for name in ("layer", "kernel_quantizer"):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)
