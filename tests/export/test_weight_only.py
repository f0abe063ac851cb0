"""Files of quantized weights and float activations hold the trained codes and compute as Keras."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tfq_lowbit as tfq
from tfq_lowbit.export.weight_only import verify_weight_only, write_weight_only
from tfq_lowbit.packing import unpack_codes

layers = keras.layers

# Float kernels sum in another order; dynamic ones quantize their input to eight bits.
MAX_RELATIVE = {"float": 2e-5, "dynamic": 5e-2}
BITS = {"INT8": 8, "INT4": 4, "INT2": 2}
TYPES = {value: name for name, value in vars(schema.TensorType).items() if name in BITS}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def with_norm():
    """Convolutions before batch normalization with gammas of both signs, and a dead channel."""
    inputs = keras.Input((9, 9, 3))
    norm = layers.BatchNormalization(name="norm")
    x = layers.Conv2D(8, 3, use_bias=False, name="conv")(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(layers.ReLU()(norm(x)))
    x = layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(5, name="dense")(x), name="net")
    gamma = np.array([1, -1, 0.5, -0.5, 0, 2, -2, 1], np.float32)
    norm.set_weights([gamma, draw(8, seed=1), draw(8, seed=2), np.abs(draw(8, seed=3)) + 0.5])
    return model


def of_sequences():
    inputs = keras.Input((8, 4))
    x = layers.Conv1D(8, 3, padding="causal", activation="silu", name="conv")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.EinsumDense("abc,cde->abde", (8, 2, 4), bias_axes="de", name="heads")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(layers.Reshape((8, 8))(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="dense")(x))


def with_shared():
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    shared = layers.Dense(6, activation="relu", name="shared")
    x, y = shared(left), shared(shared(right))
    other = layers.Dense(3, name="other")(keras.ops.sin(x))
    return keras.Model(
        {"left": left, "right": right}, {"sum": layers.Add()([x, y]), "other": other}
    )


def of_images():
    inputs = keras.Input((6, 6, 4))
    x = layers.SeparableConv2D(6, 3, activation="gelu", name="separable")(inputs)
    x = layers.Conv2DTranspose(4, 2, 2, name="up")(x)
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def of_volumes():
    inputs = keras.Input((4, 6, 5, 3))
    x = layers.Conv3D(8, (3, 2, 2), padding="same", use_bias=False, name="conv")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv3D(6, 2, strides=(2, 1, 1), name="strided")(x)
    x = layers.Conv3DTranspose(4, 2, strides=2, name="in_float")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling3D()(x))


MODELS = {
    "with_norm": (with_norm, ["conv", "depthwise", "dense"]),
    "of_sequences": (of_sequences, ["conv", "heads", "dense"]),
    "with_shared": (with_shared, ["shared", "other"]),
    "of_images": (
        of_images,
        ["separable_depthwise", "separable_pointwise", "up", "grouped"],
    ),
    "of_volumes": (of_volumes, ["conv", "strided"]),
}


def data_of(model, count=6):
    made = [draw(count, *tensor.shape[1:], seed=seed) for seed, tensor in enumerate(model.inputs)]
    return dict(zip(model.input, made, strict=True)) if len(made) > 1 else made[0]


def constants_of(content):
    """Returns the packed constants of a file: type, codes, scales."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    found = []
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        name = TYPES.get(tensor.type)
        if name and data is not None:
            codes = np.array(data).view(np.int8)
            if name != "INT8":
                codes = unpack_codes(np.array(data), BITS[name], int(np.prod(tensor.shape)))
            found.append((name, codes.reshape(tensor.shape), tensor.quantization.scale))
    return found


def matrix():
    """Yields every model at every width; 4 bits, and one model at all, are fast enough."""
    for name in MODELS:
        for bits in (8, 5, 4, 3, 2):
            is_fast = bits == 4 or (name == "with_norm" and bits != 5)
            marks = [] if is_fast else [pytest.mark.slow]
            yield pytest.param(name, bits, marks=marks, id=f"{name}, {bits} bits")


@pytest.mark.parametrize("activations", MAX_RELATIVE)
@pytest.mark.parametrize(("name", "bits"), list(matrix()))
def test_a_file_computes_what_the_model_computes(name, bits, activations, tmp_path):
    build, packed = MODELS[name]
    model = build()
    data = data_of(model)
    qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(bits))
    path = tmp_path / "m.tflite"
    report = tfq.export_tflite(qmodel, path, activations=activations, verify_data=data)
    assert report.fidelity.relative_difference <= MAX_RELATIVE[activations], str(report)
    assert [layer.name for layer in report.layers] == packed
    assert {layer.num_bits for layer in report.layers} == {bits}
    again = tfq.verify(qmodel, path, data)
    assert again.outputs == report.fidelity.outputs and again.num_samples == 6
    if activations == "float":
        natural = {8: "INT8", 5: "INT8", 4: "INT4", 3: "INT4", 2: "INT2"}[bits]
        assert {layer.stored_as for layer in report.layers} == {natural}


def test_the_codes_in_the_file_are_those_that_were_trained():
    qmodel = tfq.quantize_model(with_norm(), tfq.Recipe.weight_only(4))
    content, _, _ = write_weight_only(qmodel, "float")
    wrapper = qmodel.get_layer("conv")
    encoded = wrapper.kernel_quantizer.encode(wrapper.layer.kernel)
    codes = np.moveaxis(np.array(encoded.codes), -1, 0)  # OHWI
    (written,) = (codes for _, codes, _ in constants_of(content) if codes.shape == (8, 3, 3, 3))
    gamma = np.array(qmodel.get_layer("norm").gamma)
    is_dead = gamma == 0
    expected = codes * np.sign(gamma).astype(np.int8)[:, None, None, None]
    np.testing.assert_array_equal(written[~is_dead], expected[~is_dead])
    assert np.abs(codes).max() == 7


def test_a_file_has_no_float_copy_of_what_is_packed():
    inputs = keras.Input((64,))
    model = keras.Model(inputs, layers.Dense(256)(layers.Dense(256)(inputs)))
    sizes = {}
    for bits in (8, 4, 2):
        qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(bits))
        sizes[bits] = len(write_weight_only(qmodel, "dynamic")[0])
    weights = 64 * 256 + 256 * 256
    for bits, size in sizes.items():
        assert weights * bits / 8 < size < weights * bits / 8 + 12_000


@pytest.mark.parametrize("resolver", ["AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES"])
def test_dynamic_files_run_with_and_without_xnnpack_at_any_batch(resolver):
    qmodel = tfq.quantize_model(with_norm(), tfq.Recipe.weight_only(4))
    content, packed, _ = write_weight_only(qmodel, "dynamic")
    assert [each.stored_as for each in packed] == ["INT4", "INT8", "INT4"]
    assert all(each.is_dynamic for each in packed)
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType[resolver]
    )
    x = draw(3, 9, 9, 3)
    run = interpreter.get_signature_runner()
    (name,) = interpreter.get_signature_list()["serving_default"]["inputs"]
    expected = qmodel.predict(x, verbose=0)
    made = run(**{name: x})["output_0"]
    assert np.abs(made - expected).max() < 0.05 * np.abs(expected).max()


def test_a_weight_only_model_trains_and_ships_what_was_trained(tmp_path):
    qmodel = tfq.quantize_model(with_norm(), tfq.Recipe.weight_only(3, first_last_bits=8))
    assert [row.weight_bits for row in tfq.summary(qmodel).layers] == [8, 3, 8]
    qmodel.compile(keras.optimizers.Adam(0.01), "mse")
    x, y = draw(64, 9, 9, 3), draw(64, 5)
    losses = qmodel.fit(x, y, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    qmodel.save(tmp_path / "m.keras")
    restored = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(restored.predict(x, verbose=0), qmodel.predict(x, verbose=0))
    report = tfq.export_tflite(
        restored, tmp_path / "m.tflite", activations="float", verify_data=x[:8]
    )
    assert report.fidelity.relative_difference < MAX_RELATIVE["float"]


def integer_model():
    return tfq.quantize_model(with_norm(), tfq.Recipe.lsq(8, 8), draw(8, 9, 9, 3))


def weight_only():
    return tfq.quantize_model(with_norm(), tfq.Recipe.weight_only(8))


MISTAKES = {
    "quantizers that would be lost": (
        lambda: write_weight_only(integer_model(), "float"),
        "quantizers on its activations would be lost",
    ),
    "nothing quantized": (
        lambda: write_weight_only(with_norm(), "dynamic"),
        "no quantized weights",
    ),
    "unknown": (lambda: write_weight_only(weight_only(), "int16"), "`activations` must be 'int8'"),
    "in integers": (
        lambda: tfq.export_tflite(weight_only(), "m.tflite"),
        "is not quantized.*activations='float' or 'dynamic'",
    ),
    "another target": (
        lambda: tfq.export_tflite(weight_only(), "m.tflite", "tflm", activations="float"),
        "'int8' for the target 'tflm'",
    ),
    "no kernel": (
        lambda: tfq.quantize_model(
            keras.Sequential([keras.Input((3,)), layers.ReLU()]), tfq.Recipe.weight_only()
        ),
        "no layer with a kernel",
    ),
    "an override of activations": (
        lambda: tfq.Recipe.weight_only().override("a", activation_bits=4),
        "leaves all activations in float",
    ),
    "None in an override": (
        lambda: tfq.Recipe.lsq().override("a", activation_bits=None),
        "for a whole recipe only",
    ),
    "signs": (
        lambda: tfq.Recipe.binary(activation_bits=None),
        "must be a width for binary layers",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, words = MISTAKES[mistake]
    with pytest.raises(ValueError, match=words):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_recurrent_layer_stays_in_float_at_a_fixed_batch():
    inputs = keras.Input(batch_shape=(2, 5, 4))
    x = layers.GRU(6, name="gru")(layers.Dense(4, name="before")(inputs))
    qmodel = tfq.quantize_model(
        keras.Model(inputs, layers.Dense(3, name="after")(x)), tfq.Recipe.weight_only(4)
    )
    content, packed, _ = write_weight_only(qmodel, "float")
    assert [each.name for each in packed] == ["before", "after"]
    x = draw(2, 5, 4)
    found = verify_weight_only(qmodel, content, x)
    assert found.relative_difference < MAX_RELATIVE["float"], str(found)


MASKED = {
    "attention": lambda x: layers.MultiHeadAttention(2, 8)(x, x),
    "a mean": lambda x: layers.GlobalAveragePooling1D()(layers.Dense(8)(x)),
    "a recurrent layer": lambda x: layers.LSTM(8, unroll=True)(layers.Dense(8)(x)),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_reaches_the_layers_that_it_is_for(name, tmp_path):
    rows = keras.Input((6,), dtype="int32")
    table = layers.Embedding(50, 16, "normal", mask_zero=True, name="table")
    model = keras.Model(rows, MASKED[name](table(rows)))
    data = np.random.default_rng(0).integers(1, 50, (5, 6))
    data[:, 4:] = 0
    qmodel = tfq.quantize_model(model, tfq.Recipe.weight_only(8))
    expected = model.predict(data, verbose=0)
    difference = np.abs(qmodel.predict(data, verbose=0) - expected).max()
    assert difference < 0.03 * np.abs(expected).max()
    report = tfq.export_tflite(qmodel, tmp_path / "m.tflite", activations="float", verify_data=data)
    assert report.fidelity.relative_difference <= MAX_RELATIVE["float"], str(report)
