import keras
import numpy as np
import pytest

from tfq_lowbit.model import read_graph

layers = keras.layers


def shared():
    """Returns a model whose convolution and ReLU are called twice."""
    inputs = keras.Input((6, 6, 2), name="image")
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    relu = layers.ReLU(name="relu")
    return keras.Model(inputs, relu(conv(relu(conv(inputs)))))


def small():
    inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Flatten(name="flatten")(layers.ReLU(name="relu")(x))
    return keras.Model(inputs, layers.Dense(2, name="dense")(x), name="small")


def run(graph, *inputs):
    return graph.run(list(inputs), lambda node, args, kwargs: node.layer(*args, **kwargs))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_nodes_stand_in_an_order_that_can_run_and_hold_the_layers_themselves():
    model = small()
    graph = read_graph(model)
    assert [node.name for node in graph.nodes] == ["conv", "norm", "relu", "flatten", "dense"]
    assert all(node.layer is model.get_layer(node.name) for node in graph.nodes)
    assert graph.name == "small"
    assert [edge.name for edge in graph.input_edges] == ["image"]
    assert graph.outputs is graph.nodes[-1].output
    assert graph.nodes[0].output.shape == (None, 4, 4, 3)
    assert graph.nodes[0].output.dtype == "float32"


def test_producers_and_consumers_are_each_others_inverse():
    graph = read_graph(small())
    for node in graph.nodes:
        assert graph.producer(node.output) is node
        for edge in node.inputs:
            assert node in graph.consumers(edge)
    assert graph.producer(graph.inputs) is None
    assert graph.consumers(graph.outputs) == []


def test_a_tensor_taken_twice_counts_twice():
    inputs = keras.Input((3,))
    graph = read_graph(keras.Model(inputs, layers.Add()([inputs, inputs])))
    assert len(graph.consumers(graph.inputs)) == 2
    assert graph.nodes[0].inputs == [graph.inputs, graph.inputs]


def test_calls_of_a_shared_layer_are_nodes_of_their_own():
    graph = read_graph(shared())
    assert [node.name for node in graph.nodes] == ["conv", "relu", "conv_1", "relu_1"]
    assert graph.nodes[0].layer is graph.nodes[2].layer


def test_the_name_of_a_further_call_is_never_another_layers_name():
    inputs = keras.Input((3,))
    relu, other = layers.ReLU(name="relu"), layers.ReLU(name="relu_1")
    graph = read_graph(keras.Model(inputs, other(relu(relu(inputs)))))
    assert [node.name for node in graph.nodes] == ["relu", "relu_2", "relu_1"]


def test_inputs_and_outputs_keep_the_models_structure():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    total = layers.Add(name="add")([left, right])
    outputs = {"sum": total, "both": layers.Concatenate(name="join")([left, total])}
    graph = read_graph(keras.Model({"left": left, "right": right}, outputs))
    assert {name: edge.name for name, edge in graph.inputs.items()} == {
        "left": "left",
        "right": "right",
    }
    assert {name: edge.name for name, edge in graph.outputs.items()} == {
        "sum": "add",
        "both": "join",
    }
    graph = read_graph(keras.Model([left, right], [total, left]))
    assert [edge.name for edge in graph.inputs] == ["left", "right"]
    assert graph.outputs[1] is graph.inputs[0]


@pytest.mark.parametrize("build", [small, shared])
def test_running_the_graph_computes_what_the_model_computes(build):
    model, values = build(), draw(2, 6, 6, 2)
    np.testing.assert_array_equal(run(read_graph(model), values)[0], model(values))


def test_running_a_graph_with_several_inputs_and_outputs():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    total = layers.Add()([left, right])
    model = keras.Model([left, right], [layers.ReLU()(total), total, left])
    one, other = draw(2, 3), draw(2, 3) + 1
    for found, expected in zip(
        run(read_graph(model), one, other), model([one, other]), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_sequential_model_is_read_without_its_input_layer():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a"), layers.ReLU(name="b")])
    assert [node.name for node in read_graph(model).nodes] == ["a", "b"]
    model = keras.Sequential([layers.Dense(2, name="a")])
    model.build((None, 3))
    assert [node.name for node in read_graph(model).nodes] == ["a"]


def test_operations_without_a_layer_are_nodes_too():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.ops.relu(2.0 * inputs + 1.0))
    values = draw(2, 3)
    np.testing.assert_array_equal(run(read_graph(model), values)[0], model(values))


@pytest.mark.parametrize("build", [small, shared])
def test_the_model_stays_as_it_is(build):
    model, values = build(), draw(4, 6, 6, 2)
    model.compile("sgd", "mse")
    model.fit(values, np.zeros_like(model(values)), verbose=0)

    def state():
        # The tensors themselves: a second call of a layer would make `.output` ambiguous.
        tensors = [id(model.get_layer(name).output) for name in once]
        optimizer = model.optimizer
        compiled = (model.compiled, id(optimizer), int(optimizer.iterations.numpy()))
        return model.get_config(), tensors, compiled

    calls = [node.layer.name for node in read_graph(model).nodes]
    once = [name for name in calls if calls.count(name) == 1]
    before, weights = state(), model.get_weights()
    read_graph(model)
    assert state() == before
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(values, np.zeros_like(model(values)), verbose=0)


def test_a_layers_output_can_still_be_taken_for_another_model():
    model = small()
    output = model.get_layer("relu").output
    read_graph(model)
    assert model.get_layer("relu").output is output
    features = keras.Model(model.input, model.get_layer("relu").output)
    assert features(draw(1, 6, 6, 2)).shape == (1, 4, 4, 3)


class GraphWithOwnTrainStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def with_graph(model_class):
    inputs = keras.Input((3,))
    return model_class(inputs, layers.Dense(2, name="dense")(inputs), name="mine")


def test_a_model_that_only_trains_in_its_own_way_is_read():
    assert [node.name for node in read_graph(with_graph(GraphWithOwnTrainStep)).nodes] == ["dense"]


def test_an_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="not built.*keras.Input.*build"):
        read_graph(keras.Sequential([layers.Dense(2)]))


@pytest.mark.parametrize("value", [None, 3, layers.Dense(2)])
def test_what_is_no_model_is_refused(value):
    with pytest.raises(TypeError, match="`model` must be .* Received: "):
        read_graph(value)
