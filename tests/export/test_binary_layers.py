"""Exporting binary layers: what is reported, what is refused, and what low-bit layers become."""

import json

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.binary_networks import chain, conv, dense, norm, pool, quantized, stem, unkind
from tests.networks import images, randomize
from tests.promise import check_promise, check_shipped, run_litert
from tfq_lowbit import (
    LSQ,
    Binarize,
    QuantizeActivation,
    QuantizeWrapper,
    calibrate,
    export_tflite,
    integer_weights,
    verify,
)
from tfq_lowbit.export import KERAS_LITERT, LOWERED_LITERT, lower
from tfq_lowbit.export.pending_binary import BinaryWeights
from tfq_lowbit.export.writer import METADATA_NAME, pack_model
from tfq_lowbit.quantizers import TWN, XNOR, UniformAffine
from tfq_lowbit.wrappers import batch_norm_affine

layers = keras.layers


@pytest.fixture(scope="module")
def network():
    keras.utils.clear_session()
    return unkind(chain(conv(), norm, pool, conv(36), norm))


@pytest.fixture
def path(network, tmp_path):
    path = tmp_path / "model.tflite"
    export_tflite(network[0], path)
    return path


def read(path):
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def test_the_report_says_what_runs_on_bits_and_what_does_not(network, tmp_path):
    report = export_tflite(network[0], tmp_path / "model.tflite", verify_data=network[1])
    assert report.custom_operators == ("TfqBconv2d", "TfqBitpack", "TfqBmaxpool")
    assert report.min_runtime_version == "2.21.0"
    first, *binary, last = report.layers
    assert [(layer.num_bits, layer.operator) for layer in binary] == [(1, "TfqBconv2d")] * 2
    assert [layer.num_bytes for layer in binary] == [40 * 45, 36 * 45]  # a bit a weight
    text = str(report)
    assert f"{binary[0].name}: 1 bit in packed bits, 1,800 bytes, TfqBconv2d" in text
    assert "needs libtfq_delegate.so for TfqBconv2d, TfqBitpack, TfqBmaxpool" in text
    assert text.count("weights of 8 bits (on bits: -1, 0, 1) and an input of 256 levels") == 2
    for layer in (first, last):
        assert f"\n  {layer.name}: {layer.plain_reason}" in text


def test_the_file_names_the_operators_it_needs_and_can_be_verified(network, path):
    written = read(path)
    (stored,) = [each for each in written.metadata if each.name.decode() == METADATA_NAME]
    description = json.loads(bytes(written.buffers[stored.buffer].data))
    needed = {"TfqBconv2d": 1, "TfqBitpack": 1, "TfqBmaxpool": 1}
    assert description["custom_operators"] == needed
    fidelity = verify(*[network[0], path, network[1]], per_layer=True)
    assert fidelity.is_exact
    signs = [name for name in fidelity.layers if name.endswith("/signs")]
    assert signs and all(KERAS_LITERT in fidelity.layers[name] for name in signs)


def test_a_wrong_bit_of_a_kernel_is_found(network, path):
    written = read(path)
    tensors = written.subgraphs[0].tensors
    filters = [each for each in tensors if each.type == schema.TensorType.UINT8]
    buffer = written.buffers[filters[0].buffer]
    buffer.data = np.array(buffer.data, np.uint8) ^ (np.arange(len(buffer.data)) == 7)
    path.write_bytes(pack_model(written))
    fidelity = verify(*[network[0], path, network[1]], per_layer=True)
    assert not fidelity.is_exact
    found = fidelity.first_difference(LOWERED_LITERT)
    assert found == filters[0].name.decode().removesuffix("/filter")


def test_integer_weights_hold_the_signs_of_a_binary_layer(network):
    model, _ = network
    found = integer_weights(model)
    binary = {name: each for name, each in found.items() if isinstance(each, BinaryWeights)}
    assert len(found) == 4 and len(binary) == 2
    for name, weights in binary.items():
        kernel = np.array(model.get_layer(name).layer.kernel)
        np.testing.assert_array_equal(weights.codes, np.where(kernel < 0, -1, 1))


@pytest.mark.parametrize("types", [("int8", "float32"), ("int8", "int8")])
def test_inputs_and_outputs_may_be_codes(network, types):
    model, data = network
    check_promise(model, data, input_type=types[0], output_type=types[1])


def test_unknown_custom_ops_are_refused(network):
    message = r"`custom_ops` must be one of \('binary', 'lowbit'\). Received: 'all'"
    with pytest.raises(ValueError, match=message):
        lower(network[0], custom_ops="all")


# Low-bit layers.


def lowbit_network():
    """Returns a net of ternary and two-bit kernels with inputs of two bits, and its data."""

    def ternary(filters, size):
        layer = layers.Conv2D(filters, size, padding="same", activation="relu")
        return QuantizeWrapper(
            layer,
            kernel_quantizer=TWN(axis=3),
            input_quantizer=UniformAffine(2, signed=False, init="mse"),
        )

    inputs, x = stem()
    x = ternary(33, 3)(layers.ReLU()(x))
    x = LSQ(layers.Conv2D(34, 2, strides=2, use_bias=False), 2, 2, signed=False)(x)
    x = layers.ReLU()(norm(x))
    x = LSQ(layers.Dense(10), 4, 8)(layers.Flatten()(quantized(x)))
    model = randomize(keras.Model(inputs, quantized(x)))
    calibrate(model, images(model, 64))
    return model, images(model, 16, seed=1)


def test_low_bit_layers_run_on_bits_if_asked_with_the_same_results(tmp_path):
    model, data = lowbit_network()
    reports, outputs = [], []
    for custom_ops in ("binary", "lowbit"):
        path = tmp_path / f"{custom_ops}.tflite"
        reports.append(export_tflite(model, path, verify_data=data, custom_ops=custom_ops))
        outputs.append(run_litert(path.read_bytes(), [data])[0])
    plain, on_bits = reports
    assert plain.custom_operators == () and "on bits" not in str(plain)
    assert on_bits.custom_operators == ("TfqBconv2d", "TfqBitpack")
    assert [bool(layer.plain_reason) for layer in on_bits.layers] == [True, False, False, True]
    np.testing.assert_array_equal(*outputs)
    assert len(np.unique(outputs[0])) > 20
    assert plain.fidelity.is_exact and on_bits.fidelity.is_exact
    assert verify(model, tmp_path / "lowbit.tflite", data).is_exact


def test_a_binary_kernel_with_wide_inputs_needs_no_delegate():
    inputs, x = stem()
    x = QuantizeWrapper(
        layers.Conv2D(33, 3, use_bias=False),
        kernel_quantizer=XNOR(axis=3),
        input_quantizer=UniformAffine(8, signed=None, init="min_max"),
    )(x)
    model, data = unkind(keras.Model(inputs, quantized(x)))
    check_promise(model, data, has_ties=True)
    program = lower(model)
    assert program.custom_operators == []
    (binary,) = [each for each in program.weights.values() if each.num_bits == 1]
    assert set(np.unique(binary.codes)) == {-1, 1} and binary.stored_as == "INT2"


def test_signs_behind_a_normalization_are_those_of_keras_where_its_sum_is_nearly_0():
    random, count = np.random.default_rng(0), 4000
    inputs = keras.Input((count,))
    quantizer, normalization = QuantizeActivation(UniformAffine(8)), layers.BatchNormalization()
    x = Binarize(layers.Dense(3), "ste_sign")(normalization(quantizer(inputs)))
    model = keras.Model(inputs, QuantizeActivation(UniformAffine(8))(x))
    data = random.normal(size=(64, count)).astype(np.float32)
    calibrate(model, data)
    for weight in normalization.weights:
        weight.assign(random.uniform(0.3, 2.0, count))
    multiplier, shift = (np.asarray(part) for part in batch_norm_affine(normalization, False))
    at_zero = np.asarray(quantizer(data[:1])[0]) * multiplier
    normalization.beta.assign(np.asarray(normalization.beta) - shift - at_zero)
    fidelity = check_shipped(model, data)
    (signs,) = [pairs[KERAS_LITERT] for name, pairs in fidelity.layers.items() if "signs" in name]
    assert signs.is_exact and signs.count == data.size


# What cannot be expressed.


def net(*stages):
    inputs, x = stem()
    for stage in stages:
        x = stage(x)
    return unkind(keras.Model(inputs, quantized(x)))[0]


def on_input():
    inputs = keras.Input((9, 8, 3), name="image")
    return unkind(keras.Model(inputs, quantized(conv()(inputs))))[0]


def two_thresholds():
    inputs, x = stem()
    ways = [quantized(conv(scheme="react_net")(x)) for _ in range(2)]
    return unkind(keras.Model(inputs, quantized(layers.Add()(ways))))[0]


def signs_and_codes():
    inputs, x = stem()
    ways = [quantized(norm(conv()(x))), quantized(x)]
    return unkind(keras.Model(inputs, quantized(layers.Add()(ways))))[0]


REFUSED = {
    "the model input": (on_input, "signs of the model input 'image' itself. Keep the first layer"),
    "a sum": (
        lambda: net(quantized, lambda x: layers.Add(name="sum")([x, x]), conv(), norm),
        "signs of 'sum', which is on no grid yet. Put a tfq.QuantizeActivation",
    ),
    "padding before the sign": (
        lambda: net(layers.ZeroPadding2D(1, name="padding"), conv(), norm),
        "signs of 'padding', which is on no grid yet",
    ),
    "a threshold a feature": (
        lambda: net(layers.Flatten(name="flat"), dense(9, "react_net"), norm),
        "Layer 'flat' changes the channels .40 to 4400. of a tensor whose signs",
    ),
    "words that are cut": (
        lambda: net(layers.Reshape((55, 80), name="cut"), dense(9), norm),
        "Layer 'cut' changes the channels .40 to 80. .* words of 32 channels",
    ),
    "two thresholds": (two_thresholds, "quantize its output on different grids .signs and signs."),
    "signs and codes": (signs_and_codes, "on different grids .signs and step size"),
    "a negative maximum": (
        lambda: net(conv(), layers.MaxPooling2D(name="pool"), norm),
        "behind max pooling 'pool' has [0-9]+ channels with a negative multiplier",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_has_no_integer_form_is_refused_by_name(reason):
    build, message = REFUSED[reason]
    with pytest.raises(ValueError, match=message):
        lower(build())
