import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tfq_lowbit.calibration import get_rule
from tfq_lowbit.model import as_batches, read_graph

layers = keras.layers

LEFT = np.random.default_rng(1).normal(size=(70, 4)).astype(np.float32)
RIGHT = np.random.default_rng(2).normal(size=(70, 3)).astype(np.float32)


def two_inputs(structure):
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    x = layers.Concatenate(name="join")([left, right])
    outputs = layers.Dense(2, name="dense")(x)
    inputs = {"left": left, "right": right} if structure is dict else [left, right]
    return tfq.quantize_model(keras.Model(inputs, outputs), tfq.Recipe.lsq())


def one_input():
    inputs = keras.Input((4,), name="left")
    hidden = layers.Dense(5, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(2, name="dense")(hidden))


def step_sizes(qmodel):
    return {
        layer.name: float(layer.quantizer.step_size.value.numpy())
        for layer in qmodel.layers
        if isinstance(layer, tfq.QuantizeActivation)
    }


def dataset(values, batch=32):
    return tf.data.Dataset.from_tensor_slices(values).batch(batch)


# The same data in each form that `calibrate` takes.
FORMS_OF_ONE = {
    "array": lambda: LEFT,
    "list of one array": lambda: [LEFT],
    "dict": lambda: {"left": LEFT},
    "tensor": lambda: tf.constant(LEFT),
    "float64": lambda: LEFT.astype(np.float64),
    "dataset": lambda: dataset(LEFT),
    "dataset of odd batches": lambda: dataset(LEFT, 17),
    "dataset with labels": lambda: dataset((LEFT, np.zeros(70))),
    "dataset of dicts": lambda: dataset({"left": LEFT}),
    "generator": lambda: (LEFT[start : start + 10] for start in range(0, 70, 10)),
}
FORMS_OF_TWO = {
    "list": (list, lambda: [LEFT, RIGHT]),
    "tuple": (list, lambda: (LEFT, RIGHT)),
    "dict": (dict, lambda: {"right": RIGHT, "left": LEFT}),
    "list for a dict": (dict, lambda: [LEFT, RIGHT]),
    "dataset of dicts": (dict, lambda: dataset({"left": LEFT, "right": RIGHT})),
    "dataset of pairs with labels": (list, lambda: dataset(((LEFT, RIGHT), np.zeros(70)))),
}


@pytest.mark.parametrize("form", FORMS_OF_ONE)
def test_every_form_of_data_gives_the_same_steps(form):
    qmodel = tfq.quantize_model(one_input(), tfq.Recipe.lsq(), LEFT)
    expected = step_sizes(qmodel)
    other = tfq.quantize_model(one_input(), tfq.Recipe.lsq(), FORMS_OF_ONE[form]())
    other.set_weights(tfq.quantize_model(one_input(), tfq.Recipe.lsq()).get_weights())
    for one, another in zip(other.layers, qmodel.layers, strict=True):
        if isinstance(one, tfq.QuantizeWrapper):
            one.set_weights(another.get_weights())
    tfq.calibrate(other, FORMS_OF_ONE[form]())
    assert step_sizes(other).keys() == expected.keys()
    # Batches of other sizes: matrix products may round another way.
    np.testing.assert_allclose(list(step_sizes(other).values()), list(expected.values()), rtol=1e-5)


@pytest.mark.parametrize("form", FORMS_OF_TWO)
def test_several_inputs_are_matched_by_name_or_order(form):
    structure, data = FORMS_OF_TWO[form]
    qmodel = two_inputs(structure)
    tfq.calibrate(qmodel, data())
    steps = step_sizes(qmodel)
    for name, values in (("left", LEFT), ("right", RIGHT)):
        expected = max(values.max() / 127, values.min() / -128)
        np.testing.assert_allclose(steps[f"{name}_quantizer"], expected, rtol=1e-6)


def test_a_step_is_what_its_rule_gives_for_the_float_activations():
    model = one_input()
    recipe = tfq.Recipe.lsq(8, 4, first_last_bits=None, activation_init="mse")
    qmodel = tfq.quantize_model(model, recipe, LEFT)
    wrapper = qmodel.get_layer("hidden")
    values = wrapper.apply(LEFT).numpy().reshape(-1, 1)
    values = np.concatenate([values, [[values.min()], [values.max()]]])
    expected = get_rule("mse")(values, 0, 15).numpy()
    found = qmodel.get_layer("hidden_quantizer").quantizer.step_size.value.numpy()
    np.testing.assert_allclose(found, expected[0], rtol=1e-5)


def test_the_levels_of_binary_inputs_are_those_of_the_values_seen():
    recipe = tfq.Recipe.binary("ada_bin", first_last_bits=None)
    qmodel = tfq.quantize_model(one_input(), recipe)
    hidden, dense = (qmodel.get_layer(name) for name in ("hidden", "dense"))
    for data in (LEFT[:30], 3 * LEFT[:30] + 1):  # one batch
        tfq.calibrate(qmodel, data)
        inputs = {hidden: data}
        hidden.input_quantizer.initialize(data)  # calibration has its own sample
        inputs[dense] = hidden(tf.constant(data)).numpy()
        tfq.calibrate(qmodel, data)
        for layer, values in inputs.items():
            sample = np.append(values, [values.min(), values.max()])
            beta = sample.mean()
            expected = abs(sample - beta).mean(), beta
            np.testing.assert_allclose(layer.input_quantizer.levels(), expected, rtol=1e-4)


def test_a_failed_calibration_leaves_the_levels_of_binary_inputs():
    recipe = tfq.Recipe.binary("ada_bin", first_last_bits=None)
    qmodel = tfq.quantize_model(one_input(), recipe, LEFT)
    before = [weight.numpy() for weight in qmodel.weights]
    qmodel.get_layer("hidden").layer.bias.assign(np.full(5, np.inf))
    with pytest.raises(ValueError, match="finite|infinite"):
        tfq.calibrate(qmodel, LEFT)
    qmodel.get_layer("hidden").layer.bias.assign(np.zeros(5))
    for weight, value in zip(qmodel.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_calibrating_again_starts_from_the_new_data():
    qmodel = tfq.quantize_model(one_input(), tfq.Recipe.lsq(), LEFT)
    before = step_sizes(qmodel)
    tfq.calibrate(qmodel, 2 * LEFT)
    assert step_sizes(qmodel)["left_quantizer"] == 2 * before["left_quantizer"]
    tfq.calibrate(qmodel, LEFT)
    assert step_sizes(qmodel) == before


def test_weights_and_their_steps_stay():
    qmodel = tfq.quantize_model(one_input(), tfq.Recipe.lsq())

    def state():
        return [
            weight
            for layer in qmodel.layers
            if isinstance(layer, tfq.QuantizeWrapper)
            for weight in layer.get_weights()
        ]

    before = state()
    tfq.calibrate(qmodel, LEFT)
    for one, other in zip(state(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_softmax_keeps_its_grid():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax", name="dense")])
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), 0.01 * LEFT)
    assert step_sizes(qmodel)["dense_softmax_quantizer"] == 1 / 256


def test_wrapped_layers_are_calibrated_inside_and_out():
    wrapper = tfq.QuantizeWrapper(
        layers.Dense(3),
        kernel_quantizer=tfq.quantizers.LSQ(8, narrow_range=True),
        input_quantizer=tfq.quantizers.UniformAffine(8),
        output_quantizer=tfq.quantizers.UniformAffine(8),
    )
    model = keras.Sequential([keras.Input((4,)), wrapper])
    tfq.calibrate(model, LEFT)
    expected = max(LEFT.max() / 127, LEFT.min() / -128)
    np.testing.assert_allclose(wrapper.input_quantizer.step_size.value, expected, rtol=1e-6)
    outputs = wrapper.apply(LEFT).numpy()
    expected = max(outputs.max() / 127, outputs.min() / -128)
    np.testing.assert_allclose(wrapper.output_quantizer.step_size.value, expected, rtol=1e-5)


def test_dropout_and_statistics_of_batch_normalization_rest():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.9),
        ]
    )
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), LEFT)
    steps, norm = step_sizes(qmodel), qmodel.get_layer("norm").get_weights()
    tfq.calibrate(qmodel, LEFT)
    assert step_sizes(qmodel) == steps
    for one, other in zip(qmodel.get_layer("norm").get_weights(), norm, strict=True):
        np.testing.assert_array_equal(one, other)


def test_arrays_are_cut_into_batches():
    graph = read_graph(one_input())
    sizes = [len(batch[0]) for batch in as_batches(graph, LEFT)]
    assert sizes == [32, 32, 6]
    np.testing.assert_array_equal(np.concatenate([b[0] for b in as_batches(graph, LEFT)]), LEFT)


BAD = LEFT.copy()
BAD[3, 1], BAD[5, 2] = np.nan, np.inf
# Data: (exception, words).
REFUSED = {
    "shape": (lambda: LEFT[:, :3], ValueError, r"'left' must have the shape \(None, 4\).*\(70, 3"),
    "rank": (lambda: LEFT[0], ValueError, r"shape \(None, 4\).*\(4,\)"),
    "number": (lambda: np.float32(3), ValueError, r"\(None, 4\).*Received: \(\)"),
    "not finite": (lambda: BAD, ValueError, "must be finite. Received: 2 values.*remove"),
    "late in a dataset": (
        lambda: dataset(np.concatenate([LEFT, BAD])),
        ValueError,
        "must be finite. Received: 2 values",
    ),
    "too many": (lambda: [LEFT, RIGHT], ValueError, "one array for each input.*1. Received: 2"),
    "rows": (lambda: LEFT.tolist(), ValueError, "one array for each input.*1. Received: 70"),
    "no arrays": (lambda: [], ValueError, "one array for each input.*Received: 0"),
    "names": (lambda: {"lift": LEFT}, ValueError, "by name. Missing: left. Received: lift"),
    "empty": (lambda: LEFT[:0], ValueError, "is empty"),
    "empty dataset": (lambda: dataset(LEFT).take(0), ValueError, "is empty"),
    "texts": (lambda: np.array([["a"] * 4]), TypeError, "must be an array of numbers"),
    "a count": (lambda: 5, TypeError, "an array, a list or dict .*dataset.*Received: int"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_data_that_do_not_fit_are_refused_and_change_nothing(name):
    data, error, words = REFUSED[name]
    qmodel = tfq.quantize_model(one_input(), tfq.Recipe.lsq())
    before = qmodel.get_weights()
    with pytest.raises(error, match=f"^Argument `data`.*{words}"):
        tfq.calibrate(qmodel, data())
    for one, other in zip(qmodel.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(error, match=f"^Argument `calibration_data`.*{words}"):
        tfq.quantize_model(one_input(), tfq.Recipe.lsq(), data())


def test_inputs_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="as many samples for each input. Received: 70, 60"):
        tfq.calibrate(two_inputs(list), [LEFT, RIGHT[:60]])


def test_weights_that_are_not_finite_are_refused_with_the_layer_and_change_nothing():
    qmodel = tfq.quantize_model(one_input(), tfq.Recipe.lsq())
    qmodel.get_layer("hidden").layer.bias.assign([np.inf] * 5)
    with pytest.raises(ValueError, match="Layer 'hidden_quantizer' gets values .* weights"):
        tfq.calibrate(qmodel, LEFT)
    assert not qmodel.get_layer("left_quantizer").quantizer.is_calibrated


def test_a_model_without_quantizers_is_refused_with_the_way_to_make_one():
    with pytest.raises(ValueError, match="no quantizers .*tfq.quantize_model"):
        tfq.calibrate(one_input(), LEFT)
