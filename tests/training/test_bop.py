import keras
import numpy as np
import pytest

from tfq_lowbit.training import Bop, FlipRatio, binary_layers


def binary_kernel(values):
    variable = keras.Variable(np.asarray(values, np.float32))
    variable.is_binary_kernel = True
    return variable


def bop(**arguments):
    return Bop(keras.optimizers.Adam(0.01), **arguments)


def weights(model):
    """Returns the latent weights of the binary layers, one array."""
    return np.concatenate([layer.layer.kernel.numpy().ravel() for layer in binary_layers(model)])


def test_weights_flip_where_the_averaged_gradient_agrees_with_them():
    random = np.random.default_rng(0)
    values = np.sign(random.normal(size=50)).astype(np.float32)
    kernel, average, flips = binary_kernel(values), np.zeros(50, np.float32), 0
    optimizer = bop(threshold=0.02, gamma=0.25)
    for _ in range(20):
        gradient = random.normal(size=50).astype(np.float32) * 0.1
        optimizer.apply([gradient], [kernel])
        average = np.float32(0.75) * average + np.float32(0.25) * gradient
        is_flipped = (np.abs(average) > 0.02) & (np.sign(average) == values)
        values = np.where(is_flipped, -values, values)
        flips += is_flipped.sum()
        np.testing.assert_array_equal(kernel.numpy(), values)
    assert 50 < flips < 500  # some, not all


def test_reals_become_their_signs_in_the_first_step_and_zero_is_plus():
    kernel = binary_kernel([-0.3, 0.0, 2.0])
    bop().apply([np.zeros(3, np.float32)], [kernel])
    assert kernel.numpy().tolist() == [-1.0, 1.0, 1.0]


def test_an_average_at_the_threshold_flips_nothing():
    kernel = binary_kernel([1.0, 1.0])
    bop(threshold=0.5, gamma=1.0).apply([np.array([0.5, 0.625], np.float32)], [kernel])
    assert kernel.numpy().tolist() == [1.0, -1.0]


def test_the_fallback_updates_all_other_variables_as_it_would_alone():
    gradients = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    kernel, beside, alone = (
        binary_kernel([1.0]),
        keras.Variable([1.0] * 3),
        keras.Variable([1.0] * 3),
    )
    optimizer, adam = bop(), keras.optimizers.Adam(0.01)
    for gradient in gradients:
        optimizer.apply([gradient, np.ones(1, np.float32)], [beside, kernel])
        adam.apply([gradient], [alone])
    np.testing.assert_array_equal(beside.numpy(), alone.numpy())
    assert beside.numpy().tolist() != [1.0] * 3


def test_a_variable_without_gradient_stays():
    kernel, other = binary_kernel([0.5]), binary_kernel([-1.0])
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        bop(gamma=1.0).apply([None, np.array([-1.0], np.float32)], [kernel, other])
    assert kernel.numpy() == 0.5 and other.numpy() == 1.0


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["graph", "xla"])
def test_a_binary_model_learns_with_it(build, data, options):
    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(bop(gamma=1e-2, threshold=1e-6), loss, metrics=["accuracy"], **options)
    history = model.fit(*data, batch_size=32, epochs=8, verbose=0, callbacks=[FlipRatio()]).history
    assert history["accuracy"][-1] > 0.9
    assert history["flip_ratio"][0] > 0
    assert set(weights(model)) == {-1.0, 1.0}


def test_a_saved_model_goes_on_as_if_it_had_not_stopped(build, data, tmp_path):
    model = build()
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 3, 0.5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(bop(gamma=schedule, threshold=1e-6), loss)
    model.fit(*data, epochs=2, verbose=0, shuffle=False)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    middle = weights(model)
    for each in (model, loaded):
        each.fit(*data, epochs=2, verbose=0, shuffle=False)
    assert np.any(weights(model) != middle)
    for one, other in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    for one, other in zip(model.optimizer.variables, loaded.optimizer.variables):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_it_works_under_a_loss_scale(build, fit):
    model = build()
    fit(model, keras.optimizers.LossScaleOptimizer(bop(gamma=1e-2)), 1)
    assert set(weights(model)) == {-1.0, 1.0}


def test_a_gamma_that_decays_follows_its_schedule():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.25])
    kernel = binary_kernel([1.0])
    optimizer = bop(gamma=schedule, threshold=10.0)
    for gradient in (1.0, 0.0):
        optimizer.apply([np.array([gradient], np.float32)], [kernel])
    (average,) = [variable for variable in optimizer.variables if variable.path.endswith("_m")]
    assert average.numpy().tolist() == [0.75]  # 1, then a quarter of the way to 0


def test_the_learning_rate_is_that_of_the_fallback(build, fit):
    optimizer = bop()
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.125)
    fit(build(), optimizer, 1, callbacks=[scheduler])
    assert float(optimizer.fallback.learning_rate) == 0.125


def test_a_config_gives_an_equal_optimizer():
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 3, 0.5)
    for gamma in (1e-3, schedule):
        optimizer = Bop(keras.optimizers.SGD(0.5, momentum=0.9), 1e-7, gamma, name="flipper")
        config = keras.saving.serialize_keras_object(optimizer)
        copy = keras.saving.deserialize_keras_object(config)
        assert copy.get_config() == optimizer.get_config()
        assert copy.get_config()["threshold"] == 1e-7


def test_variables_without_a_binary_kernel_are_refused():
    with pytest.raises(ValueError, match="at least one binary kernel.*Recipe.binary"):
        bop().build([keras.Variable([1.0])])


def test_gradients_before_variables_are_refused():
    with pytest.raises(ValueError, match="must know the variables"):
        bop().apply([np.ones(1, np.float32)])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fallback": "adam"}, TypeError, "`fallback` must be .*Received: 'adam'"),
        ({"threshold": -1.0}, ValueError, "`threshold` must be 0 or more. Received: -1.0"),
        ({"gamma": 0.0}, ValueError, "`gamma` must be above 0 and at most 1.*Received: 0.0"),
        ({"gamma": 1.5}, ValueError, "`gamma` must be above 0 and at most 1.*Received: 1.5"),
    ],
)
def test_a_bad_argument_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Bop(**{"fallback": keras.optimizers.SGD(0.1), **arguments})
