"""Float islands: what has no integer form stays in float between DEQUANTIZE and QUANTIZE."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import tfq_lowbit as tfq
from tests.networks import images, randomize
from tests.promise import check_close
from tfq_lowbit.export import LOWERED_LITERT

layers = keras.layers


def conv(filters=5, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


def in_a_chain(*stages, shape=(6, 5, 3)):
    inputs = keras.Input(shape)
    x = conv(activation="relu")(inputs)
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(conv()(x))))


def of_a_sequence(*stages):
    inputs = keras.Input((6, 5))
    x = layers.Dense(8, activation="relu")(inputs)
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def with_a_float_mask():
    """Returns a net whose attention is refused where it is taken apart."""
    inputs = keras.Input((6, 5))
    x = layers.Dense(4, activation="relu")(inputs)
    y = layers.MultiHeadAttention(2, 2)(x, x, attention_mask=keras.ops.ones((6, 6), "bool"))
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(layers.Add()([x, y]))))


def with_slices():
    inputs = keras.Input((6, 4))
    x = layers.Dense(4)(inputs)
    a, b = keras.ops.split(x, 2, axis=1)
    x = layers.Add()([a[:, 1:], keras.ops.sin(b)[:, :-1]])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def of_two_inputs():
    inputs = keras.Input((6, 5))
    x, y = layers.Dense(4)(inputs), layers.Dense(4, activation="relu")(inputs)
    x = layers.Dot(axes=2, normalize=True)([x, y])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def shared():
    inputs = keras.Input((6, 5, 3))
    norm = layers.GroupNormalization(1)
    x = norm(conv(4, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(conv()(norm(conv(4)(x))))))


def as_output():
    inputs = keras.Input((6, 5))
    x = layers.Dense(8, activation="relu")(inputs)
    return keras.Model(inputs, layers.GroupNormalization(2)(x))


# Model: names of classes in float.
NETS = {
    "normalization": (lambda: in_a_chain(layers.GroupNormalization(5)), {"GroupNormalization"}),
    "operation": (lambda: in_a_chain(keras.ops.sin), {"Sin"}),
    "two in a row": (
        lambda: in_a_chain(keras.ops.sin, layers.GroupNormalization(1)),
        {"Sin", "GroupNormalization"},
    ),
    "before relu": (lambda: in_a_chain(keras.ops.sin, layers.ReLU()), {"Sin"}),
    "kernel with an activation": (
        lambda: in_a_chain(layers.Conv2D(6, 1, activation="sparsemax")),
        {"Conv2D"},
    ),
    "recurrent": (
        lambda: of_a_sequence(
            layers.Bidirectional(layers.GRU(4, unroll=True, recurrent_dropout=0.1))
        ),
        {"Bidirectional"},
    ),
    "two inputs": (of_two_inputs, {"Dot"}),
    "attention with a mask": (with_a_float_mask, {"MultiHeadAttention"}),
    "slices beside it": (with_slices, {"Sin"}),
    "shared": (shared, {"GroupNormalization"}),
    "output": (as_output, {"GroupNormalization"}),
}


def quantized(name):
    keras.utils.set_random_seed(0)
    model = randomize(NETS[name][0]())
    recipe = tfq.Recipe.lsq(4, 8)
    qmodel = tfq.quantize_model(model, recipe, images(model, 32), on_unsupported="float")
    return qmodel, images(model, 16, seed=1)


def islands_of(qmodel):
    return [layer for layer in qmodel.layers if isinstance(layer, tfq.FloatIsland)]


FAST = ["normalization", "two inputs", "attention with a mask", "slices beside it"]
CASES = [pytest.param(each, marks=[] if each in FAST else pytest.mark.slow) for each in NETS]


@pytest.mark.parametrize("name", CASES)
def test_an_island_ships_within_a_step_and_the_rest_exactly(name, tmp_path):
    qmodel, data = quantized(name)
    islands = islands_of(qmodel)
    assert {type(island.operation).__name__ for island in islands} == NETS[name][1]
    path = tmp_path / "m.tflite"
    report = tfq.export_tflite(qmodel, path, verify_data=data)
    assert {label for label, _ in report.islands} >= {island.name for island in islands}
    assert "in float" in str(report) and "WARNING" not in str(report)
    fidelity = tfq.verify(qmodel, path, data, per_layer=True)
    assert set(fidelity.islands) == {label for label, _ in report.islands}
    assert "not bit for bit" in str(fidelity)
    # Every integer operator, fed what the runtime fed it.
    exact = [pairs[LOWERED_LITERT] for pairs in fidelity.layers.values() if LOWERED_LITERT in pairs]
    assert exact and all(agreement.is_exact for agreement in exact)
    check_close(fidelity)


def test_the_file_dequantizes_before_an_island_and_quantizes_behind_it(tmp_path):
    qmodel, data = quantized("operation")
    tfq.export_tflite(qmodel, tmp_path / "m.tflite", verify_data=data)
    written = schema.ModelT.InitFromPackedBuf((tmp_path / "m.tflite").read_bytes(), 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    operators = written.subgraphs[0].operators
    codes = [names[written.operatorCodes[each.opcodeIndex].builtinCode] for each in operators]
    where = codes.index("SIN")
    assert codes[where - 1 : where + 2] == ["DEQUANTIZE", "SIN", "QUANTIZE"]


def test_a_model_with_islands_saves_trains_and_sums_up(tmp_path):
    qmodel, data = quantized("normalization")
    qmodel.save(tmp_path / "q.keras")
    loaded = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(loaded(data), qmodel(data))
    ((name, reason),) = tfq.summary(loaded).islands
    assert f"in float: {name}: {reason}" in str(tfq.summary(loaded))
    assert reason == "its class has no integer form here"
    loaded.compile("sgd", "mse")
    (island,) = islands_of(loaded)
    before = [np.array(weight) for weight in island.trainable_weights]
    loaded.fit(data, np.zeros((len(data), 4)), epochs=1, verbose=0)
    assert any(
        np.any(np.array(w) != b) for w, b in zip(island.trainable_weights, before, strict=True)
    )


def test_the_float_model_stays_as_it_is():
    model = in_a_chain(layers.GroupNormalization(5, name="norm"))
    data = images(model, 8)
    before = np.asarray(model(data))
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data, on_unsupported="float")
    qmodel.get_layer("norm").operation.gamma.assign(np.zeros(5))
    np.testing.assert_array_equal(model(data), before)


def integers():
    inputs = keras.Input((4,))
    x = layers.Discretization([0.0, 1.0], name="bins")(layers.Dense(2)(inputs))
    return keras.Model(inputs, keras.ops.cast(x, "float32"))


def two_outputs():
    inputs = keras.Input((6, 5))
    x, state = layers.SimpleRNN(4, return_state=True, activation="sparsemax", name="rnn")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([x, state])))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (integers, "'bins'.*cannot be a float island either: .*types float32, int"),
        (two_outputs, "'rnn'.*cannot be a float island either: it has 2 outputs"),
    ],
)
def test_what_can_be_no_island_is_refused_with_both_reasons(build, words):
    with pytest.raises(ValueError, match=words):
        tfq.quantize_model(build(), tfq.Recipe.lsq(), on_unsupported="float")


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="`on_unsupported` must be 'error' or 'float'.*'skip'"):
        tfq.quantize_model(as_output(), tfq.Recipe.lsq(), on_unsupported="skip")


def test_an_island_is_made_of_a_layer():
    with pytest.raises(TypeError, match="`operation` must be a keras.layers.Layer.*function"):
        tfq.FloatIsland(lambda x: x)


def test_what_the_converter_does_not_take_is_refused_by_name():
    class Weird(layers.Layer):
        def call(self, inputs):
            import tensorflow as tf

            return tf.numpy_function(lambda x: x, [inputs], tf.float32)

        def compute_output_shape(self, input_shape):
            return input_shape

    model = in_a_chain(Weird(name="weird"))
    data = images(model, 8)
    qmodel = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data, on_unsupported="float")
    with pytest.raises(ValueError, match=r"'weird' \(Weird\) cannot be exported as a float island"):
        tfq.export_tflite(qmodel, "never.tflite")
