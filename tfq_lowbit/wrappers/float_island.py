"""A layer that stays in float within an integer model."""

import keras

from tfq_lowbit.wrappers.shell import Shell


@keras.saving.register_keras_serializable("tfq_lowbit")
class FloatIsland(Shell):
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
        super().__init__(operation, **kwargs)
        self.reason = reason

    def own_config(self):
        return {"reason": self.reason}
