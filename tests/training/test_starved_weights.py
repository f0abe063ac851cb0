import warnings

import keras
import numpy as np
import pytest

from tfq_lowbit.training import StarvedWeights, clip_latent_weights


def starve(model, name, fraction):
    """Moves the first weights of a layer out of the window of their gradient."""
    kernel = model.get_layer(name).layer.kernel
    values = kernel.numpy().copy()
    values.flat[: int(fraction * values.size)] = 1.5
    kernel.assign(values)


def warned(build, fit, fractions, threshold=0.25, epochs=2, clip=False):
    """Returns the messages of a training that starts with starved layers."""
    model = build()
    for name, fraction in fractions.items():
        starve(model, name, fraction)
    if clip:
        clip_latent_weights(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, keras.optimizers.SGD(0.0), epochs, callbacks=[StarvedWeights(threshold)])
    return [str(each.message) for each in caught if each.category is UserWarning]


def test_a_starved_layer_is_named_once_with_the_way_out(build, fit):
    (message,) = warned(build, fit, {"dense": 0.5, "conv": 0.125})
    assert message.startswith("Layer 'dense': 50%")
    assert "clip_latent_weights" in message


def test_each_starved_layer_is_named(build, fit):
    messages = warned(build, fit, {"dense": 0.5, "conv": 0.5})
    assert [message.split(":")[0] for message in messages] == ["Layer 'conv'", "Layer 'dense'"]


def test_a_fraction_at_the_threshold_is_not_warned_of(build, fit):
    assert warned(build, fit, {"dense": 0.5}, threshold=0.5) == []


def test_clipped_weights_do_not_starve(build, fit):
    assert warned(build, fit, {"dense": 0.5, "conv": 0.5}, threshold=0.0, clip=True) == []


def test_starved_weights_indeed_never_move(build, fit):
    model = build()
    starve(model, "dense", 0.5)
    before = model.get_layer("dense").layer.kernel.numpy()
    fit(model, keras.optimizers.SGD(0.1), 1)
    moved = model.get_layer("dense").layer.kernel.numpy() != before
    is_starved = np.abs(before) > 1.0
    assert not moved[is_starved].any() and moved[~is_starved].any()


def test_weights_that_starve_in_training_are_found_after_the_epoch(build, fit):
    model = build()
    callbacks = [StarvedWeights(0.25)]
    with pytest.warns(UserWarning, match="Layer 'conv'.*Keep them small|Layer 'dense'"):
        fit(model, keras.optimizers.SGD(100.0), 1, callbacks=callbacks)


@pytest.mark.parametrize("threshold", [-0.1, 1.0])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="`threshold` must be 0 or more and below 1"):
        StarvedWeights(threshold)
