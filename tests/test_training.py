"""A quantized model is a plain Keras model: it trains, saves, loads, clones and ships."""

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
}


def images(count=96, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *IMAGE)).astype(np.float32)


def labels(x, classes=3, seed=1):
    flat = x.reshape(len(x), -1)
    scores = flat @ np.random.default_rng(seed).normal(size=(flat.shape[1], classes))
    return np.argmax(scores, axis=1)


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
    one, other = layers.Dense(3, name="one")(x), layers.Dense(2, name="other")(x)
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
    x = images(seed=seed)
    # Not shuffled: two trainings are then the same numbers.
    history = model.fit(x, labels(x), batch_size=16, epochs=epochs, verbose=0, shuffle=False)
    return history.history["loss"]


def lowers_the_loss(losses):
    return np.all(np.isfinite(losses)) and losses[-1] < 0.9 * losses[0]


def assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def assert_same_codes(one, other):
    assert one.keys() == other.keys()
    for name in one:
        left, right = one[name], other[name]
        for field in ("codes", "scales", "bias"):
            np.testing.assert_array_equal(getattr(left, field), getattr(right, field))


@pytest.mark.parametrize("recipe", RECIPES)
def test_fit_lowers_the_loss(recipe):
    model = compiled(quantized(recipe=recipe))
    before = model.get_weights()
    assert lowers_the_loss(fit(model, epochs=4))
    assert any(np.any(one != two) for one, two in zip(before, model.get_weights(), strict=True))


def test_a_sequential_model_trains():
    assert lowers_the_loss(fit(compiled(quantized(sequential())), epochs=4))


def test_training_starts_without_calibration():
    model = compiled(tfq.quantize_model(sequential(), RECIPES["lsq"]))
    assert lowers_the_loss(fit(model, epochs=4))
    assert tfq.integer_weights(model)


@pytest.mark.parametrize("structure", [list, dict])
def test_several_inputs_and_outputs_train(structure):
    left, right = images(), images(seed=5)
    data, targets = [left, right], [labels(left), labels(right, classes=2)]
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
        loss = scores_loss()(labels(x), model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert {"step_size", "kernel", "bias", "gamma"} <= {each.name for each in model.variables}
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)), variable.path
        # A last grid too wide to clip has a step size without a gradient only by chance.
        assert np.any(gradient != 0) or variable.name == "beta", variable.path


def test_a_loop_of_ones_own_trains():
    model, x = quantized(), images()
    optimizer, loss_of = keras.optimizers.Adam(0.01), scores_loss()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(labels(x), model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    assert lowers_the_loss([float(step()) for _ in range(12)])


def test_training_under_xla_lowers_the_loss():
    assert lowers_the_loss(fit(compiled(quantized(), jit_compile=True), epochs=3))


@pytest.fixture
def mixed_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def test_mixed_precision_trains_saves_and_exports(mixed_float16, tmp_path):
    model = compiled(quantized())
    assert model.get_layer("stem").layer.compute_dtype == "float16"
    assert lowers_the_loss(fit(model, epochs=4))
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


@pytest.mark.parametrize("recipe", ["lsq", "pact", "ternary"])
def test_a_saved_model_predicts_and_trains_on_as_if_it_had_not_been_saved(recipe, tmp_path):
    model = compiled(quantized(recipe=recipe))
    fit(model)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert restored.get_config() == model.get_config()
    assert_same(restored.get_weights(), model.get_weights())
    np.testing.assert_array_equal(restored(images(8, seed=3)), model(images(8, seed=3)))
    # The optimizer came along: the same batches give the same numbers.
    assert fit(restored, epochs=2) == fit(model, epochs=2)
    assert_same(restored.get_weights(), model.get_weights())


def test_a_weights_file_restores_everything_into_a_fresh_model(tmp_path):
    model = compiled(quantized())
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = tfq.quantize_model(residual(), RECIPES["lsq"])  # not calibrated
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert_same(fresh.get_weights(), model.get_weights())
    np.testing.assert_array_equal(fresh(images(8, seed=3)), model(images(8, seed=3)))
    assert_same_codes(tfq.integer_weights(fresh), tfq.integer_weights(model))
    # What the file holds counts as calibrated: the first batch does not start over.
    fresh(images(8, seed=4), training=True)
    steps = [each for each in fresh.weights if each.name in ("step_size", "calibrated")]
    trained = [each for each in model.weights if each.name in ("step_size", "calibrated")]
    assert_same(steps, trained)


def test_config_and_clone_build_the_same_model():
    model = compiled(quantized())
    fit(model)
    for copy in (keras.Model.from_config(model.get_config()), keras.models.clone_model(model)):
        assert copy.get_config() == model.get_config()
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(copy(images(8)), model(images(8)))
        assert_same_codes(tfq.integer_weights(copy), tfq.integer_weights(model))
        calls = [node for node in tfq.summary(copy).layers if node.name.startswith("shared")]
        assert len(calls) == 2


def test_a_trained_model_survives_save_load_training_and_export_with_the_same_codes(tmp_path):
    """Twins, one saved and loaded in between, ship the same integers and the same file."""
    stays = compiled(quantized())
    fit(stays)
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


def test_exporting_leaves_the_model_ready_to_train(tmp_path):
    model = compiled(quantized())
    fit(model)
    weights = model.get_weights()
    tfq.export_tflite(model, tmp_path / "model.tflite", verify_data=images(4))
    assert_same(model.get_weights(), weights)
    assert np.isfinite(fit(model)[0])


def test_evaluation_is_what_predict_computes_whatever_the_batch():
    model = compiled(quantized())
    fit(model)
    x = images(20, seed=9)
    whole, parts = model.predict(x, verbose=0), model.predict(x, batch_size=3, verbose=0)
    np.testing.assert_array_equal(whole, parts)
