"""Calls that become several: the graph computes what it did, under the names that it had."""

import keras
import numpy as np
import pytest

from tests.networks import images, randomize
from tfq_lowbit.model import read_graph
from tfq_lowbit.model.splitting import split_calls

layers = keras.layers


def image():
    return keras.Input((4, 5, 3), name="image")


def of_one(layer):
    inputs = image()
    return keras.Model(inputs, layer(inputs))


def of_three(layer):
    inputs = image()
    return keras.Model(inputs, layer([inputs, layers.ReLU(name="b")(inputs), inputs]))


def hard_sigmoid(x):
    return layers.ReLU(6, name="relu")(x + 3.0) * (1.0 / 6.0)


def shared():
    inputs = image()
    layer = layers.Dense(3, activation="tanh", name="dense")
    return keras.Model(inputs, layer(layer(inputs)))


def another_use():
    inputs = image()
    shifted = inputs + 3.0
    y = layers.ReLU(6, name="relu")(shifted) * (1.0 / 6.0)
    return keras.Model(inputs, [shifted, y])


# Model: its calls afterwards.
TABLE = {
    "kernel with softmax": (
        lambda: of_one(layers.Dense(4, activation="softmax", name="dense")),
        ["dense", "dense_softmax"],
    ),
    "kernel with relu": (
        lambda: of_one(layers.Dense(4, activation="relu", name="dense")),
        ["dense"],
    ),
    "kernel with tanh": (
        lambda: of_one(layers.Conv2D(4, 3, activation="tanh", name="conv")),
        ["conv", "conv_tanh"],
    ),
    "kernel with silu": (
        lambda: of_one(layers.Conv2D(4, 3, activation="silu", name="conv")),
        ["conv", "conv_silu_sigmoid", "conv_silu"],
    ),
    "shared kernel": (shared, ["dense", "dense_tanh", "dense_1", "dense_1_tanh"]),
    "silu": (
        lambda: of_one(layers.Activation("silu", name="act")),
        ["act_sigmoid", "act"],
    ),
    "hard silu": (
        lambda: of_one(layers.Activation("hard_silu", name="act")),
        ["act_hard_sigmoid", "act"],
    ),
    "sigmoid": (lambda: of_one(layers.Activation("sigmoid", name="act")), ["act"]),
    "three summands": (lambda: of_three(layers.Add(name="add")), ["b", "add_part_1", "add"]),
    "three factors": (
        lambda: of_three(layers.Multiply(name="times")),
        ["b", "times_part_1", "times"],
    ),
    "mean of three": (
        lambda: of_three(layers.Average(name="mean")),
        ["b", "mean_part_1", "mean_part_2", "mean"],
    ),
    "largest of three": (lambda: of_three(layers.Maximum(name="max")), ["b", "max"]),
}


def run(graph, values):
    """Runs a graph whose kernels have lost their activation to a call of its own."""

    def call(node, args, kwargs):
        layer = node.layer
        if f"{node.name}_" in "".join(f"{each.name} " for each in graph.nodes):
            if hasattr(layer, "kernel"):
                outputs = keras.ops.convert_to_tensor(args[0])
                linear = type(layer).from_config({**layer.get_config(), "activation": "linear"})
                linear.build(outputs.shape)
                linear.set_weights(layer.get_weights())
                return linear(outputs)
        return layer(*args, **kwargs)

    return graph.run([values], call)


@pytest.mark.parametrize("name", TABLE)
def test_a_call_becomes_those_that_an_integer_runtime_has(name):
    build, names = TABLE[name]
    model = randomize(build())
    graph = read_graph(model)
    split_calls(graph)
    assert [node.name for node in graph.nodes] == names
    data = images(model, 3)
    np.testing.assert_allclose(run(graph, data)[0], model(data), rtol=1e-5, atol=1e-6)


def test_operations_of_a_hard_sigmoid_become_one_call():
    model = of_one(hard_sigmoid)
    graph = read_graph(model)
    split_calls(graph)
    (node,) = graph.nodes
    assert node.layer.activation is keras.activations.hard_sigmoid
    data = 6 * images(model, 3)
    np.testing.assert_allclose(run(graph, data)[0], model(data), rtol=1e-5, atol=1e-6)


def test_operations_whose_values_are_taken_elsewhere_stay():
    graph = read_graph(another_use())
    split_calls(graph)
    assert len(graph.nodes) == 3


def test_a_part_has_the_path_of_its_layer_in_a_nested_model():
    inputs = keras.Input((4,))
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="silu", name="dense")], name="body"
    )
    graph = read_graph(keras.Model(inputs, inner(inputs)))
    split_calls(graph)
    assert [node.path for node in graph.nodes] == [
        "body/dense",
        "body/dense_silu_sigmoid",
        "body/dense_silu",
    ]
