"""Starved weights: latent weights that training can no longer change."""

import warnings

import keras
import numpy as np

from tfq_lowbit.training.binary_layers import require_binary_layers


class StarvedWeights(keras.callbacks.Callback):
    """Callback that warns of layers whose latent weights left the window of their gradient.

    The sign of a latent weight gets a surrogate gradient near 0 only, where `abs(w) <= 1` for most
    quantizers. A weight outside is starved: it gets no gradient, and so never flips back. Looks
    when training starts and after each epoch, and warns once a layer.

    Quantizers without a window are left out: those that standardise their weights (IR-Net,
    AdaBin), whose weights cannot leave it for good, and those whose gradient ends nowhere.

    Args:
        threshold: the fraction of a layer's weights that may starve, 0 or more and below 1.

    Raises:
        ValueError: for a threshold out of range; when training starts, if the model has no binary
            layer.

    Warns:
        UserWarning: naming the layer, the fraction, and what to do.

    Example:
        >>> StarvedWeights(threshold=0.2).threshold
        0.2
    """

    def __init__(self, threshold=0.1):
        super().__init__()
        if not 0 <= threshold < 1:
            raise ValueError(
                f"Argument `threshold` must be 0 or more and below 1. Received: {threshold!r}"
            )
        self.threshold = threshold

    def on_train_begin(self, logs=None):
        """Look at the weights that training starts from."""
        self._unwarned = require_binary_layers(self.model, "StarvedWeights")
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        """Look at the weights after an epoch."""
        self._look()

    def _look(self):
        for wrapper in list(self._unwarned):
            fraction = starved_fraction(wrapper)
            if fraction > self.threshold:
                self._unwarned.remove(wrapper)
                warnings.warn(
                    f"Layer {wrapper.name!r}: {fraction:.0%} of the latent weights are so large "
                    "that they get no gradient, and cannot change their sign again. Keep them "
                    "small: call tfq.training.clip_latent_weights(model) before training, or "
                    "lower the learning rate.",
                    stacklevel=2,
                )


def starved_fraction(wrapper) -> float:
    """Return the fraction of a binary layer's latent weights that get no gradient, 0 to 1."""
    slope = getattr(wrapper.kernel_quantizer, "slope", None)
    if slope is None:
        return 0.0
    return float(np.mean(slope(wrapper.layer.kernel).numpy() == 0.0))
