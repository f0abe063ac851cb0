"""A product with a weight a channel, whoever wrote the layer, folds into the layer before it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.export import lower
from tfq_lowbit.model import read_graph
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.wrappers import ChannelScale

layers = keras.layers


def draw(count):
    return np.random.default_rng(0).normal(size=(count, 6, 6, 3)).astype(np.float32)


class OwnScale(layers.Layer):
    def __init__(self, values=(0.5, -1.5, 1e-6, 0.7), **kwargs):
        super().__init__(**kwargs)
        self.values = tuple(values)

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=input_shape[-1:], initializer="ones")
        self.gamma.assign(self.values)

    def call(self, inputs):
        return inputs * self.gamma


class Unreadable(OwnScale):
    def call(self, inputs):
        return tf.nn.relu(inputs) * tf.convert_to_tensor(self.gamma)


def network(make_scale, before="conv"):
    inputs = x = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    if before == "relu":
        x = layers.ReLU()(x)
    y = make_scale(name="scale")(x)
    x = layers.Add(name="add")([x, layers.Activation("linear")(y)])
    x = layers.Conv2D(4, 1, use_bias=False, name="last")(x)
    x = make_scale(name="again")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def parts_of(model):
    graph = read_graph(model)
    decompose_layers(graph)
    return graph.nodes


def test_it_is_read_as_a_channel_scale():
    model = network(OwnScale)
    found = [node.layer for node in parts_of(model) if node.name in ("scale", "again")]
    assert [type(layer) for layer in found] == [ChannelScale] * 2
    np.testing.assert_array_equal(found[0].gamma, model.get_layer("scale").gamma)


@pytest.mark.parametrize("before", ["conv", "relu"])
@pytest.mark.parametrize("bits", [4, 8])
def test_it_ships_what_keras_computes(before, bits):
    data = draw(16)
    model = network(OwnScale, before)
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(bits, 8), data)
    check_promise(quantized, data)
    # Behind a kernel alone it is no operator of its own.
    codes = [each.code for each in lower(quantized).operators]
    assert codes.count("DEPTHWISE_CONV_2D") == 1  # two take the first convolution
    error = np.abs(quantized.predict(data, verbose=0) - model.predict(data, verbose=0)).max()
    assert error < 0.05 * np.abs(model.predict(data, verbose=0)).max() * (16 if bits == 4 else 1)


def test_a_scale_as_small_as_a_new_one_is_added():
    data = draw(16)
    model = network(lambda **options: OwnScale([1e-6] * 4, **options))
    check_promise(tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data), data)


def test_it_trains_with_gradients_for_its_factors():
    quantized = tfq.quantize_model(network(OwnScale), tfq.Recipe.lsq(), draw(8))
    quantized.compile("sgd", "mse")
    before = np.asarray(quantized.get_layer("again").gamma)
    quantized.fit(draw(8), np.ones((8, 3), np.float32), verbose=0)
    assert np.all(np.asarray(quantized.get_layer("again").gamma) != before)


def test_a_scale_that_does_not_train_stays_so():
    model = network(OwnScale)
    model.get_layer("scale").trainable = False
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(), draw(8))
    assert not quantized.get_layer("scale").trainable_variables
    assert quantized.get_layer("again").trainable_variables


def test_weights_alone(tmp_path):
    data = draw(8)
    quantized = tfq.quantize_model(network(OwnScale), tfq.Recipe.weight_only(8))
    path = tmp_path / "model.tflite"
    tfq.export_tflite(quantized, path, activations="float", verify_data=data)
    assert tfq.verify(quantized, path, data).relative_difference < 1e-4


def test_a_layer_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="'scale'.* cannot be quantized"):
        tfq.quantize_model(network(Unreadable), tfq.Recipe.lsq(), draw(8))


def test_the_layer_of_keras_applications():
    model = keras.applications.ConvNeXtTiny(
        input_shape=(32, 32, 3), weights=None, include_top=False
    )
    scales = [n.layer for n in parts_of(model) if n.name.endswith("layer_scale")]
    assert len(scales) == 18 and all(isinstance(layer, ChannelScale) for layer in scales)
