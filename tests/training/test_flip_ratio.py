import keras
import numpy as np
import pytest

from tfq_lowbit.training import FlipRatio, binary_layers


class Flip(keras.callbacks.Callback):
    """Flips the first `counts[name]` weights of each layer after every batch."""

    def __init__(self, counts):
        super().__init__()
        self.counts = counts

    def on_train_batch_end(self, batch, logs=None):
        for layer in binary_layers(self.model):
            kernel = layer.layer.kernel
            values = kernel.numpy().copy()
            values.flat[: self.counts[layer.name]] *= -1
            kernel.assign(values)


NO_STEPS = 0.0  # learning rate: only the callback changes weights
SIZES = {"conv": 3 * 3 * 4 * 8, "dense": 4 * 4 * 8 * 16}
COUNTS = {"conv": 36, "dense": 512}


def run(build, fit, every, num_batches):
    """Returns the log of one epoch of `num_batches` batches."""
    callbacks = [Flip(COUNTS), FlipRatio(every)]
    optimizer = keras.optimizers.SGD(NO_STEPS)
    return fit(build(), optimizer, 1, callbacks=callbacks, steps_per_epoch=num_batches)


def test_the_ratio_of_each_layer_and_of_all_weights_is_logged(build, fit):
    log = run(build, fit, "epoch", num_batches=3)  # flipped thrice: once in the end
    assert log["flip_ratio/conv"] == [COUNTS["conv"] / SIZES["conv"]]
    assert log["flip_ratio/dense"] == [COUNTS["dense"] / SIZES["dense"]]
    assert log["flip_ratio"] == [sum(COUNTS.values()) / sum(SIZES.values())]


def test_weights_that_flip_back_count_within_an_epoch_only_by_step(build, fit):
    assert run(build, fit, "epoch", num_batches=2)["flip_ratio"] == [0.0]
    by_step = run(build, fit, "step", num_batches=2)
    assert by_step["flip_ratio"] == [sum(COUNTS.values()) / sum(SIZES.values())]


def test_each_epoch_starts_anew(build, fit):
    callbacks = [FlipRatio(), keras.callbacks.LambdaCallback(on_epoch_end=flip_all)]
    history = fit(build(), keras.optimizers.SGD(NO_STEPS), 3, callbacks=callbacks)
    assert history["flip_ratio"] == [0.0, 0.0, 0.0]  # flipped after the look, before the next


def flip_all(epoch, logs):
    assert epoch in (0, 1, 2) and "flip_ratio" in logs


def test_training_flips_some_weights_but_not_all(build, fit):
    history = fit(build(), keras.optimizers.Adam(1e-2), 2, callbacks=[FlipRatio()])
    assert all(0 < ratio < 0.5 for ratio in history["flip_ratio"])
    assert np.isfinite(history["loss"]).all()


def test_an_unknown_interval_is_refused():
    with pytest.raises(ValueError, match="`every` must be one of .*Received: 'batch'"):
        FlipRatio("batch")


def test_a_model_without_binary_layers_is_refused(fit):
    model = keras.Sequential(
        [keras.Input((6, 6, 4)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    with pytest.raises(ValueError, match="FlipRatio needs a model with binary layers"):
        fit(model, callbacks=[FlipRatio()])
