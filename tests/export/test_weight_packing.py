"""Blocks of weights and tables of embeddings in files: what LiteRT computes, against NumPy."""

import json

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tfq_lowbit as tfq
from tfq_lowbit.export.weight_only import write_weight_only

layers = keras.layers

XNNPACK, BUILTIN = "AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
# Sums in float32 in another order.
MAX_RELATIVE = 1e-6
TYPES = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(content, values, resolver=XNNPACK):
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType[resolver]
    )
    (taken,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(taken["index"], values.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(made["index"])


def operators_of(content):
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    codes = [OPERATORS[each.builtinCode] for each in model.operatorCodes]
    return [codes[each.opcodeIndex] for each in model.subgraphs[0].operators]


def runtime_of(content):
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (found,) = (each for each in model.metadata if each.name == b"min_runtime_version")
    return bytes(model.buffers[found.buffer].data).rstrip(b"\0").decode()


def quantize_rows(inputs):
    """Returns codes, zero points and scales of inputs as LiteRT quantizes them in each call."""
    low = np.minimum(inputs.min(axis=1, keepdims=True), np.float32(0))
    high = np.maximum(inputs.max(axis=1, keepdims=True), np.float32(0))
    inverse = np.float32(255) / (high - low)
    zero_points = np.where(
        (np.float32(-128) + low * inverse) + (np.float32(127) + high * inverse) > 0,
        np.float32(-128) - low * inverse,
        np.float32(127) - high * inverse,
    )
    zero_points = np.rint(np.clip(zero_points, -128, 127))
    codes = np.clip(np.rint(inputs * inverse) + zero_points, -128, 127)
    return codes, zero_points, np.float32(1) / inverse


def dense_in_blocks(inputs, encoded, block_size, bias):
    """Returns what a dense layer with blocks computes: integer sums, scaled block by block."""
    codes, zero_points, scales = quantize_rows(inputs)
    weights, steps = np.array(encoded.codes), np.array(encoded.step_size)[::block_size]
    products = (codes - zero_points)[:, :, None] * weights
    sums = products.reshape(len(inputs), -1, block_size, weights.shape[1]).sum(axis=2)
    return (sums * steps.astype(np.float64)).sum(axis=1) * scales + bias


def dense(inputs, channels, with_norm=False):
    source = keras.Input((inputs,))
    x = layers.Dense(channels, bias_initializer="random_normal", name="dense")(source)
    if with_norm:
        norm = layers.BatchNormalization(name="norm")
        x = norm(x)
        gamma = np.linspace(-2, 3, channels)
        moments = [draw(channels, seed=1), draw(channels, seed=2), np.linspace(0.5, 2, channels)]
        norm.set_weights([gamma, *moments])
    return keras.Model(source, x)


# Inputs, block size, bits.
DENSE = [(64, 32, 4), (96, 32, 3), (256, 64, 2), (256, 128, 4)]


@pytest.mark.parametrize(("inputs", "block_size", "bits"), DENSE)
def test_a_dynamic_dense_layer_with_blocks_computes_the_formula(inputs, block_size, bits):
    model = dense(inputs, 7)
    qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(bits, block_size=block_size))
    content, (packed,), _ = write_weight_only(qmodel, "dynamic")
    assert (packed.stored_as, packed.block_size, packed.is_dynamic) == ("INT4", block_size, True)
    layer = qmodel.get_layer("dense")
    encoded = layer.kernel_quantizer.encode(layer.layer.kernel)
    for count in (1, 3, 20):
        x = draw(count, inputs, seed=count)
        expected = dense_in_blocks(x, encoded, block_size, np.array(layer.layer.bias))
        for resolver in (XNNPACK, BUILTIN):
            made = run(content, x, resolver)
            assert np.abs(made - expected).max() <= MAX_RELATIVE * np.abs(expected).max()
        reals = qmodel.predict(x, verbose=0)
        assert np.abs(made - reals).max() <= 0.05 * np.abs(reals).max()


@pytest.mark.parametrize("channels", [1, 3, 4, 5])
def test_few_channels_are_computed_by_every_kernel(channels):
    qmodel = tfq.quantize_model(dense(64, channels), tfq.Recipe.weight_only(4, block_size=32))
    content, (packed,), _ = write_weight_only(qmodel, "dynamic")
    assert packed.is_dynamic == (channels >= 4)
    x = draw(9, 64)
    expected = qmodel.predict(x, verbose=0)
    for resolver in (XNNPACK, BUILTIN):
        assert np.abs(run(content, x, resolver) - expected).max() <= 0.05 * np.abs(expected).max()


# Activation: the operator behind the dense layer, "" where none is.
FUSED = {"relu": "RELU", "relu6": "RELU6", "linear": "", "tanh": "TANH", "sigmoid": "LOGISTIC"}


@pytest.mark.parametrize("activation", FUSED)
def test_an_activation_behind_blocks_is_an_operator_of_its_own(activation):
    source = keras.Input((64,))
    x = layers.Dense(32, activation, name="first")(source)
    model = keras.Model(source, layers.Dense(4, activation, name="second")(x))
    qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(4, block_size=32))
    content, packed, _ = write_weight_only(qmodel, "dynamic")
    assert [each.block_size for each in packed] == [32, None]
    assert operators_of(content)[:2] == ["FULLY_CONNECTED", FUSED[activation] or "FULLY_CONNECTED"]
    x = draw(3, 64)
    expected = qmodel.predict(x, verbose=0)
    for resolver in (XNNPACK, BUILTIN):
        made = run(content, x, resolver)
        assert np.abs(made - expected).max() <= 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("bits", [4, 2])
def test_blocks_are_unpacked_once_for_float_activations(bits):
    qmodel = tfq.quantize_model(dense(128, 8), tfq.Recipe.weight_only(bits, block_size=32))
    content, (packed,), _ = write_weight_only(qmodel, "float")
    assert packed.stored_as == ("INT4" if bits == 4 else "INT2") and packed.block_size == 32
    kinds = ["DEQUANTIZE", "DEQUANTIZE", "MUL", "RESHAPE", "FULLY_CONNECTED"]
    assert operators_of(content) == kinds
    x = draw(9, 128)
    expected = qmodel.predict(x, verbose=0)
    for resolver in (XNNPACK, BUILTIN):
        made = run(content, x, resolver)
        assert np.abs(made - expected).max() <= MAX_RELATIVE * np.abs(expected).max()


@pytest.mark.parametrize("activations", ["float", "dynamic"])
def test_a_batch_normalization_goes_into_the_scales_of_blocks(activations, tmp_path):
    qmodel = tfq.quantize_model(dense(64, 8, with_norm=True), tfq.Recipe.weight_only(4, None, 32))
    report = tfq.export_tflite(
        qmodel, tmp_path / "m.tflite", activations=activations, verify_data=draw(20, 64)
    )
    limit = MAX_RELATIVE if activations == "float" else 0.02
    assert report.fidelity.relative_difference <= limit, str(report)
    assert "blocks of 32" in report.layers[0].note


def test_blocks_err_less_than_channels_where_weights_have_outliers(tmp_path):
    model = dense(256, 16)
    kernel = draw(256, 16) * 0.05
    kernel[7::64] *= 40
    model.get_layer("dense").kernel.assign(kernel)
    x = draw(50, 256)
    expected, errors = model.predict(x, verbose=0), {}
    for block_size in (None, 32):
        qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(4, block_size=block_size))
        for activations in ("float", "dynamic"):
            content, _, _ = write_weight_only(qmodel, activations)
            difference = run(content, x) - expected
            errors[block_size, activations] = np.sqrt(np.mean(difference**2))
    for activations in ("float", "dynamic"):
        assert errors[32, activations] < 0.75 * errors[None, activations], errors


def mixed():
    rows = keras.Input((6,), dtype="int32")
    x = layers.Embedding(20, 64, name="table")(rows)
    x = layers.Conv1D(48, 3, name="conv")(x)
    x = layers.Dense(32, name="odd")(layers.GlobalMaxPooling1D()(x))
    return keras.Model(rows, layers.Dense(4, name="last")(x))


def test_layers_that_cannot_have_blocks_keep_a_scale_a_channel():
    recipe = tfq.Recipe.weight_only(4, block_size=32).override("table", weight_bits=8)
    qmodel = tfq.quantize_model(mixed(), recipe)
    for activations in ("float", "dynamic"):
        _, packed, _ = write_weight_only(qmodel, activations)
        assert {each.name: (each.block_size, each.stored_as) for each in packed} == {
            "table": (None, "INT8"),
            "conv": (None, "INT4"),
            "odd": (None, "INT4"),
            "last": (None, "INT4"),
        }
    rows = {row.name: row.block_size for row in tfq.summary(qmodel).layers}
    assert rows == dict.fromkeys(("table", "conv", "odd", "last"))


# What an override asks for by name, and cannot have.
REFUSED = {
    "conv": "dense layers and embeddings alone",
    "odd": "its 48 inputs are no whole blocks",
    "table": "blocks have at most 4 bits, this layer 8",
}


@pytest.mark.parametrize("name", REFUSED)
def test_blocks_that_an_override_cannot_give_are_refused(name):
    recipe = tfq.Recipe.weight_only(4).override("table", weight_bits=8)
    with pytest.raises(ValueError, match=f"Layer '{name}'.*block_size=32: .*{REFUSED[name]}"):
        tfq.quantize_model(mixed(), recipe.override(name, block_size=32))


def with_table(channels, shape=(6,), rows=20):
    source = keras.Input(shape, dtype="int32")
    return keras.Model(source, layers.Embedding(rows, channels, name="table")(source))


# Channels, bits, block size: stored type, first runtime.
TABLES = {
    (64, 8, None): "INT8",
    (64, 4, None): "INT4",
    (64, 3, None): "INT4",
    (64, 2, None): "INT2",
    (64, 4, 32): "INT4",
    (64, 2, 32): "INT2",
    (128, 4, 64): "INT4",
    # A row that is a block takes two bytes for its scale, else twelve.
    (64, 4, 64): "INT4",
    # Rows that are no whole bytes.
    (6, 2, None): "INT4",
    (7, 4, None): "INT8",
}


@pytest.mark.parametrize(("channels", "bits", "block_size"), TABLES)
def test_rows_of_a_packed_table_are_codes_times_scales(channels, bits, block_size):
    model = with_table(channels)
    qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(bits, block_size=block_size))
    content, (packed,), _ = write_weight_only(qmodel, "dynamic")
    stored = TABLES[channels, bits, block_size]
    assert (packed.operator, packed.stored_as) == ("EMBEDDING_LOOKUP", stored)
    size = {"INT8": 8, "INT4": 4, "INT2": 2}[stored]
    assert packed.num_bytes == 20 * channels * size // 8 and packed.block_size == block_size
    layer = qmodel.get_layer("table")
    encoded = layer.kernel_quantizer.encode(layer.latent_weights)
    table = np.array(encoded.codes).astype(np.float32) * np.array(encoded.step_size)
    rows = np.random.default_rng(0).integers(0, 20, (5, 6)).astype(np.int32)
    for resolver in (XNNPACK, BUILTIN, "BUILTIN_REF"):
        np.testing.assert_array_equal(run(content, rows, resolver), table[rows])
    np.testing.assert_array_equal(qmodel.predict(rows, verbose=0), table[rows])


# Shape of the rows, of which a vector is what EMBEDDING_LOOKUP takes.
SHAPES = {(): [], (3,): ["RESHAPE"], (2, 3): ["RESHAPE"]}


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_any_shape_are_looked_up(shape):
    qmodel = tfq.quantize_model(with_table(8, shape), tfq.Recipe.weight_only(4))
    content, _, _ = write_weight_only(qmodel, "float")
    assert [each for each in operators_of(content) if each == "RESHAPE"] == SHAPES[shape] * 2
    rows = np.random.default_rng(0).integers(0, 20, (5, *shape)).astype(np.int32)
    made = run(content, rows)
    np.testing.assert_array_equal(made, qmodel.predict(rows, verbose=0))
    assert made.shape == (5, *shape, 8)


def test_a_table_is_unpacked_once_where_a_length_is_left_open():
    qmodel = tfq.quantize_model(with_table(8, (None,)), tfq.Recipe.weight_only(4))
    content, (packed,), _ = write_weight_only(qmodel, "float")
    assert (packed.operator, packed.stored_as) == ("GATHER", "INT4")
    rows = np.random.default_rng(0).integers(0, 20, (5, 9)).astype(np.int32)
    np.testing.assert_array_equal(run(content, rows), qmodel.predict(rows, verbose=0))


def test_a_table_with_blocks_is_unpacked_once_where_a_length_is_left_open():
    recipe = tfq.Recipe.weight_only(4, block_size=32)
    qmodel = tfq.quantize_model(with_table(64, (None,)), recipe)
    content, (packed,), _ = write_weight_only(qmodel, "float")
    assert (packed.operator, packed.block_size) == ("GATHER", 32)
    rows = np.random.default_rng(0).integers(0, 20, (5, 9)).astype(np.int32)
    np.testing.assert_array_equal(run(content, rows), qmodel.predict(rows, verbose=0))


def test_a_language_model_ships_as_trained(tmp_path):
    rows = keras.Input((8,), dtype="int32")
    x = layers.Embedding(30, 64, name="table")(rows)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 32, name="mha")(x, x))
    x = layers.Dense(30, name="head")(layers.Dense(64, "gelu", name="up")(x))
    recipe = tfq.Recipe.weight_only(4, block_size=32).override("head", weight_bits=8)
    qmodel = tfq.quantize_model(keras.Model(rows, x), recipe)
    data = np.random.default_rng(0).integers(0, 30, (32, 8))
    qmodel.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(True))
    losses = qmodel.fit(data, (data + 1) % 30, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    qmodel.save(tmp_path / "m.keras")
    restored = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        restored.predict(data, verbose=0), qmodel.predict(data, verbose=0)
    )
    rows = {row.name: (row.weight_bits, row.block_size) for row in tfq.summary(restored).layers}
    assert rows["table"] == (4, 32) and rows["mha_query"] == (4, 32) and rows["head"] == (8, None)
    report = tfq.export_tflite(
        restored, tmp_path / "m.tflite", activations="float", verify_data=data
    )
    assert report.fidelity.relative_difference < 2e-5, str(report)
    report = tfq.export_tflite(
        restored, tmp_path / "m.tflite", activations="dynamic", verify_data=data
    )
    assert report.fidelity.relative_difference < 0.1, str(report)
    assert report.min_runtime_version == runtime_of((tmp_path / "m.tflite").read_bytes())
    written = json.loads(recipe.to_json())
    assert written["block_size"] == 32 and tfq.Recipe.from_dict(written) == recipe


MISTAKES = {
    "beside activations": (
        lambda: tfq.Recipe.lsq(block_size=32),
        "`block_size` must be None beside quantized activations",
    ),
    "another scheme": (
        lambda: tfq.Recipe.weight_only(4, block_size=32, weight_quantizer="dorefa"),
        "None for other weight quantizers than lsq",
    ),
    "one scale": (
        lambda: tfq.Recipe.weight_only(4, block_size=32, per_channel=False),
        "None without step sizes by channel",
    ),
    "a bad size": (lambda: tfq.Recipe.weight_only(4, block_size=20), "block_size=20"),
    "a bad size in an override": (
        lambda: tfq.Recipe.weight_only(4).override("a", block_size=-32),
        "block_size=-32",
    ),
    "an override beside activations": (
        lambda: tfq.Recipe.lsq().override("a", block_size=32),
        "beside quantized activations",
    ),
    "a wrapper with a quantized input": (
        lambda: tfq.QuantizeWrapper(
            layers.Dense(4),
            kernel_quantizer=tfq.quantizers.BlockwiseLSQ(4),
            input_quantizer=tfq.quantizers.LSQ(8),
        ),
        "blocks beside quantized activations",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake):
    call, words = MISTAKES[mistake]
    with pytest.raises(ValueError, match=words):
        call()
