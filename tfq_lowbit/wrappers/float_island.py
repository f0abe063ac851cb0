"""A layer that stays in float within an integer model."""

import keras


@keras.saving.register_keras_serializable("tfq_lowbit")
class FloatIsland(keras.layers.Layer):
    """Runs a layer, or an operation of `keras.ops`, that has no integer form, as it is.

    The exporter dequantizes what enters it, writes its float operators as the stock converter
    makes them, and quantizes what leaves it. Float kernels of Keras and of the runtime differ in
    last bits: an island is exact within a step of its output, not bit for bit.

    Args:
        operation: a `keras.layers.Layer` or `keras.Operation` with one output.
        reason: why it has no integer form, for reports.

    Raises:
        TypeError: if `operation` is neither.

    Example:
        >>> layer = FloatIsland(keras.layers.UnitNormalization(), "it has no integer form")
        >>> [round(float(value), 1) for value in layer(keras.ops.array([[3.0, 4.0]]))[0]]
        [0.6, 0.8]
    """

    def __init__(self, operation, reason="", **kwargs):
        if not isinstance(operation, keras.Operation):
            raise TypeError(
                "Argument `operation` must be a keras.layers.Layer or a keras.Operation. "
                f"Received: {type(operation).__name__}"
            )
        kwargs = {"name": operation.name, "dtype": "float32", "autocast": False, **kwargs}
        super().__init__(**kwargs)
        self.operation = operation
        self.reason = reason

    def build(self, *shapes):
        """Leave it to the first call, which knows all arguments."""

    def call(self, *args, **kwargs):
        """Return what the layer returns."""
        return self.operation(*args, **kwargs)

    def compute_output_spec(self, *args, **kwargs):
        """Ask the layer, which is built on the way."""
        is_unbuilt = isinstance(self.operation, keras.layers.Layer) and not self.operation.built
        if not is_unbuilt:
            return self.operation.compute_output_spec(*args, **kwargs)
        # Tensors of their own: the layer is not to appear in the graph beside its island.
        args, kwargs = keras.tree.map_structure(_without_history, (args, kwargs))
        return keras.tree.map_structure(_without_history, self.operation(*args, **kwargs))

    def copy(self, name):
        """Return an island around a new layer of the same config, its weights not set.

        (Not by `from_config`: a class of one's own need not be registered with Keras.)
        """
        operation = self.operation
        if isinstance(operation, keras.layers.Layer):
            operation = type(operation).from_config(operation.get_config())
        return type(self)(operation, self.reason, name=name)

    def get_config(self):
        """Return the arguments, the layer serialized."""
        return {
            **super().get_config(),
            "operation": keras.saving.serialize_keras_object(self.operation),
            "reason": self.reason,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build an island from `get_config()`."""
        config = dict(config)
        config["operation"] = keras.saving.deserialize_keras_object(
            config["operation"], custom_objects=custom_objects
        )
        return cls(**config)


def _without_history(leaf):
    if not isinstance(leaf, keras.KerasTensor):
        return leaf
    return keras.KerasTensor(leaf.shape, leaf.dtype)
