"""Weight clip: latent weights of binary layers stay where they get a gradient."""

import keras

from tfq_lowbit.training.binary_layers import require_binary_layers


@keras.saving.register_keras_serializable("tfq_lowbit")
class WeightClip(keras.constraints.Constraint):
    """Constraint that clips weights after each step of the optimizer.

    Computes `clip(w, -clip_value, clip_value)`. A latent weight outside the window of its
    straight-through gradient gets no gradient and can never change its sign again; one at its
    border can.

    Args:
        clip_value: the bound, positive; 1 for windows of `abs(w) <= 1`.

    Raises:
        ValueError: if `clip_value` is not positive.

    Example:
        >>> [float(w) for w in WeightClip()(keras.ops.array([-3.0, 0.5, 1.5]))]
        [-1.0, 0.5, 1.0]

    References:
        Courbariaux, Bengio, David, "BinaryConnect: Training Deep Neural Networks with binary
        weights during propagations", NeurIPS 2015, https://arxiv.org/abs/1511.00363
    """

    def __init__(self, clip_value=1.0):
        if not clip_value > 0:
            raise ValueError(f"Argument `clip_value` must be positive. Received: {clip_value!r}")
        self.clip_value = float(clip_value)

    def __call__(self, w):
        """Return `w`, clipped."""
        return keras.ops.clip(w, -self.clip_value, self.clip_value)

    def get_config(self):
        """Return the arguments."""
        return {"clip_value": self.clip_value}


def clip_latent_weights(model, clip_value=1.0):
    """Keep the latent weights of all binary layers of a model in `[-clip_value, clip_value]`.

    Clips them now, and gives every binary layer a `WeightClip` as `kernel_constraint`, in place
    of one it may have: from then on each step of the optimizer ends with a clip. The constraint
    is saved with the model. Call it before `compile`; a model that has trained since it was
    compiled must be compiled again.

    Args:
        model: a model with binary layers.
        clip_value: the bound, positive.

    Returns:
        The names of the layers.

    Raises:
        ValueError: if the model has no binary layer, or `clip_value` is not positive.

    Example:
        >>> from tfq_lowbit import Binarize
        >>> model = keras.Sequential([keras.Input((4,)), Binarize(keras.layers.Dense(2))])
        >>> len(clip_latent_weights(model))
        1
    """
    constraint = WeightClip(clip_value)
    layers = require_binary_layers(model, "clip_latent_weights")
    for wrapper in layers:
        layer = wrapper.layer
        layer.kernel_constraint = constraint  # what get_config saves
        layer.kernel.constraint = constraint  # what the optimizer applies
        layer.kernel.assign(constraint(layer.kernel))
    return [wrapper.name for wrapper in layers]
