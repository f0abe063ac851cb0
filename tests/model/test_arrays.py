"""Weights that belong to no layer: kernels and positions in a `call` of somebody's own."""

import keras
import numpy as np
import pytest
from keras import ops

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.model.arrays import WITH_ARRAYS
from tfq_lowbit.model.decompositions.table import _OPERATIONS

layers = keras.layers


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Linear(layers.Layer):
    """The first layer that one learns to write."""

    def __init__(self, units, bias_trains=True, **kwargs):
        super().__init__(**kwargs)
        self.units, self.bias_trains = units, bias_trains

    def build(self, input_shape):
        shape = (input_shape[-1], self.units)
        self.w = self.add_weight(shape=shape, initializer="glorot_uniform", name="w")
        self.b = self.add_weight(shape=(self.units,), initializer="random_normal", name="b")

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b


class TokenAndPosition(layers.Layer):
    """The first layer of the usual transformer: two tables, one looked up at its own numbers."""

    def __init__(self, steps, words, width, **kwargs):
        super().__init__(**kwargs)
        self.words = layers.Embedding(words, width, name="words")
        self.positions = layers.Embedding(steps, width, name="positions")

    def build(self, input_shape):
        self.words.build(input_shape)
        self.positions.build(input_shape)

    def call(self, inputs):
        positions = ops.arange(0, inputs.shape[-1], 1)
        return self.words(inputs) + self.positions(positions)


class Waves(layers.Layer):
    """Positions that are computed from no weight, beside a factor that is one."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
        self.shape = input_shape[1:]

    def call(self, inputs):
        waves = ops.sin(ops.reshape(ops.arange(0.0, float(np.prod(self.shape))), self.shape))
        return inputs * self.factor + waves


class Lookup(layers.Layer):
    """A table of one's own."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(20, 6), initializer="random_normal", name="table")

    def call(self, inputs):
        return ops.take(self.table, inputs, axis=0)


class Strange(layers.Layer):
    """A weight in an operation that has no form."""

    def build(self, input_shape):
        self.bound = self.add_weight(shape=(input_shape[-1],), name="bound")

    def call(self, inputs):
        return ops.maximum(inputs, self.bound)


def words(count, steps=5):
    return np.random.default_rng(0).integers(0, 20, (count, steps)).astype(np.int32)


def text_model():
    inputs = keras.Input((5,), dtype="int32")
    x = TokenAndPosition(5, 20, 6, name="text")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(inputs, Linear(3, name="head")(ops.mean(x, axis=1)))


def vector_model(*made):
    inputs = x = keras.Input((4, 6))
    for layer in made:
        x = layer(x)
    return keras.Model(inputs, x)


# Name: (model, data, the layers with weights in the quantized model and their trainable weights).
MODELS = {
    "a kernel and a bias": (
        lambda: vector_model(Linear(5, name="mine")),
        draw(64, 4, 6),
        {"mine_matmul": ["kernel", "bias"]},
    ),
    "a table of positions": (
        text_model,
        words(64),
        {
            "text_words": ["embeddings"],
            "text_add_weight": ["weight"],
            "head_matmul": ["kernel", "bias"],
        },
    ),
    "positions without weights": (
        lambda: vector_model(Waves(name="mine")),
        draw(64, 4, 6),
        {"mine_multiply": ["gamma"], "mine_add_weight": []},
    ),
    "a table of one's own": (
        lambda: keras.Model(inputs := keras.Input((5,), dtype="int32"), Lookup()(inputs)),
        words(64),
        {"lookup": ["embeddings"]},
    ),
}
each = pytest.mark.parametrize("name", MODELS)


def find(model, name):
    (found,) = (layer for layer in model.layers if is_named(layer.name, name))
    return found


def is_named(found, name):
    parts = [part for part in found.split("_") if not part.isdigit()]
    return "_".join(parts) == name


@each
def test_weights_that_belong_to_no_layer_are_quantized_and_train(name):
    make, data, expected = MODELS[name]
    model = make()
    values = model.predict(data, verbose=0)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    scale = np.abs(values).max()
    np.testing.assert_allclose(qmodel.predict(data, verbose=0), values, atol=0.05 * scale)
    for layer_name, weights in expected.items():
        layer = find(qmodel, layer_name)
        assert isinstance(layer, layers.Layer)
        layer = getattr(layer, "layer", layer)
        assert [variable.name for variable in layer.trainable_variables] == weights
    qmodel.compile(keras.optimizers.SGD(1e-3), "mse")
    before = [np.array(weight) for weight in qmodel.trainable_weights]
    qmodel.fit(data, values + 1.0, verbose=0)
    moved = [np.any(one != other) for one, other in zip(before, qmodel.trainable_weights)]
    assert np.mean(moved) > 0.5
    np.testing.assert_array_equal(model.predict(data, verbose=0), values)
    check_promise(qmodel, data)


@each
def test_the_quantized_model_is_saved_and_loaded(name, tmp_path):
    make, data, _ = MODELS[name]
    qmodel = tfq.quantize_model(make(), tfq.Recipe.lsq(4, 4), data)
    qmodel.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(data[:8]), qmodel(data[:8]))


@each
def test_weights_alone_are_quantized_too(name, tmp_path):
    make, data, _ = MODELS[name]
    model = make()
    if name == "positions without weights":
        with pytest.raises(ValueError, match="no layer with a kernel"):
            tfq.quantize_model(model, tfq.Recipe.weight_only(8))
        return
    qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(8))
    own = {id(variable) for variable in model.variables}
    assert not own & {id(variable) for variable in qmodel.variables}
    assert len(qmodel.variables) >= len(model.variables)
    report = tfq.export_tflite(
        qmodel, tmp_path / "m.tflite", activations="float", verify_data=data[:8]
    )
    assert report.fidelity.relative_difference < 1e-5


def test_a_layer_that_is_called_twice_stays_shared():
    mine = Linear(6, name="mine")
    model = vector_model(mine, layers.ReLU(), mine)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(4, 4), draw(32, 4, 6))
    (wrapper,) = (each for each in qmodel.layers if isinstance(each, tfq.QuantizeWrapper))
    kernel, bias = wrapper.layer.get_weights()
    np.testing.assert_array_equal(kernel, mine.w)
    np.testing.assert_array_equal(bias, mine.b)
    check_promise(qmodel, draw(64, 4, 6))


def test_a_divisor_that_is_taken_twice_stays_shared():
    class Divided(layers.Layer):
        def build(self, input_shape):
            self.size = self.add_weight(shape=input_shape[-1:], initializer="ones")

        def call(self, inputs):
            return inputs / self.size

    mine = Divided(name="mine")
    model = vector_model(mine, layers.ReLU(), mine)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), draw(32, 4, 6))
    assert len(qmodel.trainable_weights) - count_steps(qmodel) == 1


def count_steps(model):
    return sum(weight.ndim == 0 for weight in model.trainable_weights)


def test_a_kernel_keeps_its_regularizer_and_an_override_names_its_layer():
    class Regularized(Linear):
        def build(self, input_shape):
            super().build(input_shape)
            self.w.regularizer = keras.regularizers.L2(0.1)
            self.b.constraint = keras.constraints.NonNeg()

    model = vector_model(layers.Dense(6), Regularized(6, name="mine"), layers.Dense(3))
    recipe = tfq.Recipe.lsq(4, 4).override("mine", weight_bits=3)
    qmodel = tfq.quantize_model(model, recipe, draw(32, 4, 6))
    wrapper = find(qmodel, "mine_matmul")
    assert wrapper.kernel_quantizer.num_bits == 3
    assert wrapper.layer.kernel_regularizer.l2 == np.float32(0.1)
    assert isinstance(wrapper.layer.bias_constraint, keras.constraints.NonNeg)


def test_a_sum_that_is_used_elsewhere_is_no_bias():
    inputs = keras.Input((6,))
    x = ops.matmul(inputs, draw(6, 4))
    qmodel = tfq.quantize_model(
        keras.Model(inputs, [x, x + draw(4)]), tfq.Recipe.lsq(), draw(32, 6)
    )
    assert not find(qmodel, "matmul").layer.use_bias
    assert find(qmodel, "add_weight").get_weights()[0].shape == (4,)
    check_promise(qmodel, draw(64, 6))


def test_weights_that_are_zeros_yet_are_added():
    inputs = keras.Input((4, 6))
    x = layers.Dense(6)(inputs)
    model = keras.Model(inputs, x * x + np.zeros((4, 6), np.float32))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(4, 4), draw(32, 4, 6))
    check_promise(qmodel, draw(32, 4, 6))


def test_a_weight_without_a_form_leaves_the_layer_whole():
    model = vector_model(Strange(name="mine"), layers.Dense(3))
    with pytest.raises(ValueError, match="'mine' \\(Strange\\) cannot be quantized"):
        tfq.quantize_model(model, tfq.Recipe.lsq())
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), draw(16, 4, 6), on_unsupported="float")
    (island,) = (each for each in qmodel.layers if isinstance(each, tfq.FloatIsland))
    assert island.operation.name == "mine" and len(island.trainable_variables) == 1


def test_an_operation_with_an_array_can_be_an_island(tmp_path):
    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, ops.maximum(layers.Dense(6)(inputs), draw(6)))
    data = draw(32, 4, 6)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(), data, on_unsupported="float")
    report = tfq.export_tflite(qmodel, tmp_path / "m.tflite", verify_data=data)
    assert report.fidelity.max_step_difference <= 1
    qmodel.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(data), qmodel(data))


def test_each_operation_with_arrays_is_taken_apart():
    assert set(_OPERATIONS) >= WITH_ARRAYS
