import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq

layers = keras.layers

IMAGE = (8, 8, 2)
# Eight bits leave an error of about 1/256 of the range a layer; the nets here have six.
CLOSE_AT_8_BITS = 0.03
PLAIN_8_BITS = tfq.Recipe(weight_quantizer="affine", activation_quantizer="affine")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomize(model, seed=1):
    """Sets every weight, the statistics of batch normalization too, to values of its size."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        is_norm = isinstance(layer, layers.BatchNormalization)
        for weight in layer.weights:
            if weight.name in ("gamma", "moving_variance"):
                weight.assign(random.uniform(0.5, 1.5, weight.shape))
            elif is_norm or weight.name == "bias":
                weight.assign(random.normal(0, 0.2, weight.shape))
    return model


def residual():
    inputs = keras.Input(IMAGE, name="image")
    x = layers.ZeroPadding2D(name="pad")(inputs)
    x = layers.Conv2D(6, 3, use_bias=False, name="stem")(x)
    x = layers.ReLU(6, name="stem_relu")(layers.BatchNormalization(name="stem_norm")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    y = layers.BatchNormalization(name="depthwise_norm")(y)
    y = layers.Conv2D(6, 1, name="pointwise")(layers.ReLU(name="depthwise_relu")(y))
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, y]))
    x = layers.Concatenate(name="join")([x, layers.Conv2D(2, 3, padding="same", name="side")(x)])
    x = layers.MaxPooling2D(name="max_pool")(x)
    x = layers.AveragePooling2D(2, name="average_pool")(x)
    x = layers.Dropout(0.2, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="logits")(x), name="net")


def sequential():
    return keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Rescaling(1 / 2, name="rescaling"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(3, name="dense"),
        ],
        name="sequence",
    )


def shared():
    """Returns a model that calls one convolution three times, folded and not."""
    inputs = keras.Input((8, 8, 4))
    conv, relu = layers.Conv2D(4, 3, padding="same", name="conv"), layers.ReLU(name="relu")
    x = layers.BatchNormalization(name="norm")(conv(relu(conv(inputs))))
    return keras.Model(inputs, conv(relu(x)))


def two_by_two(structure):
    left, right = keras.Input(IMAGE, name="left"), keras.Input(IMAGE, name="right")
    conv = layers.Conv2D(4, 3, name="conv")
    x = layers.Add(name="add")([conv(left), conv(right)])
    x = layers.Flatten(name="flatten")(x)
    one, other = layers.Dense(2, name="one")(x), layers.Dense(3, name="other")(x)
    if structure is dict:
        return keras.Model({"left": left, "right": right}, {"a": one, "b": other})
    return keras.Model([left, right], [one, other])


BUILDERS = {
    "residual": residual,
    "sequential": sequential,
    "shared": shared,
    "lists": lambda: two_by_two(list),
    "dicts": lambda: two_by_two(dict),
}
each = pytest.mark.parametrize("name", BUILDERS)


def make(name):
    model = randomize(BUILDERS[name]())
    inputs = model.inputs[0] if name == "sequential" else model.input
    return model, keras.tree.map_structure(lambda each: draw(32, *each.shape[1:], seed=2), inputs)


def quantized_kernels(qmodel):
    return {layer.name: layer for layer in qmodel.layers if isinstance(layer, tfq.QuantizeWrapper)}


@each
def test_the_weights_are_those_of_the_float_model(name):
    model, data = make(name)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    for layer in model.layers:
        if not layer.weights:
            continue
        copy = qmodel.get_layer(layer.name)
        copy = copy.layer if isinstance(copy, tfq.QuantizeWrapper) else copy
        assert copy is not layer
        for one, other in zip(copy.get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


@each
def test_at_eight_bits_the_outputs_are_close_to_the_float_models(name):
    model, data = make(name)
    qmodel = tfq.quantize_model(model, PLAIN_8_BITS, data)
    outputs = keras.tree.flatten(qmodel.predict(data, verbose=0))
    for found, expected in zip(
        outputs, keras.tree.flatten(model.predict(data, verbose=0)), strict=True
    ):
        assert np.abs(found - expected).max() < CLOSE_AT_8_BITS * np.ptp(expected)
        assert np.any(found != expected)


@each
def test_names_and_structure_are_kept(name):
    model, data = make(name)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    assert qmodel.name == model.name
    kept = {layer.name for layer in model.layers}
    assert kept <= {layer.name for layer in qmodel.layers}
    if name != "sequential":
        keras.tree.assert_same_structure(qmodel.output, model.output)
        keras.tree.assert_same_structure(qmodel.input, model.input)
    for one, other in zip(
        [*qmodel.inputs, *qmodel.outputs],
        [*model.inputs, *model.outputs],
        strict=True,
    ):
        assert one.shape == other.shape and one.dtype == other.dtype
    if name == "dicts":
        assert set(qmodel.predict(data, verbose=0)) == {"a", "b"}


@each
def test_the_float_model_stays_as_it_is(name):
    model, data = make(name)
    model.compile("sgd", "mse")
    optimizer, weights = model.optimizer, model.get_weights()
    config, outputs = model.get_config(), keras.tree.flatten(model.predict(data, verbose=0))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    for weight in qmodel.weights:
        weight.assign(0.5 * weight)
    assert model.get_config() == config
    assert model.compiled and model.optimizer is optimizer and not qmodel.compiled
    after = keras.tree.flatten(model.predict(data, verbose=0))
    for one, other in zip([*model.get_weights(), *after], [*weights, *outputs], strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_quantizer_is_a_layer_that_is_named_after_the_tensor_it_quantizes():
    model, data = make("residual")
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    found = {layer.name for layer in qmodel.layers if isinstance(layer, tfq.QuantizeActivation)}
    tensors = (
        "image stem_relu depthwise_relu pointwise sum_relu side max_pool logits logits_softmax"
    )
    expected = {f"{name}_quantizer" for name in tensors.split()}
    # `side` is rounded once, on the grid of the concatenation.
    assert found == expected - {"side_quantizer"}


@each
def test_with_data_every_quantizer_is_calibrated_and_without_none_of_an_activation(name):
    model, data = make(name)
    for given in (data, None):
        qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), given)
        for layer in qmodel.layers:
            if isinstance(layer, tfq.QuantizeWrapper):
                assert layer.kernel_quantizer.is_calibrated
            elif isinstance(layer, tfq.QuantizeActivation):
                expected = given is not None or layer.only_in_evaluation
                assert layer.quantizer.is_calibrated == expected, layer.name


@each
def test_calibrating_later_is_the_same_as_calibrating_at_once(name):
    model, data = make(name)
    at_once = tfq.quantize_model(model, tfq.Recipe.pact(), data)
    later = tfq.quantize_model(model, tfq.Recipe.pact())
    tfq.calibrate(later, data)
    for one, other in zip(later.get_weights(), at_once.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_training_batch_sets_what_was_not_calibrated():
    model, data = make("residual")
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq())
    qmodel.compile("sgd", "sparse_categorical_crossentropy")
    qmodel.fit(data, np.zeros(32), batch_size=16, verbose=0)
    tfq.integer_weights(qmodel)  # refuses what is not calibrated


def test_a_shared_layer_stays_one_layer_with_one_kernel():
    model, data = make("shared")
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    assert list(quantized_kernels(qmodel)) == ["conv"]
    assert [variable.name for variable in qmodel.variables].count("kernel") == 1
    weights = tfq.integer_weights(qmodel)
    assert sorted(weights) == ["conv", "conv_1", "conv_2"]
    for name in ("conv_1", "conv_2"):
        np.testing.assert_array_equal(abs(weights[name].codes), abs(weights["conv"].codes))


def test_a_shared_relu_beside_a_layer_of_its_next_name():
    inputs = keras.Input((4,))
    relu, other = layers.ReLU(name="relu"), layers.ReLU(name="relu_1")
    x = relu(layers.Dense(4)(relu(layers.Dense(4)(inputs))))
    model = keras.Model(inputs, other(layers.Dense(4)(x)))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), draw(8, 4))
    assert {"relu_quantizer", "relu_1_quantizer", "relu_2_quantizer"} <= {
        layer.name for layer in qmodel.layers
    }


def test_relu6_behind_a_quantizer_stays_on_its_grid():
    inputs = keras.Input((4,))
    x = layers.Dense(4, name="dense")(inputs)
    y = layers.Add()([x, layers.ReLU(6, name="relu")(x)])
    model = keras.Model(inputs, y)
    data = 4 * draw(64, 4)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(8, 5), data)
    relu = keras.Model(qmodel.input, qmodel.get_layer("relu_snap").output)(data).numpy()
    step = qmodel.get_layer("dense_quantizer").quantizer.step_size.value.numpy()
    np.testing.assert_array_equal(relu, np.rint(relu / step) * step)
    assert relu.max() <= 6 + step / 2


def test_recipe_and_overrides_reach_the_layers():
    recipe = tfq.Recipe.lsq(3, 5, per_channel=False, weight_init="mse")
    recipe = recipe.override("pointwise", weight_bits=2, weight_quantizer="ternary")
    recipe = recipe.override("side", weight_quantizer="affine", per_channel=True)
    model, _ = make("residual")
    qmodel = tfq.quantize_model(model, recipe)
    kernels = {name: layer.kernel_quantizer for name, layer in quantized_kernels(qmodel).items()}
    assert {name: quantizer.num_bits for name, quantizer in kernels.items()} == {
        "stem": 8,
        "depthwise": 3,
        "pointwise": 2,
        "side": 3,
        "logits": 8,
    }
    assert type(kernels["pointwise"]) is tfq.quantizers.TWN
    assert type(kernels["side"]) is tfq.quantizers.UniformAffine
    assert kernels["side"].step_size.value.shape == (1, 1, 1, 2)
    assert kernels["depthwise"].step_size.value.shape == () and kernels["depthwise"].init == "mse"
    assert all(quantizer.narrow_range for quantizer in kernels.values())
    assert qmodel.get_layer("stem_relu_quantizer").quantizer.num_bits == 5


@pytest.mark.parametrize("name", ["lsq", "pact", "dorefa", "ternary"])
def test_every_recipe_quantizes_and_exports(name):
    model, data = make("sequential")
    qmodel = tfq.quantize_model(model, getattr(tfq.Recipe, name)(), data)
    assert np.all(np.isfinite(qmodel.predict(data, verbose=0)))
    assert set(tfq.integer_weights(qmodel)) == {"conv", "dense"}


def test_frozen_layers_stay_frozen():
    model, data = make("residual")
    model.get_layer("stem").trainable = False
    model.get_layer("stem_norm").trainable = False
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    assert not qmodel.get_layer("stem").trainable_variables
    assert not qmodel.get_layer("stem_norm").trainable_variables
    assert qmodel.get_layer("depthwise").trainable_variables


def test_regularizers_and_constraints_of_kernels_are_kept():
    inputs = keras.Input((4,))
    dense = layers.Dense(3, kernel_regularizer="l2", kernel_constraint="non_neg")
    model = keras.Model(inputs, dense(inputs))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq())
    np.testing.assert_array_equal(qmodel.losses, model.losses)
    (wrapper,) = quantized_kernels(qmodel).values()
    assert type(wrapper.layer.kernel.constraint) is keras.constraints.NonNeg


def test_a_model_that_is_quantized_already_is_refused():
    model, data = make("sequential")
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    with pytest.raises(ValueError, match=r"_quantizer' \(Quantize.*\) cannot be quantized"):
        tfq.quantize_model(qmodel, tfq.Recipe.lsq())


def test_a_fixed_batch_size_is_kept():
    inputs = keras.Input(batch_shape=(2, 4))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), draw(8, 4))
    assert qmodel.input.shape == (2, 4) and qmodel.output.shape == (2, 3)
    assert qmodel(draw(2, 4)).shape == (2, 3)


def test_the_model_runs_in_a_function_of_unknown_batch():
    model, data = make("residual")
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    function = tf.function(qmodel, input_signature=[tf.TensorSpec((None, *IMAGE))])
    np.testing.assert_allclose(function(data), qmodel(data), atol=1 / 256)
