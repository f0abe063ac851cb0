"""A quantized model is a plain Keras model: it trains, saves, loads, clones and ships."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq

layers = keras.layers

IMAGE = (6, 6, 2)
RECIPES = {
    "lsq": tfq.Recipe.lsq(4, 4),
    "lsq at 2 bits": tfq.Recipe.lsq(2, 2),
    "pact": tfq.Recipe.pact(4, 4),
    "dorefa": tfq.Recipe.dorefa(4, 4),
    "ternary": tfq.Recipe.ternary(8),
    "ternary, trained scale": tfq.Recipe.ternary(8, weight_quantizer="ttq"),
    "binary": tfq.Recipe.binary("react_net"),
    "binary with an offset": tfq.Recipe.binary("ada_bin"),
}


PATTERNS = np.random.default_rng(1).normal(size=(3, *IMAGE)).astype(np.float32)


def labels(count=64, seed=0):
    return np.random.default_rng(seed).integers(0, 3, count)


def images(count=64, seed=0):
    """Returns noisy patterns, one a label."""
    noise = np.random.default_rng(seed + 1).normal(size=(count, *IMAGE)).astype(np.float32)
    return PATTERNS[labels(count, seed)] + 0.5 * noise


def residual():
    """Returns a net with a shared layer, batch normalization, an Add and pooling."""
    inputs = keras.Input(IMAGE, name="image")
    relu = layers.ReLU(name="relu")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = relu(layers.BatchNormalization(name="norm")(x))
    shared = layers.Conv2D(8, 3, padding="same", name="shared")
    x = relu(layers.Add(name="add")([x, shared(relu(shared(x)))]))
    x = layers.Flatten(name="flatten")(layers.AveragePooling2D(2, name="pool")(x))
    return keras.Model(inputs, layers.Dense(3, name="scores", dtype="float32")(x), name="net")


def sequential():
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(3, name="scores"),
        ]
    )


def two_by_two(structure):
    left, right = keras.Input(IMAGE, name="left"), keras.Input(IMAGE, name="right")
    conv = layers.Conv2D(6, 3, activation="relu", name="conv")
    x = layers.Flatten()(layers.Concatenate()([conv(left), conv(right)]))
    one, other = layers.Dense(3, name="one")(x), layers.Dense(3, name="other")(x)
    if structure is dict:
        return keras.Model({"left": left, "right": right}, {"one": one, "other": other})
    return keras.Model([left, right], [one, other])


def quantized(model=None, recipe="lsq"):
    return tfq.quantize_model(model or residual(), RECIPES[recipe], images(32))


def scores_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model, **options):
    model.compile(keras.optimizers.Adam(0.01), scores_loss(), **options)
    return model


def fit(model, epochs=1, seed=0):
    # Not shuffled: two trainings are then the same numbers.
    options = dict(batch_size=16, epochs=epochs, verbose=0, shuffle=False)
    history = model.fit(images(seed=seed), labels(seed=seed), **options)
    return history.history["loss"]


def lowers_the_loss(losses):
    return np.all(np.isfinite(losses)) and losses[-1] < 0.8 * losses[0]


def assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def trained_file(tmp_path_factory):
    """A trained model in a file, with its optimizer."""
    model = compiled(quantized())
    fit(model)
    path = tmp_path_factory.mktemp("trained") / "trained.keras"
    model.save(path)
    return path


@pytest.fixture
def trained(trained_file):
    return keras.models.load_model(trained_file)


def plain(config):
    """Returns a config as a file holds it: tuples are lists."""
    return json.dumps(config, sort_keys=True)


def assert_same_codes(one, other):
    assert one.keys() == other.keys()
    for name in one:
        left, right = one[name], other[name]
        for field in ("codes", "scales", "bias"):
            np.testing.assert_array_equal(getattr(left, field), getattr(right, field))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_sequential_model_trains_with_every_recipe(recipe):
    model = compiled(quantized(sequential(), recipe))
    before = model.get_weights()
    assert lowers_the_loss(fit(model, epochs=3))
    assert any(np.any(one != two) for one, two in zip(before, model.get_weights(), strict=True))


def test_a_functional_model_with_shared_layers_trains():
    assert lowers_the_loss(fit(compiled(quantized()), epochs=3))


def test_training_starts_without_calibration():
    model = compiled(tfq.quantize_model(sequential(), RECIPES["lsq"]))
    assert lowers_the_loss(fit(model, epochs=3))
    assert tfq.integer_weights(model)


@pytest.mark.parametrize("structure", [list, dict])
def test_several_inputs_and_outputs_train(structure):
    left, right = images(), images(seed=5)
    data, targets = [left, right], [labels(), labels(seed=5)]
    loss = [scores_loss(), scores_loss()]
    if structure is dict:
        data = {"left": left, "right": right}
        targets = dict(zip(("one", "other"), targets, strict=True))
        loss = dict(zip(("one", "other"), loss, strict=True))
    model = tfq.quantize_model(two_by_two(structure), RECIPES["lsq"], data)
    model.compile(keras.optimizers.Adam(0.01), loss)
    history = model.fit(data, targets, batch_size=16, epochs=3, verbose=0).history
    assert lowers_the_loss(history["loss"])
    outputs = model.predict(data, verbose=0)
    assert isinstance(outputs, structure) and len(outputs) == 2
    assert sorted(tfq.integer_weights(model)) == ["conv", "conv_1", "one", "other"]


def test_a_tape_gives_every_variable_a_gradient():
    model, x = quantized(), 3 * images()  # wider than the data of calibration: some is clipped
    with tf.GradientTape() as tape:
        loss = scores_loss()(labels(), model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)), variable.path
        assert np.any(gradient != 0), variable.path


def test_a_loop_of_ones_own_trains():
    model, x = quantized(), images()
    optimizer, loss_of = keras.optimizers.Adam(0.01), scores_loss()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(labels(), model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    assert lowers_the_loss([float(step()) for _ in range(12)])


def test_training_under_xla_lowers_the_loss():
    assert lowers_the_loss(fit(compiled(quantized(), jit_compile=True), epochs=3))


def test_mixed_precision_trains_saves_and_exports(mixed_float16, tmp_path):
    model = compiled(quantized())
    assert model.get_layer("stem").layer.compute_dtype == "float16"
    assert lowers_the_loss(fit(model, epochs=3))
    assert {weight.dtype for weight in model.weights} == {"float32"}
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert restored.get_layer("stem").layer.compute_dtype == "float16"
    assert_same_codes(tfq.integer_weights(restored), tfq.integer_weights(model))


def test_frozen_layers_keep_their_codes():
    float_model = residual()
    float_model.get_layer("shared").trainable = False
    model = compiled(quantized(float_model))
    before = model.get_layer("shared").get_weights()
    fit(model)
    assert_same(model.get_layer("shared").get_weights(), before)


@pytest.mark.parametrize(
    ("build", "recipe"), [(residual, "lsq"), (sequential, "pact"), (sequential, "ternary")]
)
def test_a_saved_model_predicts_and_trains_on_as_if_it_had_not_been_saved(build, recipe, tmp_path):
    model = compiled(quantized(build(), recipe))
    fit(model)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert plain(restored.get_config()) == plain(model.get_config())
    assert_same(restored.get_weights(), model.get_weights())
    np.testing.assert_array_equal(restored(images(8, seed=3)), model(images(8, seed=3)))
    # The optimizer came along: the same batches give the same numbers.
    assert fit(restored) == fit(model)
    assert_same(restored.get_weights(), model.get_weights())


def test_a_weights_file_restores_everything_into_a_fresh_model(trained, tmp_path):
    trained.save_weights(tmp_path / "model.weights.h5")
    fresh = tfq.quantize_model(residual(), RECIPES["lsq"])  # not calibrated
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert_same(fresh.get_weights(), trained.get_weights())
    np.testing.assert_array_equal(fresh(images(8, seed=3)), trained(images(8, seed=3)))
    assert_same_codes(tfq.integer_weights(fresh), tfq.integer_weights(trained))
    # What the file holds counts as calibrated: the first batch does not start over.
    fresh(images(8, seed=4), training=True)
    quantizers = [layer for layer in fresh.layers if isinstance(layer, tfq.QuantizeActivation)]
    for layer in quantizers:
        assert_same(layer.get_weights(), trained.get_layer(layer.name).get_weights())


def test_config_and_clone_build_the_same_model(trained):
    for copy in (
        keras.Model.from_config(trained.get_config()),
        keras.models.clone_model(trained),
    ):
        assert plain(copy.get_config()) == plain(trained.get_config())
        copy.set_weights(trained.get_weights())
        np.testing.assert_array_equal(copy(images(8)), trained(images(8)))
        assert_same_codes(tfq.integer_weights(copy), tfq.integer_weights(trained))
        calls = [row.name for row in tfq.summary(copy).layers]
        assert calls == ["stem", "shared", "shared_1", "scores"]


def test_a_trained_model_survives_save_load_training_and_export_with_the_same_codes(
    trained, tmp_path
):
    """Twins, one saved and loaded in between, ship the same integers and the same file."""
    stays = trained
    stays.save(tmp_path / "between.keras")
    moves = keras.models.load_model(tmp_path / "between.keras")
    assert_same_codes(tfq.integer_weights(moves), tfq.integer_weights(stays))
    first = tfq.integer_weights(stays)
    for model in (stays, moves):
        fit(model, seed=7)
    assert any(
        np.any(first[name].codes != weights.codes)
        for name, weights in tfq.integer_weights(stays).items()
    )
    assert_same_codes(tfq.integer_weights(moves), tfq.integer_weights(stays))
    data = images(8, seed=3)
    for name, model in (("stays", stays), ("moves", moves)):
        before = tfq.integer_weights(model)
        report = tfq.export_tflite(model, tmp_path / f"{name}.tflite", verify_data=data)
        assert report.fidelity.is_exact
        assert_same_codes(tfq.integer_weights(model), before)
    files = [(tmp_path / f"{name}.tflite").read_bytes() for name in ("stays", "moves")]
    assert files[0] == files[1]
    # And the file goes on after a further load.
    moves.save(tmp_path / "after.keras")
    again = keras.models.load_model(tmp_path / "after.keras")
    assert_same_codes(tfq.integer_weights(again), tfq.integer_weights(stays))
    fidelity = tfq.verify(again, tmp_path / "stays.tflite", data)
    assert fidelity.is_exact and fidelity.num_samples == 8


def test_exporting_leaves_the_model_ready_to_train(trained, tmp_path):
    weights, optimizer = trained.get_weights(), trained.optimizer
    tfq.export_tflite(trained, tmp_path / "model.tflite", verify_data=images(4))
    assert_same(trained.get_weights(), weights)
    assert trained.optimizer is optimizer
    assert np.isfinite(fit(trained)[0])


def test_a_prediction_does_not_depend_on_the_rest_of_its_batch(trained):
    x = images(20, seed=9)
    whole, parts = trained.predict(x, verbose=0), trained.predict(x, batch_size=3, verbose=0)
    np.testing.assert_array_equal(whole, parts)
