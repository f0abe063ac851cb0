"""Annealing of IR-Net: its surrogate gradient goes from a line to a step."""

import keras

from tfq_lowbit.quantizers import IRNet, IRNetSign
from tfq_lowbit.training.binary_layers import require_binary_layers

ANNEALED = (IRNet, IRNetSign)


class IRNetAnnealing(keras.callbacks.Callback):
    """Callback that sharpens the surrogate gradient of IR-Net's quantizers, epoch by epoch.

    Their backward pass takes the sign for `k * tanh(t * x)` with `k = max(1 / t, 1)`. Epoch i of n,
    counted from 0, has

        t = t_min * 10^(i / n * log10(t_max / t_min))

    so that at first every weight and input gets a gradient, and in the end those near 0 only, where
    the sign really changes. `t` is a variable of the quantizers and saved with the model; training
    that goes on with `initial_epoch` goes on where the annealing was.

    Args:
        epochs: n, None for the `epochs` that `fit` was called with.
        t_min: the first t, positive.
        t_max: what t has come to after n epochs, above `t_min`.

    Raises:
        ValueError: for a number out of range; when training starts, if no quantizer of the model
            is annealed.

    Example:
        >>> IRNetAnnealing(epochs=10).sharpness(epoch=5)
        1.0

    References:
        Qin et al., "Forward and Backward Information Retention for Accurate Binary Neural
        Networks", CVPR 2020, https://arxiv.org/abs/1909.10788
    """

    def __init__(self, epochs=None, t_min=0.1, t_max=10.0):
        super().__init__()
        if epochs is not None and not epochs > 0:
            raise ValueError(f"Argument `epochs` must be None or positive. Received: {epochs!r}")
        if not 0 < t_min < t_max:
            raise ValueError(
                "Argument `t_min` must be positive and below `t_max`. "
                f"Received: t_min={t_min!r}, t_max={t_max!r}"
            )
        self.epochs, self.t_min, self.t_max = epochs, t_min, t_max

    def sharpness(self, epoch):
        """Return t in an epoch, counted from 0."""
        epochs = self.params["epochs"] if self.epochs is None else self.epochs
        return self.t_min * (self.t_max / self.t_min) ** (epoch / epochs)

    def on_train_begin(self, logs=None):
        """Find the quantizers."""
        self._quantizers = [
            quantizer
            for layer in require_binary_layers(self.model, "IRNetAnnealing")
            for quantizer in (layer.kernel_quantizer, layer.input_quantizer)
            if isinstance(quantizer, ANNEALED)
        ]
        if not self._quantizers:
            raise ValueError(
                "IRNetAnnealing needs IR-Net's quantizers, as from Recipe.binary(scheme='ir_net'). "
                f"Received: model {self.model.name!r} with other binary layers. Leave it out."
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Set t."""
        for quantizer in self._quantizers:
            quantizer.t.assign(self.sharpness(epoch))
