"""What the layers share that hold another layer, or operation, without a kernel to quantize."""

import keras


class Shell(keras.layers.Layer):
    """Calls a layer, or an operation of `keras.ops`, as it is.

    Args:
        operation: a `keras.layers.Layer` or `keras.Operation`.

    Raises:
        TypeError: if `operation` is neither.
    """

    def __init__(self, operation, **kwargs):
        if not isinstance(operation, keras.Operation):
            raise TypeError(
                "Argument `operation` must be a keras.layers.Layer or a keras.Operation. "
                f"Received: {type(operation).__name__}"
            )
        kwargs = {"name": operation.name, "dtype": "float32", "autocast": False, **kwargs}
        super().__init__(**kwargs)
        self.operation = operation

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
        # Tensors of their own: the layer is not to appear in the graph beside its shell.
        args, kwargs = keras.tree.map_structure(_without_history, (args, kwargs))
        return keras.tree.map_structure(_without_history, self.operation(*args, **kwargs))

    def copy(self, name):
        """Return a shell around a new layer of the same config, its weights not set.

        (Not by `from_config`: a class of one's own need not be registered with Keras.)
        """
        operation = self.operation
        if isinstance(operation, keras.layers.Layer):
            operation = type(operation).from_config(operation.get_config())
        return type(self)(operation, name=name, **self.own_config())

    def own_config(self):
        """Return the arguments besides those of every shell."""
        return {}

    def get_config(self):
        """Return the arguments, the layer serialized."""
        return {
            **super().get_config(),
            "operation": keras.saving.serialize_keras_object(self.operation),
            **self.own_config(),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Build the layer from `get_config()`."""
        config = dict(config)
        config["operation"] = keras.saving.deserialize_keras_object(
            config["operation"], custom_objects=custom_objects
        )
        return cls(**config)


def _without_history(leaf):
    if not isinstance(leaf, keras.KerasTensor):
        return leaf
    return keras.KerasTensor(leaf.shape, leaf.dtype)
