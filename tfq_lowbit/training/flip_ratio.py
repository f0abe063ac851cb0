"""Flip ratio: how many binary weights changed their sign."""

import keras
import numpy as np

from tfq_lowbit.training.binary_layers import require_binary_layers

EVERY = ("epoch", "step")


class FlipRatio(keras.callbacks.Callback):
    """Callback that logs which fraction of the binary weights flipped.

    A weight flipped if its code differs from the one at the last look. The epoch's log, and so
    `history.history`, gets `flip_ratio` over all binary weights and `flip_ratio/<layer>` for each
    layer. A ratio that stays high says that weights go to and fro (a learning rate too large),
    one near 0 early in training that the layer learns no more (see `StarvedWeights`).

    Args:
        every: "epoch" compares the end of an epoch with its start; "step" compares after every
            batch and logs the mean over the epoch, which reads all kernels after each batch.

    Raises:
        ValueError: for another `every`; when training starts, if the model has no binary layer.

    Example:
        >>> FlipRatio(every="step").every
        'step'
    """

    def __init__(self, every="epoch"):
        super().__init__()
        if every not in EVERY:
            raise ValueError(f"Argument `every` must be one of {EVERY}. Received: {every!r}")
        self.every = every

    def on_train_begin(self, logs=None):
        """Find the binary layers."""
        self._layers = require_binary_layers(self.model, "FlipRatio")

    def on_epoch_begin(self, epoch, logs=None):
        """Remember the codes."""
        self._codes = [_codes(layer) for layer in self._layers]
        self._flips = []  # one row a look: flipped weights of each layer

    def on_train_batch_end(self, batch, logs=None):
        """Count, where asked for."""
        if self.every == "step":
            self._look()

    def on_epoch_end(self, epoch, logs=None):
        """Write the ratios into the log."""
        if self.every == "epoch":
            self._look()
        if logs is None or not self._flips:
            return
        flips = np.mean(self._flips, axis=0)
        sizes = np.array([codes.size for codes in self._codes])
        logs["flip_ratio"] = float(flips.sum() / sizes.sum())
        for layer, ratio in zip(self._layers, flips / sizes):
            logs[f"flip_ratio/{layer.name}"] = float(ratio)

    def _look(self):
        now = [_codes(layer) for layer in self._layers]
        self._flips.append([np.sum(a != b) for a, b in zip(now, self._codes)])
        self._codes = now


def _codes(wrapper):
    return wrapper.kernel_quantizer.encode(wrapper.layer.kernel).codes.numpy()
