"""Where a tensor changes between eight and sixteen bits."""

import keras
import tensorflow as tf

from tfq_lowbit.quantizers.grid import step_size_of

# The codes of an int8 tensor less their zero point, -255 to 255, times this are int16 codes.
WIDENING = 128
INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1


@keras.saving.register_keras_serializable("tfq_lowbit")
class Widen(keras.layers.Layer):
    """The same values on a grid of 16 bits, 128 times finer: nothing is rounded.

    Call arguments:
        inputs: tensor of any shape.
        input_grid: the grid `[step_size, q_min, q_max]`, None where it does not matter.

    Returns:
        The tensor and its new grid.

    Example:
        >>> values, grid = Widen()(keras.ops.ones((1, 2)), keras.ops.array([0.5, 0.0, 255.0]))
        >>> [float(part) for part in grid]
        [0.00390625, -32768.0, 32767.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})

    def call(self, inputs, input_grid=None):
        """Return the tensor and its new grid."""
        step_size = 0.0 if input_grid is None else step_size_of(input_grid) / WIDENING
        return inputs, tf.stack([step_size, float(INT16_MIN), float(INT16_MAX)])

    def compute_output_spec(self, inputs, input_grid=None):
        """Return shape and type of the outputs."""
        values = keras.KerasTensor(inputs.shape, inputs.dtype)
        return values, keras.KerasTensor((3,), "float32")


@keras.saving.register_keras_serializable("tfq_lowbit")
class Narrow(keras.layers.Layer):
    """Marks where a tensor of 16 bits becomes one of eight: the quantizer behind it rounds.

    Example:
        >>> Narrow()(keras.ops.ones((1, 2))).shape
        TensorShape([1, 2])
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", "autocast": False, **kwargs})

    def call(self, inputs):
        """Return the inputs."""
        return tf.identity(inputs)

    def compute_output_shape(self, input_shape):
        """Return the shape of the inputs."""
        return input_shape
