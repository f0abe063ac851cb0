"""GELU by its tanh approximation, under a name that saves with a model."""

import keras


@keras.saving.register_keras_serializable("tfq_lowbit")
def gelu_tanh(x):
    """Return `0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.

    `keras.activations.gelu` is the exact function by default, and its approximation has no name
    that a layer could be given: `keras.layers.Activation(tfq_lowbit.gelu_tanh)` is that layer.

    Args:
        x: tensor.

    Returns:
        A tensor of the same shape.

    Example:
        >>> round(float(gelu_tanh(keras.ops.array(1.0))), 4)
        0.8412

    References:
        Hendrycks, Gimpel, "Gaussian Error Linear Units (GELUs)", 2016,
        https://arxiv.org/abs/1606.08415
    """
    return keras.activations.gelu(x, approximate=True)
