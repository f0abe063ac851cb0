"""What the layers share that fold into the kernel before them."""

import keras

from tfq_lowbit.quantizers.grid import step_size_of
from tfq_lowbit.wrappers.accumulator import standalone_scales


class FoldingLayer(keras.layers.Layer):
    """Base of layers that multiply by a factor for each channel.

    Args:
        return_accumulator_scales: also return those of the output, for the quantizer that follows.
        **kwargs: of the layer.
    """

    def __init__(self, return_accumulator_scales=False, **kwargs):
        # Keras would cast scales and grid to the type of the activations.
        super().__init__(**{"autocast": False, **kwargs})
        self.return_accumulator_scales = return_accumulator_scales

    def compute_output_spec(self, inputs, **kwargs):
        """Return shape and type of the outputs."""
        del kwargs
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        return self.with_scales(outputs, keras.KerasTensor((2, inputs.shape[-1]), "float32"))

    def with_scales(self, outputs, scales):
        """Return what a call returns."""
        return (outputs, scales) if self.return_accumulator_scales else outputs

    def get_config(self):
        """Return the arguments."""
        return {
            **super().get_config(),
            "return_accumulator_scales": self.return_accumulator_scales,
        }


def scales_before(inputs, accumulator_scales, input_grid):
    """Return the accumulator scales of `inputs`, None where they are not known.

    Args:
        inputs: tensor of shape (..., channels).
        accumulator_scales: those of the kernel before it, None where there is none.
        input_grid: the grid of `inputs`, which has no kernel before it.
    """
    if input_grid is None:
        return accumulator_scales
    return standalone_scales(step_size_of(input_grid), inputs.shape[-1:])
