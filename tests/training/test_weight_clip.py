import keras
import numpy as np
import pytest

from tfq_lowbit.training import WeightClip, binary_layers, clip_latent_weights

LARGE_STEPS = 3.0  # a learning rate that throws weights far out of -1..1


def largest(model):
    return max(np.abs(layer.layer.kernel.numpy()).max() for layer in binary_layers(model))


def test_clipped_weights_stay_in_the_window_through_training(build, fit):
    model = build()
    assert clip_latent_weights(model) == ["conv", "dense"]
    fit(model, keras.optimizers.SGD(LARGE_STEPS, momentum=0.9))
    assert largest(model) == 1.0


def test_without_the_clip_they_leave_it(build, fit):
    model = build()
    fit(model, keras.optimizers.SGD(LARGE_STEPS, momentum=0.9))
    assert largest(model) > 1.0


def test_weights_are_clipped_at_once_and_other_layers_stay(build):
    model = build()
    layer, scores = model.get_layer("dense").layer, model.get_layer("scores")
    layer.kernel.assign(5.0 * keras.ops.ones_like(layer.kernel))
    scores.kernel.assign(5.0 * keras.ops.ones_like(scores.kernel))
    clip_latent_weights(model, 0.5)
    assert np.all(layer.kernel.numpy() == 0.5)
    assert np.all(scores.kernel.numpy() == 5.0) and scores.kernel.constraint is None


def test_the_clip_is_saved_with_the_model(build, fit, tmp_path):
    model = build()
    clip_latent_weights(model, 0.25)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    fit(loaded, keras.optimizers.SGD(LARGE_STEPS, momentum=0.9))
    assert largest(loaded) == 0.25


@pytest.mark.parametrize("clip_value", [0.0, -1.0, float("nan")])
def test_a_bound_that_is_not_positive_is_refused(clip_value):
    with pytest.raises(ValueError, match="`clip_value` must be positive. Received"):
        WeightClip(clip_value)


def test_a_model_without_binary_layers_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="clip_latent_weights needs a model with binary layers"):
        clip_latent_weights(model)
