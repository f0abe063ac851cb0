"""Nested models: their layers take the place of the call."""

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.model.graph import read_graph

layers = keras.layers


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def run(model, *values):
    return read_graph(model).run(
        list(values), lambda node, args, kwargs: node.layer(*args, **kwargs)
    )


def backbone(name="backbone", size=8):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(momentum=0.5, name="norm")(x)
    return keras.Model(inputs, layers.ReLU(name="relu")(x), name=name)


def in_sequential():
    head = keras.Sequential(
        [keras.Input((8, 8, 6)), layers.GlobalAveragePooling2D(name="mean"), layers.Dense(4)],
        name="head",
    )
    return keras.Sequential([keras.Input((8, 8, 3)), backbone(), head])


def twice_nested():
    inputs = keras.Input((8, 8, 3))
    inner = keras.Model(inputs, backbone("inner")(inputs), name="outer")
    x = layers.Conv2D(5, 1, name="conv")(inner(inputs))
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def shared():
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    model = backbone()
    total = layers.Add(name="sum")([model(left), model(right)])
    return keras.Model([left, right], layers.Dense(4)(layers.GlobalAveragePooling2D()(total)))


def several_outputs():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(inputs)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="second")(x)
    # One output is an input, one stands twice.
    pyramid = keras.Model(inputs, {"fine": x, "coarse": y, "again": y, "raw": inputs}, name="fpn")
    outer = keras.Input((8, 8, 3))
    found = pyramid(outer)
    total = layers.Add()([found["fine"], found["coarse"]])
    total = layers.Concatenate()([total, found["again"], found["raw"]])
    return keras.Model(outer, layers.Dense(4)(layers.GlobalAveragePooling2D()(total)))


MODELS = {
    "in a sequential model": (in_sequential, ["backbone_conv", "backbone_norm", "backbone_relu"]),
    "twice nested": (twice_nested, ["outer_inner_conv", "outer_inner_norm", "outer_inner_relu"]),
    "shared": (shared, ["backbone_conv", "backbone_norm", "backbone_relu", "backbone_1_conv"]),
    "several outputs": (several_outputs, ["fpn_first", "fpn_second"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_its_layers_stand_in_the_graph_under_its_name(name):
    build, names = MODELS[name]
    found = [node.name for node in read_graph(build()).nodes]
    assert found[: len(names)] == names
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_computes_what_the_model_computes(name):
    model = MODELS[name][0]()
    values = [draw(2, *each.shape[1:]) for each in model.inputs]
    expected = model(values if len(values) > 1 else values[0])
    np.testing.assert_array_equal(run(model, *values)[0], expected)


@pytest.mark.parametrize("recipe", [tfq.Recipe.lsq(4, 8), tfq.Recipe.binary("bi_real")])
@pytest.mark.parametrize("name", MODELS)
def test_it_ships_what_was_trained(name, recipe):
    model = MODELS[name][0]()
    data = [draw(64, *each.shape[1:]) for each in model.inputs]
    data = data if len(data) > 1 else data[0]
    check_promise(tfq.quantize_model(model, recipe, data), data)


def test_weights_of_a_model_that_is_called_twice_stay_shared():
    model = shared()
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq())
    kernels = [layer for layer in qmodel.layers if isinstance(layer, tfq.QuantizeWrapper)]
    assert [layer.name for layer in kernels] == ["backbone_conv", model.layers[-1].name]


def test_an_override_names_the_path():
    recipe = tfq.Recipe.lsq(4, 4).override("backbone/.*", weight_bits=3)
    first, last = layers.Conv2D(3, 1, name="conv"), layers.Dense(4, name="head")
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), first, backbone(), layers.Flatten(), last],
    )
    qmodel = tfq.quantize_model(model, recipe)
    widths = {
        layer.name: layer.kernel_quantizer.num_bits
        for layer in qmodel.layers
        if isinstance(layer, tfq.QuantizeWrapper)
    }
    assert widths == {"conv": 8, "backbone_conv": 3, "head": 8}
    with pytest.raises(ValueError, match="backbone/nothing"):
        tfq.quantize_model(model, recipe.override("backbone/nothing", weight_bits=2))


def test_a_frozen_backbone_keeps_its_statistics():
    inputs, frozen = keras.Input((8, 8, 3)), backbone()
    frozen.trainable = False
    x = frozen(inputs, training=False)
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    data = draw(32, 8, 8, 3)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data)
    qmodel.compile("sgd", "mse")
    qmodel.fit(data, draw(32, 4), verbose=0)
    np.testing.assert_array_equal(qmodel.get_layer("backbone_norm").moving_mean, np.zeros(6))


def test_a_backbone_that_would_train_in_inference_is_refused():
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="'backbone' .* is called with training=True"):
        read_graph(keras.Model(inputs, backbone()(inputs, training=True)))


def test_a_quantized_model_inside_another_is_exported(tmp_path):
    data = draw(16, 8, 8, 3)
    qmodel = tfq.quantize_model(in_sequential(), tfq.Recipe.lsq(), data)
    inputs = keras.Input((8, 8, 3))
    outer = keras.Model(inputs, qmodel(inputs))
    report = tfq.export_tflite(outer, tmp_path / "m.tflite", verify_data=data)
    assert report.fidelity.is_exact
