"""Layers that are taken apart before they are quantized."""

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tests.model.volume_rows import VOLUMES
from tests.networks import images, randomize
from tfq_lowbit.model import Role, find_rule
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.model.graph import read_graph

layers = keras.layers

# Name: (layer, input shape, names of the parts).
TABLE = {
    "separable": (
        lambda: layers.SeparableConv2D(
            6, 3, strides=2, padding="same", depth_multiplier=2, activation="relu", name="mine"
        ),
        (7, 8, 3),
        ["depthwise", "pointwise"],
    ),
    "separable dilated, without bias": (
        lambda: layers.SeparableConv2D(6, 2, dilation_rate=2, use_bias=False, name="mine"),
        (7, 8, 3),
        ["depthwise", "pointwise"],
    ),
    "separable of a sequence": (
        lambda: layers.SeparableConv1D(6, 3, padding="same", name="mine"),
        (9, 4),
        ["depthwise", "pointwise"],
    ),
}
TABLE |= {
    "max pooling of a sequence": (
        lambda: layers.MaxPooling1D(3, 2, "same", name="mine"),
        (9, 4),
        ["image", "", "sequence"],
    ),
    "average pooling of a sequence": (
        lambda: layers.AveragePooling1D(2, name="mine"),
        (9, 4),
        ["image", "", "sequence"],
    ),
    "mean of a sequence": (
        lambda: layers.GlobalAveragePooling1D(name="mine"),
        (9, 4),
        ["image", ""],
    ),
    "mean of a sequence, kept": (
        lambda: layers.GlobalAveragePooling1D(keepdims=True, name="mine"),
        (9, 4),
        ["image", "", "kept"],
    ),
    "maximum of a sequence": (
        lambda: layers.GlobalMaxPooling1D(name="mine"),
        (9, 4),
        ["image", "", "flat"],
    ),
    "maximum of an image": (
        lambda: layers.GlobalMaxPooling2D(keepdims=True, name="mine"),
        (9, 4, 3),
        [""],
    ),
    "repeated steps": (
        lambda: layers.UpSampling1D(3, name="mine"),
        (5, 4),
        ["image", "", "sequence"],
    ),
    "repeated vector": (
        lambda: layers.RepeatVector(3, name="mine"),
        (5,),
        ["image", "", "sequence"],
    ),
    "crop": (lambda: layers.Cropping2D(((1, 0), (2, 3)), name="mine"), (7, 8, 3), [""]),
    "crop of a sequence": (lambda: layers.Cropping1D((1, 2), name="mine"), (7, 3), [""]),
    "crop of the center": (lambda: layers.CenterCrop(4, 3, name="mine"), (7, 8, 3), [""]),
    "crop of nothing": (lambda: layers.CenterCrop(7, 8, name="mine"), (7, 8, 3), [""]),
    "normalization": (
        lambda: layers.Normalization(mean=[1.0, -2.0, 3.0], variance=[1.0, 4.0, 0.5], name="mine"),
        (7, 8, 3),
        [""],
    ),
    "normalization by numbers": (
        lambda: layers.Normalization(axis=None, mean=0.5, variance=4.0, name="mine"),
        (7, 8, 3),
        [""],
    ),
}
HEADS = ["query", "query_heads", "key", "key_heads", "value", "value_heads"]


def self_attention(layer, **options):
    return lambda inputs: layer(inputs, inputs, **options)


NORM = ["squares", "variance", "inverse"]
TABLE |= {
    "layer normalization": (
        lambda: layers.LayerNormalization(epsilon=0.01, name="mine"),
        (7, 6),
        ["mean", "centered", *NORM, "normalized", ""],
    ),
    "layer normalization of vectors": (
        lambda: layers.LayerNormalization(center=False, name="mine"),
        (6,),
        ["mean", "centered", *NORM, "normalized", "row", "", "vector"],
    ),
    "layer normalization of images, plain": (
        lambda: layers.LayerNormalization(center=False, scale=False, name="mine"),
        (3, 4, 6),
        ["mean", "centered", *NORM, ""],
    ),
    "root mean square": (
        lambda: layers.RMSNormalization(name="mine"),
        (3, 4, 6),
        [*NORM, "normalized", ""],
    ),
    "unit length": (lambda: layers.UnitNormalization(name="mine"), (7, 6), [*NORM, ""]),
    "attention": (
        lambda: self_attention(layers.MultiHeadAttention(3, 4, name="mine")),
        (7, 6),
        [*HEADS, "scores", "softmax", "heads", "joined", ""],
    ),
    "attention, causal": (
        lambda: self_attention(
            layers.MultiHeadAttention(2, 4, 5, 0.1, use_bias=False, output_shape=3, name="mine"),
            use_causal_mask=True,
        ),
        (7, 6),
        [*HEADS, "scores", "mask", "softmax", "dropout", "heads", "joined", ""],
    ),
    "attention in groups": (
        lambda: self_attention(layers.GroupQueryAttention(4, 3, 3, name="mine")),
        (7, 6),
        [*HEADS, "scores", "softmax", "heads", "joined", ""],
    ),
    "attention in larger groups": (
        lambda: self_attention(layers.GroupQueryAttention(4, 6, 2, name="mine")),
        (7, 6),
        [*HEADS, "groups", "scores", "softmax", "heads", "all_heads", "joined", ""],
    ),
    "dot-product attention": (
        lambda: lambda inputs: layers.Attention(name="mine")([inputs, inputs]),
        (7, 6),
        ["scores", "softmax", ""],
    ),
}
TABLE |= VOLUMES
each = pytest.mark.parametrize("name", TABLE)


def model_of(name):
    make, shape, _ = TABLE[name]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layers.Flatten(name="flat")(make()(inputs)))
    for variable in model.trainable_weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    return model


@each
def test_the_parts_compute_what_the_layer_does(name):
    model = model_of(name)
    graph = read_graph(model)
    decompose_layers(graph)
    assert [node.name for node in graph.nodes] == [
        *("mine" + f"_{part}" * bool(part) for part in TABLE[name][2]),
        "flat",
    ]
    data = images(model, 4)
    found = graph.run([data], lambda node, args, kwargs: node.layer(*args, **kwargs))
    np.testing.assert_allclose(found[0], model(data), rtol=1e-4, atol=1e-4)


@each
def test_the_float_model_stays_as_it_is(name):
    model = model_of(name)
    before = model.get_weights()
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), images(model, 16))
    for weight in qmodel.weights:
        weight.assign(0.5 * weight)
    assert find_rule(model.get_layer("mine")).role is Role.DECOMPOSED
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@each
def test_the_quantized_model_is_saved_and_loaded(name, tmp_path):
    model = model_of(name)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), images(model, 16))
    qmodel.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    data = images(model, 4)
    np.testing.assert_array_equal(loaded(data), qmodel(data))


def test_an_override_names_the_layer_or_a_part():
    model = model_of("separable")
    recipe = tfq.Recipe.lsq(4, 4, first_last_bits=None)
    recipe = recipe.override("mine", weight_bits=3).override("mine_pointwise", weight_bits=5)
    qmodel = tfq.quantize_model(model, recipe)
    bits = {
        part: qmodel.get_layer(f"mine_{part}").kernel_quantizer.num_bits
        for part in ("depthwise", "pointwise")
    }
    assert bits == {"depthwise": 3, "pointwise": 5}


def test_a_shared_layer_stays_shared():
    inputs = keras.Input((7, 8, 3))
    separable = layers.SeparableConv2D(3, 3, padding="same", name="mine")
    model = randomize(keras.Model(inputs, separable(layers.ReLU()(separable(inputs)))))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), images(model, 16))
    wrapped = [layer.name for layer in qmodel.layers if isinstance(layer, tfq.QuantizeWrapper)]
    assert wrapped == ["mine_depthwise", "mine_pointwise"]


def test_normalization_behind_a_layer_does_not_train():
    inputs = keras.Input((5,))
    norm = layers.Normalization(axis=None, mean=0.5, variance=4.0, name="mine")
    model = keras.Model(inputs, layers.Dense(3)(norm(layers.Dense(4)(inputs))))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), images(model, 16))
    layer = qmodel.get_layer("mine")
    before = layer.get_weights()
    qmodel.compile("sgd", "mse")
    qmodel.fit(images(model, 16), np.zeros((16, 3)), verbose=0)
    assert not layer.trainable_variables
    np.testing.assert_array_equal(layer.get_weights(), before)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda layer, x: layer(x, x, query_mask=x[:, :, 0]), "it takes a mask of a kind"),
        (lambda layer, x: layer(x, x, attention_mask=x[:, :, :5] > 0), "attention_mask must be a"),
        (lambda layer, x: layer(x, x, value_mask=x[:, :, :5]), "value_mask must have 2 axes"),
        (lambda layer, x: layer(x[:, None], x[:, None]), "attention_axes must be None"),
    ],
)
def test_an_attention_that_has_no_form_is_refused(call, reason):
    inputs = keras.Input((5, 6))
    model = keras.Model(inputs, call(layers.MultiHeadAttention(2, 4, name="mine"), inputs))
    with pytest.raises(ValueError, match=rf"'mine' \(MultiHeadAttention\) cannot.*{reason}"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


def test_a_normalization_over_other_axes_is_refused():
    inputs = keras.Input((5, 6))
    model = keras.Model(inputs, layers.LayerNormalization(axis=1, name="mine")(inputs))
    words = r"'mine' \(LayerNormalization\).*axis must be the last one, received"
    with pytest.raises(ValueError, match=words):
        tfq.quantize_model(model, tfq.Recipe.lsq())


def test_a_normalization_has_eight_bits_whatever_the_recipe_says():
    inputs = keras.Input((5, 6))
    x = layers.LayerNormalization(name="norm")(layers.Dense(4, name="dense")(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(4)(x)))
    for recipe in (tfq.Recipe.lsq(2, 2), tfq.Recipe.binary(), tfq.Recipe.pact(3, 3)):
        qmodel = tfq.quantize_model(model, recipe, images(model, 16))
        names = ("dense", "norm_mean", "norm_centered", "norm_variance", "norm_normalized")
        for name in names:
            assert qmodel.get_layer(f"{name}_quantizer").quantizer.num_bits == 8
        assert qmodel.get_layer("norm").kernel_quantizer.num_bits == 8
        # A square is not negative, and the first layer is still the first.
        assert qmodel.get_layer("norm_squares_quantizer").quantizer.q_min == 0
        assert qmodel.get_layer("dense").kernel_quantizer.num_bits == 8


def test_the_right_side_of_a_product_has_its_zero_in_the_middle():
    inputs = keras.Input((5, 6))
    x = layers.Dense(4, activation="relu", name="left")(inputs)
    y = layers.Dense(4, activation="relu", name="right")(inputs)
    model = keras.Model(inputs, layers.Attention()([x, layers.Permute((1, 2))(y)]))
    recipe = tfq.Recipe.lsq(4, 4, None, activation_quantizer="lsq_plus")
    qmodel = tfq.quantize_model(model, recipe, images(model, 16))
    left, right = (qmodel.get_layer(f"{name}_quantizer").quantizer for name in ("left", "right"))
    assert right.q_min == -8 and right.q_max == 7
    assert left.q_max - left.q_min == 15 and left.q_min > -8


RECURRENT = {
    "SimpleRNN": lambda: layers.SimpleRNN(4, return_sequences=True, name="mine"),
    "SimpleRNN backwards": lambda: layers.SimpleRNN(4, go_backwards=True, name="mine"),
    "GRU": lambda: layers.GRU(4, name="mine"),
    "GRU that resets before": lambda: layers.GRU(4, reset_after=False, name="mine"),
    "GRU backwards": lambda: layers.GRU(
        4, go_backwards=True, return_sequences=True, use_bias=False, name="mine"
    ),
    "LSTM": lambda: layers.LSTM(4, return_sequences=True, name="mine"),
    "LSTM of other functions": lambda: layers.LSTM(
        4, activation="relu", recurrent_activation="hard_sigmoid", name="mine"
    ),
    "a cell": lambda: layers.RNN(layers.LSTMCell(4), return_sequences=True, name="mine"),
    "cells": lambda: layers.RNN(
        [layers.GRUCell(4, reset_after=False), layers.SimpleRNNCell(3)],
        go_backwards=True,
        return_sequences=True,
        name="mine",
    ),
    "both ways": lambda: layers.Bidirectional(layers.LSTM(4), name="mine"),
    "both ways, sequences": lambda: layers.Bidirectional(
        layers.GRU(4, return_sequences=True), merge_mode="ave", name="mine"
    ),
    "step by step": lambda: layers.TimeDistributed(layers.LayerNormalization(), name="mine"),
    "step by step, dense": lambda: layers.TimeDistributed(layers.Dense(3), name="mine"),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_the_steps_compute_what_the_recurrent_layer_does(name):
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, RECURRENT[name]()(inputs))
    for variable in model.trainable_weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    graph = read_graph(model)
    decompose_layers(graph)
    data = images(model, 4)
    found = graph.run([data], lambda node, args, kwargs: node.layer(*args, **kwargs))
    np.testing.assert_allclose(found[0], model(data), rtol=1e-4, atol=1e-4)


def test_the_steps_share_their_weights_and_the_grids_of_their_states():
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, layers.LSTM(4, return_sequences=True, name="mine")(inputs))
    recipe = tfq.Recipe.lsq(4, 4, None).override("mine", weight_bits=3)
    qmodel = tfq.quantize_model(model, recipe, images(model, 16))
    wrapped = [layer for layer in qmodel.layers if isinstance(layer, tfq.QuantizeWrapper)]
    assert [layer.name for layer in wrapped] == ["mine_input", "mine_recurrent"]
    assert {layer.kernel_quantizer.num_bits for layer in wrapped} == {3}
    assert qmodel.count_params() < 2 * model.count_params()
    names = [layer.name for layer in qmodel.layers if isinstance(layer, tfq.QuantizeActivation)]
    assert names.count("mine_hidden_quantizer") == 1
    assert len([name for name in names if name.startswith("mine_hidden")]) == 1
    assert qmodel.get_layer("mine_hidden_quantizer").quantizer.num_bits == 8


def test_a_recurrent_layer_is_trained_saved_and_loaded(tmp_path):
    inputs = keras.Input((2, 5))
    model = keras.Model(inputs, layers.SimpleRNN(4, name="mine")(inputs))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(4, 4), images(model, 16))
    data, labels = images(model, 32), np.zeros((32, 4), np.float32)
    qmodel.compile(keras.optimizers.Adam(0.01), "mse")
    losses = qmodel.fit(data, labels, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    qmodel.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(data), qmodel(data))


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda layer, x: layer(x, mask=x[:, :, 0] > 0), "takes a mask"),
        (lambda layer, x: layer(x, initial_state=np.zeros((1, 4))), "initial_state must be"),
    ],
)
def test_a_recurrent_call_that_has_no_form_is_refused(call, reason):
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, call(layers.GRU(4, name="mine"), inputs))
    with pytest.raises(ValueError, match=rf"'mine' \(GRU\) cannot be quantized.*{reason}"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda layer, x: layer(x, mask=x[:, :, 0] > 0), "takes a mask"),
        (lambda layer, x: layer(x, initial_state=x[:, 0, :4]), "initial_state must be None"),
    ],
)
def test_a_call_of_cells_that_has_no_form_is_refused(call, reason):
    inputs = keras.Input((3, 5))
    model = keras.Model(inputs, call(layers.RNN(layers.GRUCell(4), name="mine"), inputs))
    with pytest.raises(ValueError, match=rf"'mine' \(RNN\) cannot be quantized.*{reason}"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


def test_a_sequence_of_unknown_length_is_refused():
    inputs = keras.Input((None, 5))
    model = keras.Model(inputs, layers.GRU(4, name="mine")(inputs))
    with pytest.raises(ValueError, match=r"'mine' \(GRU\).*steps are written out, of a known"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


def test_a_crop_of_a_smaller_image_is_refused():
    inputs = keras.Input((5, 6, 3))
    model = keras.Model(inputs, layers.CenterCrop(7, 4, name="mine")(inputs))
    with pytest.raises(ValueError, match=r"'mine' \(CenterCrop\).*smaller than \(7, 4\)"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


@pytest.mark.parametrize(
    ("layer", "shape", "reason"),
    [
        (layers.AdaptiveMaxPooling2D(4, name="mine"), (4, 6), r"\(4, 4\) does not divide \(4, 6\)"),
        (layers.AdaptiveMaxPooling2D(2, name="mine"), (None, 6), r"does not divide \(None, 6\)"),
        (layers.MaxPooling3D(2, name="mine"), (4, None, 6), r"known sizes, received \(4, None, 6"),
        (layers.AveragePooling3D(2, name="mine"), (4, None, 6), r"known sizes, received \(4, None"),
        (layers.UpSampling3D(2, name="mine"), (4, None, 6), r"known sizes, received \(4, None, 6"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sizes_that_have_no_form_are_refused(layer, shape, reason):
    inputs = keras.Input((*shape, 3))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(ValueError, match=rf"'mine' \({type(layer).__name__}\) cannot.*{reason}"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


def test_a_frozen_layer_has_frozen_parts_and_keeps_its_regularizers():
    model = model_of("separable")
    model.get_layer("mine").trainable = False
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq())
    assert not qmodel.get_layer("mine_depthwise").trainable_variables
    inputs = keras.Input((7, 8, 3))
    layer = layers.SeparableConv2D(
        4, 3, depthwise_regularizer="l2", pointwise_constraint="non_neg", name="mine"
    )
    model = keras.Model(inputs, layer(inputs))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq())
    np.testing.assert_allclose(qmodel.losses, model.losses, rtol=1e-6)
    constraint = qmodel.get_layer("mine_pointwise").layer.kernel.constraint
    assert type(constraint) is keras.constraints.NonNeg
