"""Models and layers with a `call` of their own are read by tracing, or refused with the reason."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.model import read_graph

layers = keras.layers


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Block(layers.Layer):
    """A residual block as people write it."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.drop = layers.Dropout(0.2, name="drop")

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.norm.build(input_shape)
        super().build(input_shape)

    def call(self, inputs, training=None):
        x = self.norm(self.conv(inputs), training=training)
        return ops.relu(self.drop(x, training=training) + inputs)


class Net(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Conv2D(4, 3, activation="relu", name="stem")
        self.blocks = [Block(4, name="first"), Block(4, name="second")]
        self.head = layers.Dense(3, name="head")

    def call(self, inputs, training=None):
        x = self.stem(inputs)
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(ops.mean(x, axis=(1, 2)))


def called(model, *data):
    model(*data)
    return model


def names(model):
    return [node.path for node in read_graph(model).nodes]


def test_a_subclassed_model_is_read_down_to_its_layers():
    inner = ["conv", "norm", "drop", "add", "relu"]
    found = [
        path.rstrip("_0123456789") for path in names(called(Net(name="net"), draw(2, 8, 8, 3)))
    ]
    assert found == [
        "stem",
        *(f"{block}/{name}" for block in ("first", "second") for name in inner),
        "mean",
        "head",
    ]


def test_a_subclassed_model_is_quantized_trained_and_exported(tmp_path):
    data = draw(32, 8, 8, 3)
    model = called(Net(name="net"), data[:5])
    before = model.predict(data, verbose=0)
    recipe = tfq.Recipe.lsq(8, 8).override("first/conv", weight_bits=4)
    qmodel = tfq.quantize_model(model, recipe, data)
    assert qmodel.get_layer("first_conv").kernel_quantizer.num_bits == 4
    np.testing.assert_allclose(qmodel.predict(data, verbose=0), before, atol=0.15)
    qmodel.compile("sgd", "mse")
    qmodel.fit(data, draw(32, 3), verbose=0)
    check_promise(qmodel, data)
    report = tfq.export_tflite(qmodel, tmp_path / "m.tflite", verify_data=data)
    assert report.fidelity.is_exact
    np.testing.assert_array_equal(model.predict(data, verbose=0), before)


def test_training_stays_training_in_the_layers_that_were_traced():
    data = draw(32, 8, 8, 3)
    qmodel = tfq.quantize_model(called(Net(), data[:2]), tfq.Recipe.lsq(), data)
    before = np.array(qmodel.get_layer("first_norm").moving_mean)
    qmodel(data, training=True)
    assert np.any(before != np.array(qmodel.get_layer("first_norm").moving_mean))
    np.testing.assert_array_equal(qmodel(data), qmodel(data))


def test_a_custom_block_in_a_functional_model_is_read():
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, Block(4, name="block")(Block(4, name="other")(inputs)))
    assert names(model)[0] == "other/conv" and len(names(model)) == 10


def test_a_subclassed_model_inside_a_functional_one_is_read():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, Net(name="net")(inputs))
    assert "net/first/conv" in names(model)


class TwoInputs(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, name="dense")

    def call(self, inputs):
        x, y = (inputs["x"], inputs["y"]) if isinstance(inputs, dict) else inputs
        return {"sum": self.dense(x) + y, "other": self.dense(x)}


@pytest.mark.parametrize(
    "data",
    [{"x": draw(2, 5), "y": draw(2, 3)}, [draw(2, 5), draw(2, 3)]],
    ids=["dict", "list"],
)
def test_several_inputs_and_outputs_keep_their_structure(data):
    graph = read_graph(called(TwoInputs(), data))
    assert set(graph.outputs) == {"sum", "other"}
    shapes = [edge.shape for edge in graph.input_edges]
    assert shapes == [(None, 5), (None, 3)]
    if isinstance(data, dict):
        assert [edge.name for edge in graph.input_edges] == ["x", "y"]


class GraphWithOwnCall(keras.Model):
    def call(self, inputs, training=None):
        return 2.0 * super().call(inputs, training=training)


class SequentialWithOwnCall(keras.Sequential):
    def call(self, inputs, training=None):
        return 2.0 * super().call(inputs, training=training)


@pytest.mark.parametrize(
    "model",
    [
        lambda: with_graph(GraphWithOwnCall),
        lambda: called(
            SequentialWithOwnCall([keras.Input((3,)), layers.Dense(2, name="dense")]), draw(1, 3)
        ),
    ],
)
def test_what_a_call_adds_to_a_graph_is_read(model):
    kinds = [type(node.layer).__name__ for node in read_graph(model()).nodes]
    assert kinds == ["Activation", "Dense", "Rescaling"]  # Keras converts its input, to the same


def with_graph(model_class):
    inputs = keras.Input((3,))
    return model_class(inputs, layers.Dense(2, name="dense")(inputs), name="mine")


class UsesValues(keras.Model):
    def call(self, inputs):
        return inputs if float(ops.sum(inputs)) > 0 else -inputs


class UsesTensorFlow(keras.Model):
    def call(self, inputs):
        return tf.nn.relu(inputs)


class NoisyInTraining(keras.Model):
    def call(self, inputs, training=None):
        return inputs + 1.0 if training else inputs


class ReturnsNothing(keras.Model):
    def call(self, inputs):
        return None


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (UsesValues, "its `call` fails with symbolic tensors.*keras.ops alone"),
        (UsesTensorFlow, "its `call` fails with symbolic tensors.*keras.ops alone"),
        (NoisyInTraining, "does other things in training.*layer of its own"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_the_reason(model, words):
    model = model(name="mine")
    model(draw(2, 3))
    with pytest.raises(ValueError, match=f"subclassed model 'mine' .*{words}"):
        read_graph(model)


def test_a_model_that_was_never_built_is_refused():
    with pytest.raises(ValueError, match="'net' .* is not built.*Call it on data once"):
        read_graph(Net(name="net"))
