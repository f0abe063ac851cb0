"""The shifted parametric ReLU of ReActNet."""

import keras
import tensorflow as tf

# As PReLU starts in the paper's code.
INITIAL_SLOPE = 0.25


@keras.saving.register_keras_serializable("tfq_lowbit")
class RPReLU(keras.layers.Layer):
    """Parametric ReLU with its knee shifted to any place, learned for each channel.

    Forward: `y = (x - shift_in) + shift_out` where `x > shift_in`, else
    `slope * (x - shift_in) + shift_out`.
    Backward: `dy/dx = 1` above the knee, else `slope`; `dy/dshift_in = -dy/dx`;
    `dy/dslope = x - shift_in` below the knee; `dy/dshift_out = 1`.

    A layer for float models: it stands behind the batch normalization or the sum of a residual
    block of binary layers. `quantize_model` gives its output a grid.

    Args:
        initial_slope: the slope below the knee at first; the shifts are 0 at first.

    Attributes:
        shift_in: where the knee is, of shape (channels,), as are the others.
        slope: the factor below it.
        shift_out: what is added in the end.

    Example:
        >>> RPReLU()(keras.ops.array([[-2.0, 2.0]])).numpy()
        array([[-0.5,  2. ]], dtype=float32)

    References:
        Liu, Shen, Savvides, Cheng, "ReActNet: Towards Precise Binary Neural Network with
        Generalized Activation Functions", ECCV 2020, https://arxiv.org/abs/2003.03488
    """

    def __init__(self, initial_slope=INITIAL_SLOPE, **kwargs):
        super().__init__(**kwargs)
        self.initial_slope = float(initial_slope)

    def build(self, input_shape):
        """Create the shifts and the slope."""
        shape = (input_shape[-1],)
        self.shift_in = self.add_weight(name="shift_in", shape=shape, initializer="zeros")
        self.slope = self.add_weight(
            name="slope",
            shape=shape,
            initializer=keras.initializers.Constant(self.initial_slope),
        )
        self.shift_out = self.add_weight(name="shift_out", shape=shape, initializer="zeros")

    def call(self, inputs):
        """Return the activated tensor."""
        distance = inputs - self.shift_in
        return tf.where(distance > 0, distance, self.slope * distance) + self.shift_out

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "initial_slope": self.initial_slope}
