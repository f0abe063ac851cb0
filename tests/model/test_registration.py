"""Layers of one's own: what is told of them is what is quantized, or refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tests.networks import images
from tests.promise import check_promise
from tfq_lowbit.model.registration import find_registration
from tfq_lowbit.wrappers import RegisteredFunction, RegisteredIdentity

layers = keras.layers
RECIPE = tfq.Recipe.lsq(4, 8)


class Snake(layers.Layer):
    """Is not traced: it is written in TensorFlow, with a weight of its own."""

    def build(self, input_shape):
        self.speed = self.add_weight(shape=(), initializer=keras.initializers.Constant(1.5))

    def call(self, inputs):
        return inputs + tf.sin(self.speed * inputs) ** 2


class ByPlace(layers.Layer):
    def call(self, inputs):
        return inputs - tf.reduce_mean(inputs, 0, keepdims=True) * tf.ones_like(inputs)


class FirstOnly(layers.Layer):
    def call(self, inputs):
        places = tf.cast(tf.range(tf.shape(inputs)[0]), inputs.dtype)
        return inputs + tf.reshape(places, (-1, 1, 1, 1))


class Noise(layers.Layer):
    def call(self, inputs, training=None):
        return inputs + 1000 * tf.random.normal(tf.shape(inputs)) if training else inputs


class OwnDense(layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 5), initializer="glorot_normal")

    def call(self, inputs):
        return tf.nn.relu(inputs @ self.w)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 5)


def as_dense(layer):
    dense = layers.Dense(5, use_bias=False, activation="relu", name="inner")
    dense.build((None, layer.w.shape[0]))
    dense.set_weights(layer.get_weights())
    return dense


def as_model(layer):
    inputs = keras.Input((6, 5, layer.w.shape[0]))
    dense = layers.Dense(5, use_bias=False, name="inner")
    outputs = layers.ReLU()(dense(inputs))
    dense.set_weights(layer.get_weights())
    return keras.Model(inputs, outputs)


def net(layer):
    inputs = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    x = layers.Conv2D(4, 3, padding="same")(layer(x))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def quantize(layer, kind, **options):
    keras.utils.set_random_seed(0)
    model = net(layer)
    data = images(model, 32)
    with tfq.register_layer(type(layer), kind, **options):
        return model, tfq.quantize_model(model, RECIPE, data), data


REGISTERED = {
    "function": (Snake, dict(kind="function")),
    "skewed function": (Snake, dict(kind="function", sign="skewed")),
    "identity": (Noise, dict(kind="identity")),
    "a layer": (OwnDense, dict(kind="layers", becomes=as_dense)),
    "a model": (OwnDense, dict(kind="layers", becomes=as_model)),
}


@pytest.mark.parametrize("name", REGISTERED)
def test_a_registered_layer_ships_what_was_trained(name):
    layer_class, options = REGISTERED[name]
    model, qmodel, data = quantize(layer_class(name="own"), **options)
    # What was told is in the model: the registration is gone.
    assert find_registration(layer_class()) is None
    check_promise(qmodel, data)
    difference = np.abs(qmodel.predict(data, verbose=0) - model.predict(data, verbose=0))
    assert difference.max() < 0.2 * np.abs(model.predict(data, verbose=0)).max()


def test_a_registered_kernel_is_quantized():
    _, qmodel, _ = quantize(OwnDense(name="own"), "layers", becomes=as_dense)
    rows = {row.name: row.weight_bits for row in tfq.summary(qmodel).layers}
    assert rows["own"] == 4 and len(rows) == 4


def test_an_identity_acts_in_training_alone():
    _, qmodel, data = quantize(Noise(name="own"), "identity")
    layer = qmodel.get_layer("own")
    assert isinstance(layer, RegisteredIdentity)
    np.testing.assert_array_equal(layer(data), data)
    assert np.abs(layer(data, training=True) - data).max() > 100


def test_what_is_registered_as_float_is_an_island():
    _, qmodel, _ = quantize(Snake(name="own"), "float")
    assert tfq.summary(qmodel).islands == (("own", "it is registered as such"),)


def test_a_layer_that_is_called_twice_stays_shared():
    keras.utils.set_random_seed(0)
    inputs, own = keras.Input((5,)), OwnDense(name="own")
    model = keras.Model(inputs, own(own(inputs)))
    data = images(model, 32)
    with tfq.register_layer(OwnDense, "layers", becomes=as_dense):
        qmodel = tfq.quantize_model(model, RECIPE, data)
    kernels = [layer for layer in qmodel.layers if isinstance(layer, tfq.QuantizeWrapper)]
    assert len(kernels) == 1
    check_promise(qmodel, data)


def test_a_quantized_model_saves_with_its_own_layers(tmp_path):
    _, qmodel, data = quantize(Snake(name="own"), "function")
    qmodel.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras", custom_objects={"Snake": Snake})
    assert isinstance(loaded.get_layer("own"), RegisteredFunction)
    np.testing.assert_array_equal(loaded(data), qmodel(data))


def test_nothing_is_registered_after_a_block_that_fails():
    with pytest.raises(RuntimeError), tfq.register_layer(Snake, "float"):
        raise RuntimeError
    assert find_registration(Snake()) is None


def test_a_second_registration_is_refused_and_removing_it_makes_room():
    registration = tfq.register_layer(Snake, "float")
    try:
        with pytest.raises(ValueError, match="Snake is registered already, as 'float'.*remove"):
            tfq.register_layer(Snake, "function")
    finally:
        registration.remove()
    with tfq.register_layer(Snake, "function") as second:
        registration.remove()  # not its own any more
        assert find_registration(Snake()) is second


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((Snake(), "function"), {}, TypeError, "`layer_class` must be a subclass.*itself.*Snake"),
        ((dict, "function"), {}, TypeError, "`layer_class` must be a subclass.*dict"),
        ((Snake, "kernel"), {}, ValueError, "`kind` must be one of.*'layers'.*'kernel'"),
        ((Snake, "function"), {"sign": "odd"}, ValueError, "`sign` must be one of.*'odd'"),
        ((Snake, "float"), {"sign": "skewed"}, ValueError, "`sign` belongs to kind='function'"),
        ((Snake, "layers"), {}, ValueError, "`becomes` belongs to kind='layers', which needs it"),
        ((Snake, "float"), {"becomes": as_dense}, ValueError, "`becomes` belongs to"),
        ((Snake, "layers"), {"becomes": 3}, TypeError, "`becomes` must be a function.*3"),
        ((layers.Dense, "float"), {}, ValueError, "Dense has an integer form already.*subclass"),
    ],
)
def test_a_wrong_registration_is_refused(arguments, options, error, words):
    with pytest.raises(error, match=words):
        tfq.register_layer(*arguments, **options)
    assert find_registration(Snake()) is None


@pytest.mark.parametrize(
    ("becomes", "words"),
    [
        (lambda layer: "dense", "'own' .OwnDense. is registered to become.*must return.*'dense'"),
        (lambda layer: OwnDense(), "must return a Keras layer or model of a class that is not"),
        (lambda layer: layers.Dense(3), "'own' .OwnDense. has outputs .*5.*3.*computes the same"),
    ],
)
def test_what_becomes_of_a_layer_is_checked(becomes, words):
    with pytest.raises(ValueError, match=words):
        quantize(OwnDense(name="own"), "layers", becomes=becomes)


@pytest.mark.parametrize("layer_class", [ByPlace, FirstOnly])
def test_a_function_that_is_none_is_refused_at_export(layer_class, tmp_path):
    _, qmodel, _ = quantize(layer_class(name="own"), "function")
    with pytest.raises(ValueError, match="'own' .*registered as a function.*where the value"):
        tfq.export_tflite(qmodel, tmp_path / "m.tflite")
