"""Operations of functional models become layers, or are refused."""

import keras
import numpy as np
import pytest
from keras import ops

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.model.decomposition import decompose_layers
from tfq_lowbit.model.graph import read_graph

layers = keras.layers


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def as_volume(x):
    return ops.reshape(x, (-1, 2, 2, 6, 8))


# What is called with tensors of shape (None, 4, 6, 8), and the layer that it becomes.
BECOMES = {
    "x + y": (lambda x, y: x + y, "Add"),
    "x - y": (lambda x, y: x - y, "Subtract"),
    "x * y": (lambda x, y: x * y, "Multiply"),
    "x * x": (lambda x, y: x * x, "Multiply"),
    "add": (lambda x, y: ops.add(x, y), "Add"),
    "maximum": (lambda x, y: ops.maximum(x, y), "Maximum"),
    "minimum": (lambda x, y: ops.minimum(x, y), "Minimum"),
    "matmul": (lambda x, y: ops.matmul(x, ops.transpose(y, (0, 1, 3, 2))), "MatMul"),
    "x @ y": (lambda x, y: x @ ops.transpose(y, (0, 1, 3, 2)), "MatMul"),
    "x * 2": (lambda x, y: x * 2.0, "Rescaling"),
    "2 * x": (lambda x, y: 2.0 * x, "Rescaling"),
    "1 - x": (lambda x, y: 1.0 - x, "Rescaling"),
    "-x": (lambda x, y: -x, "Rescaling"),
    "x + 1": (lambda x, y: x + 1.0, "Rescaling"),
    "x / 256": (lambda x, y: x / 256, "Rescaling"),
    "x / np.float32": (lambda x, y: x / np.float32(4), "Rescaling"),
    "concatenate": (lambda x, y: ops.concatenate([x, y], axis=-1), "Concatenate"),
    "reshape": (lambda x, y: ops.reshape(x, (-1, 24, 8)), "Reshape"),
    "expand_dims": (lambda x, y: ops.expand_dims(x, 1), "Reshape"),
    "squeeze": (lambda x, y: ops.squeeze(ops.expand_dims(x, 1), 1), "Reshape"),
    "transpose": (lambda x, y: ops.transpose(x, (0, 2, 1, 3)), "Permute"),
    "transpose all": (lambda x, y: ops.transpose(x, (0, 3, 1, 2)), "Permute"),
    "mean": (lambda x, y: ops.mean(x, axis=(1, 2)), "GlobalAveragePooling2D"),
    "mean of rows": (lambda x, y: ops.mean(x, axis=1), "AxisMean"),
    "mean of channels": (lambda x, y: ops.mean(x, axis=-1, keepdims=True), "AxisMean"),
    "mean, kept": (lambda x, y: ops.mean(x, (-2, 1), True), "GlobalAveragePooling2D"),
    "max": (lambda x, y: ops.max(x, axis=[1, 2]), "GlobalMaxPooling2D"),
    "average_pool": (lambda x, y: ops.average_pool(x, 2), "AveragePooling2D"),
    "max_pool": (lambda x, y: ops.max_pool(x, 2, 1, "same"), "MaxPooling2D"),
    "pad": (lambda x, y: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))), "ZeroPadding2D"),
    "mean of volumes": (lambda x, y: ops.mean(as_volume(x), (1, 2, 3)), "GlobalAveragePooling3D"),
    "max of volumes": (lambda x, y: ops.max(as_volume(x), (1, 2, 3)), "GlobalMaxPooling3D"),
    "average_pool of volumes": (
        lambda x, y: ops.average_pool(as_volume(x), 2),
        "AveragePooling3D",
    ),
    "max_pool of volumes": (lambda x, y: ops.max_pool(as_volume(x), 2), "MaxPooling3D"),
    "pad of volumes": (
        lambda x, y: ops.pad(as_volume(x), ((0, 0), (1, 0), (1, 2), (0, 1), (0, 0))),
        "ZeroPadding3D",
    ),
    "relu": (lambda x, y: ops.relu(x), "Activation"),
    "cast to the same": (lambda x, y: ops.cast(x, "float32"), "Activation"),
    "convert_to_tensor": (lambda x, y: ops.convert_to_tensor(x), "Activation"),
    "relu6": (lambda x, y: ops.relu6(x), "Activation"),
    "sigmoid": (lambda x, y: ops.sigmoid(x), "Activation"),
    "tanh": (lambda x, y: ops.tanh(x), "Activation"),
    "silu": (lambda x, y: ops.silu(x), "Activation"),
    "hard_silu": (lambda x, y: ops.hard_silu(x), "Activation"),
    "hard_sigmoid": (lambda x, y: ops.hard_sigmoid(x), "Activation"),
    "gelu": (lambda x, y: ops.gelu(x, approximate=False), "Activation"),
    "gelu by tanh": (lambda x, y: ops.gelu(x), "Activation"),
    "elu of 2": (lambda x, y: ops.elu(x, 2.0), "ELU"),
    "clip": (lambda x, y: ops.clip(x, -0.5, 1.0), "RegisteredFunction"),
    "clip from 0": (lambda x, y: ops.clip(x, 0, 4), "ReLU"),
    "abs": (lambda x, y: ops.abs(x), "RegisteredFunction"),
    "square": (lambda x, y: ops.square(x), "RegisteredFunction"),
    "celu of 2": (lambda x, y: ops.celu(x, 2.0), "RegisteredFunction"),
    "hard_tanh": (lambda x, y: ops.hard_tanh(x), "Activation"),
    "erf": (lambda x, y: ops.erf(x), "RegisteredFunction"),
    "softplus": (lambda x, y: ops.softplus(x), "Activation"),
    "selu": (lambda x, y: ops.selu(x), "Activation"),
    "softsign": (lambda x, y: ops.softsign(x), "Activation"),
    "exp": (lambda x, y: ops.exp(x), "Activation"),
    "elu": (lambda x, y: ops.elu(x), "ELU"),
    "softmax": (lambda x, y: ops.softmax(x), "Activation"),
    "leaky_relu": (lambda x, y: ops.leaky_relu(x, 0.25), "LeakyReLU"),
}

MATRIX = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
# Operations that are taken apart: the layers that they become.
APART = {
    "split": (lambda x, y: ops.split(x, 2, axis=-1)[1], ["StaticSlice", "StaticSlice"]),
    "split at": (lambda x, y: ops.split(x, [1, 4], axis=2)[1], ["StaticSlice"] * 3),
    "x[:, 1:3]": (lambda x, y: x[:, 1:3], ["StaticSlice"]),
    "x[:, ::2, -1]": (lambda x, y: x[:, ::2, -1], ["StaticSlice", "Reshape"]),
    "x[..., 2:]": (lambda x, y: x[..., 2:], ["StaticSlice"]),
    "x[:, None, 0]": (lambda x, y: x[:, None, 0], ["StaticSlice"]),
    "x[:, :]": (lambda x, y: x[:, :], ["Identity"]),
    "stack": (lambda x, y: ops.stack([x, y], axis=-1), ["Reshape", "Reshape", "Concatenate"]),
    "patches": (
        lambda x, y: ops.image.extract_patches(x, (2, 3)),
        ["Reshape", "Permute", "Reshape"],
    ),
    "x + channels": (lambda x, y: x + MATRIX[:, 0], ["WeightTensor", "Add"]),
    "x + positions": (lambda x, y: x + MATRIX[None, :4, :, None], ["WeightTensor", "Add"]),
    "array - x": (lambda x, y: ops.subtract(MATRIX[:, 0], x), ["WeightTensor", "Subtract"]),
    "x * channels": (lambda x, y: x * MATRIX[:, 0], ["ChannelScale"]),
    "x * positions": (lambda x, y: x * MATRIX[:4, :, None], ["WeightTensor", "Multiply"]),
    "x * one number": (lambda x, y: x * MATRIX[0, :1], ["WeightTensor", "Multiply"]),
    "two quotients": (
        lambda x, y: x / MATRIX[:, 0] + y / MATRIX[:, 1],
        ["ChannelScale", "ChannelScale", "Add"],
    ),
    "x / channels": (lambda x, y: x / MATRIX[:, 0], ["ChannelScale"]),
    "matmul with an array": (lambda x, y: ops.matmul(x, MATRIX), ["Dense"]),
    "a dense layer": (lambda x, y: ops.matmul(x, MATRIX) + MATRIX[0], ["Dense"]),
    "dot": (lambda x, y: ops.dot(x, MATRIX), ["Dense"]),
    "tensordot": (lambda x, y: ops.tensordot(x, MATRIX, 1), ["Dense"]),
    "an equation with an array": (
        lambda x, y: ops.einsum("bijk,kn->bijn", x, MATRIX) + MATRIX[0],
        ["EinsumDense"],
    ),
    "an array in an equation": (
        lambda x, y: (
            ops.einsum("knm,bijk->bijnm", MATRIX.reshape(8, 2, 3), x) + MATRIX[0].reshape(2, 3)
        ),
        ["EinsumDense"],
    ),
    "conv": (
        lambda x, y: ops.conv(x, MATRIX.reshape(1, 1, 8, 6), 2, "same") + MATRIX[0],
        ["Conv2D"],
    ),
    "conv of sequences": (
        lambda x, y: ops.conv(x[:, 0], MATRIX[None], dilation_rate=2),
        ["StaticSlice", "Reshape", "Conv1D"],
    ),
    "conv of volumes": (
        lambda x, y: ops.conv(as_volume(x), MATRIX.reshape(1, 1, 1, 8, 6), 1, "same") + MATRIX[0],
        ["Reshape", "Conv3D"],
    ),
    "depthwise_conv": (
        lambda x, y: ops.depthwise_conv(x, MATRIX.reshape(1, 3, 8, 2), padding="same"),
        ["DepthwiseConv2D"],
    ),
    "attention": (
        lambda x, y: ops.einsum(
            "bhqk,bkhd->bqhd", ops.softmax(ops.einsum("bqhd,bkhd->bhqk", x, y)), y
        ),
        ["Permute", "Permute", "MatMul", "Activation", "Permute", "MatMul", "Permute"],
    ),
    "an equation over several axes": (
        lambda x, y: ops.einsum("bijk,bnjk->bin", x, y),
        ["Reshape", "Reshape", "MatMul"],
    ),
    "an equation of vectors": (
        lambda x, y: ops.einsum("bk,bk->b", x[:, 0, 0], y[:, 0, 0]),
        [*["StaticSlice", "Reshape"] * 2, "Reshape", "Reshape", "MatMul", "Reshape"],
    ),
}

STAY = {
    "x / y": lambda x, y: x / y,
    "2 / x": lambda x, y: 2.0 / x,
    "array / x": lambda x, y: ops.divide(np.ones(8, np.float32), x),
    "larger than an array": lambda x, y: ops.maximum(x, np.ones(8, np.float32)),
    "a vector of an array": lambda x, y: ops.matmul(x, np.ones(8, np.float32)),
    "tensordot over two axes": lambda x, y: ops.tensordot(x, np.ones((6, 8, 2), np.float32), 2),
    "reshape over images": lambda x, y: ops.reshape(x, (-1, 8)),
    "transpose of images": lambda x, y: ops.transpose(x, (1, 0, 2, 3)),
    "mean of images": lambda x, y: ops.mean(x, axis=0),
    "mean of all": lambda x, y: ops.mean(x),
    "pad of channels": lambda x, y: ops.pad(x, ((0, 0), (1, 2), (0, 1), (1, 0))),
    "pad with 1": lambda x, y: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=1.0),
    "pad by reflection": lambda x, y: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), "reflect"),
    "softmax over rows": lambda x, y: ops.softmax(x, axis=1),
    "matmul of fewer axes": lambda x, y: ops.matmul(x, ops.transpose(y[:, 0], (0, 2, 1))[:, None]),
    "sin": lambda x, y: ops.sin(x),
}


def patched(x, *arguments, **options):
    return ops.image.extract_patches(ops.reshape(x, (-1, 2, 3, 1)), *arguments, **options)


def with_operation(function):
    x, y = keras.Input((4, 6, 8)), keras.Input((4, 6, 8))
    return keras.Model([x, y], function(x, y))


@pytest.mark.parametrize("name", BECOMES)
def test_an_operation_becomes_the_layer_that_computes_the_same(name):
    function, layer = BECOMES[name]
    model, values = with_operation(function), [draw(2, 4, 6, 8), draw(2, 4, 6, 8)[::-1] + 0.5]
    graph = read_graph(model)
    assert type(graph.nodes[-1].layer).__name__ == layer
    found = graph.run(values, lambda node, args, kwargs: node.layer(*args, **kwargs))
    np.testing.assert_array_equal(found[0], model(values))


@pytest.mark.parametrize("name", APART)
def test_an_operation_is_taken_apart_into_layers(name):
    function, expected = APART[name]
    model, values = with_operation(function), [draw(2, 4, 6, 8), draw(2, 4, 6, 8)[::-1] + 0.5]
    graph = read_graph(model)
    decompose_layers(graph)
    assert [type(node.layer).__name__ for node in graph.nodes] == expected
    found = graph.run(values, lambda node, args, kwargs: node.layer(*args, **kwargs))
    np.testing.assert_allclose(found[0], model(values), rtol=1e-5, atol=1e-5)
    assert graph.output_edges[0].shape == (None, *found[0].shape[1:])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: ops.einsum("...j,...j->...", x, x), "name every axis"),
        (lambda x: ops.einsum("bi,ci->bc", x, x), "batch must be the first axis"),
        (lambda x: ops.einsum("bi,bj->bi", x, x), "over an axis of one tensor alone"),
        (lambda x: ops.einsum("bi,bj->bij", x, x), "it sums over no axis"),
        (lambda x: ops.einsum("bi->b", x), "two operands, received 1"),
        (lambda x: x + np.ones((4, 6), np.float32), "must not span the batch"),
        (lambda x: ops.stack([x, x]), "axis 0 is the batch"),
        (lambda x: ops.stack([x, np.ones((4, 6), np.float32)], 1), "without arrays"),
        (lambda x: patched(x, 2, 1), "its strides must be 2, received 1"),
        (lambda x: patched(x, 1, dilation_rate=2), "its dilation_rate must be 1, received 2"),
        (lambda x: patched(x, (1, 2)), "patches of .* must fill"),
        (lambda x: x[:2, :], "leave the batch whole"),
        (lambda x: x[:, ::-1], "steps must be positive, received -1"),
        (lambda x: ops.split(x, 2, axis=0)[0], "axis 0 is the batch"),
    ],
)
def test_an_operation_that_has_no_form_is_refused(function, reason):
    inputs = keras.Input(batch_shape=(4, 6))
    with pytest.raises(ValueError, match=f"cannot be quantized: .*{reason}"):
        tfq.quantize_model(keras.Model(inputs, function(inputs)), tfq.Recipe.lsq())


@pytest.mark.parametrize("name", STAY)
def test_what_no_layer_does_stays_and_is_refused_by_name(name):
    model = with_operation(STAY[name])
    operation = read_graph(model).nodes[-1].layer
    assert not isinstance(operation, keras.layers.Layer)
    with pytest.raises(ValueError, match=f"{operation.name!r}.*an operation.*and no layer"):
        tfq.quantize_model(model, tfq.Recipe.lsq())


def test_numbers_behind_an_input_are_one_rescaling():
    inputs = keras.Input((4, 4, 3))
    x = (2.0 * inputs) / 256.0 - 1.0
    model = keras.Model(inputs, x)
    (node,) = read_graph(model).nodes
    assert (node.layer.scale, node.layer.offset) == (2.0 / 256.0, -1.0)
    assert node.name == node.layer.name


def test_a_number_between_that_is_taken_elsewhere_stays():
    inputs = keras.Input((4,))
    half = inputs * 0.5
    model = keras.Model(inputs, [half, half + 1.0])
    assert [node.layer.offset for node in read_graph(model).nodes] == [0.0, 1.0]


def test_a_model_of_operations_ships_what_was_trained():
    inputs = keras.Input((8, 8, 3))
    x = inputs / 127.5 - 1.0
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 3, padding="same")(x)
    x = ops.relu(x + y)
    x = ops.concatenate([ops.max_pool(x, 2), ops.average_pool(x, 2)], axis=-1)
    x = ops.mean(layers.Conv2D(8, 1)(x), axis=(1, 2))
    model = keras.Model(inputs, layers.Dense(4)(x))
    data = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3)).astype(np.float32)
    check_promise(tfq.quantize_model(model, tfq.Recipe.lsq(4, 4), data), data)
