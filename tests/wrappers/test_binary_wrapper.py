"""The binary wrapper against a product of +1 and -1 that shares no code with it."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.custom_ops import reference
from tfq_lowbit import quantizers, wrappers
from tfq_lowbit.ops import library
from tfq_lowbit.quantizers import BINARY_SCHEMES

layers = keras.layers
IMAGE = (9, 8, 6)

# Name: (layer, input shape).
TABLE = {
    "conv": (lambda: layers.Conv2D(5, 3), IMAGE),
    "conv same relu": (lambda: layers.Conv2D(5, 3, padding="same", activation="relu"), IMAGE),
    "conv strided same": (
        lambda: layers.Conv2D(5, (3, 2), strides=(2, 1), padding="same", use_bias=False),
        IMAGE,
    ),
    "conv dilated same": (lambda: layers.Conv2D(5, 3, dilation_rate=2, padding="same"), IMAGE),
    "conv in groups": (
        lambda: layers.Conv2D(4, 3, groups=2, padding="same", activation="relu6"),
        IMAGE,
    ),
    "conv 1x1": (lambda: layers.Conv2D(5, 1, use_bias=False), IMAGE),
    "dense": (lambda: layers.Dense(5, activation="relu"), (70,)),
    "dense of rank 3": (lambda: layers.Dense(5, use_bias=False), (3, 40)),
}
CASES = [(name, "bi_real") for name in TABLE]
CASES += [(name, scheme) for scheme in BINARY_SCHEMES for name in ("conv same relu", "dense")]
CASES += [("conv in groups", "ada_bin"), ("conv strided same", "ada_bin")]
CASES = sorted(set(CASES))
each_case = pytest.mark.parametrize(("name", "scheme"), CASES)
each_padded_case = pytest.mark.parametrize(
    ("name", "scheme", "pad_values"),
    [(*case, pad) for case in CASES for pad in (0, 1) if pad or case[1] != "ada_bin"],
)
each_layer = pytest.mark.parametrize("name", TABLE)
each_scheme = pytest.mark.parametrize("scheme", BINARY_SCHEMES)

# Levels and latent weights are float32 numbers: the sum of a window of some hundred rounds so much.
ROUNDING = 1e-4


@pytest.fixture(params=["plain", "packed, in plain TensorFlow", "packed, compiled"])
def use_packed_kernels(request, monkeypatch):
    """Whether to evaluate on packed bits, and on which kernels."""
    if request.param == "packed, in plain TensorFlow":
        monkeypatch.setattr(library, "compiled", lambda: None)
    elif request.param == "packed, compiled" and library.why_not() is not None:
        pytest.skip(library.why_not())
    return request.param != "plain"


def draw(name, seed=0, size=4):
    values = np.random.default_rng(seed).normal(0.1, 1, (size, *TABLE[name][1]))
    values[..., 0] = 0  # whose sign is +1
    return values.astype(np.float32)


def wrap(name, scheme="bi_real", **options):
    """Returns a wrapper with levels from data, thresholds and bias that are not zero."""
    wrapper = wrappers.Binarize(TABLE[name][0](), scheme, **options)
    random = np.random.default_rng(9)
    wrapper(draw(name), training=True)
    for variable in (
        getattr(wrapper.layer, "bias", None),
        getattr(wrapper.input_quantizer, "alpha", None),
    ):
        if isinstance(variable, keras.Variable):
            variable.assign(random.normal(0, 0.3, variable.shape))
    return wrapper


def levels(wrapper, values):
    """Returns codes of inputs and kernel, and the levels that they stand for."""
    inputs, kernel = wrapper.input_quantizer, wrapper.kernel_quantizer
    codes = np.where(values < inputs.thresholds().numpy(), -1.0, 1.0)
    encoded = kernel.encode(wrapper.layer.kernel)
    channels = wrapper.layer.kernel.shape[-1]
    offset = 0 if encoded.offset is None else encoded.offset
    by_channel = lambda part: np.broadcast_to(np.ravel(part), channels)  # noqa: E731
    return (
        codes,
        encoded.codes.numpy().astype(np.float64),
        [float(level) for level in inputs.levels()],
        (by_channel(encoded.step_size), by_channel(offset)),
    )


def product(layer, values, kernel, pad_value):
    """Returns products and window sums."""
    if isinstance(layer, layers.Dense):
        return values @ kernel, values.sum(axis=-1, keepdims=True)
    return reference.convolve(
        values,
        kernel,
        layer.groups,
        strides=layer.strides,
        dilation=layer.dilation_rate,
        pad_value=pad_value if layer.padding == "same" else None,
    )


def activate(layer, outputs):
    lower, upper = {"relu": (0, np.inf), "relu6": (0, 6)}.get(
        layer.activation.__name__, (-np.inf, np.inf)
    )
    return np.clip(outputs, np.float32(lower), np.float32(upper))


@each_padded_case
def test_evaluation_is_the_integer_product_scaled(name, scheme, pad_values, use_packed_kernels):
    wrapper = wrap(name, scheme, pad_values=pad_values, use_packed_kernels=use_packed_kernels)
    values = draw(name, seed=1)
    signs, kernel, *_ = levels(wrapper, values)
    dot, sums = product(wrapper.layer, signs, kernel, pad_values)
    scale, shift, sum_scale = wrapper.output_affine()
    for part in (scale, shift):
        assert part.dtype == tf.float32 and part.shape == kernel.shape[-1:]
    sum_scale = None if sum_scale is None else sum_scale.numpy()
    expected = reference.scale(
        dot, scale.numpy(), shift.numpy(), window_sum=sums, sum_multiplier=sum_scale
    )
    outputs = wrapper(values)
    assert outputs.dtype == tf.float32
    np.testing.assert_array_equal(outputs, activate(wrapper.layer, expected))


@each_padded_case
def test_the_affine_form_is_the_product_of_the_levels(name, scheme, pad_values):
    wrapper = wrap(name, scheme, pad_values=pad_values)
    values = draw(name, seed=1)
    signs, kernel, (a, b), (u, v) = levels(wrapper, values)
    outputs, _ = product(wrapper.layer, a * signs + b, u * kernel + v, pad_values * (a + b))
    if wrapper.layer.use_bias:
        outputs = outputs + wrapper.layer.bias.numpy()
    outputs = activate(wrapper.layer, outputs)
    np.testing.assert_allclose(wrapper(values), outputs, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(
        wrapper(values, training=True), outputs, rtol=ROUNDING, atol=ROUNDING
    )


@pytest.mark.parametrize("scheme", ["xnor", "react_net", "ada_bin"])
@pytest.mark.parametrize("name", ["conv same relu", "conv in groups", "dense"])
def test_predict_graphs_and_xla_give_the_bits_of_eager_mode(name, scheme, use_packed_kernels):
    wrapper = wrap(name, scheme, use_packed_kernels=use_packed_kernels)
    model = keras.Sequential([keras.Input(TABLE[name][1]), wrapper])
    values = draw(name, seed=1)
    expected = wrapper(values)
    np.testing.assert_array_equal(model.predict(values, verbose=0), expected)
    signature = [tf.TensorSpec((None, *TABLE[name][1]))]
    np.testing.assert_array_equal(tf.function(wrapper, input_signature=signature)(values), expected)
    if not use_packed_kernels:
        np.testing.assert_array_equal(tf.function(wrapper, jit_compile=True)(values), expected)


@pytest.mark.parametrize(("scheme", "pad_values"), [("xnor", 0), ("xnor", 1), ("ada_bin", 1)])
def test_the_border_has_the_gradient_of_its_level(scheme, pad_values):
    wrapper = wrap("conv same relu", scheme, pad_values=pad_values)
    wrapper.layer.activation = keras.activations.linear
    values = draw("conv same relu", seed=1)
    with tf.GradientTape(persistent=True) as tape:
        outputs = tf.reduce_sum(wrapper(values, training=True))
        # The same, padded by hand.
        upper = tf.cast(sum(wrapper.input_quantizer.levels()), tf.float32) * pad_values
        inner = wrapper.input_quantizer(values, training=True)
        mask = tf.pad(tf.ones_like(inner), [(0, 0), (1, 1), (1, 1), (0, 0)])
        padded = tf.pad(inner, [(0, 0), (1, 1), (1, 1), (0, 0)]) + (1 - mask) * upper
        kernel = wrapper.kernel_quantizer(wrapper.layer.kernel.value, training=True)
        by_hand = tf.reduce_sum(tf.nn.conv2d(padded, kernel, 1, "VALID") + wrapper.layer.bias)
    np.testing.assert_allclose(outputs, by_hand, rtol=ROUNDING)
    variables = wrapper.trainable_variables
    assert len(variables) == (4 if scheme == "ada_bin" else 2)
    for one, other in zip(tape.gradient(outputs, variables), tape.gradient(by_hand, variables)):
        np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=ROUNDING)


def model_of(name, scheme):
    inputs = keras.Input(TABLE[name][1])
    hidden = wrappers.Binarize(TABLE[name][0](), scheme)(inputs)
    hidden = layers.Flatten(dtype="float32")(layers.BatchNormalization()(hidden))
    return keras.Model(inputs, layers.Dense(3, dtype="float32")(hidden))


def fit(model, name, **options):
    x = draw(name, seed=5, size=96)
    flat = np.sign(x.reshape(96, -1))
    y = np.argmax(flat @ np.random.default_rng(6).normal(size=(flat.shape[1], 3)), axis=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, **options)
    return model.fit(x, y, batch_size=16, epochs=4, verbose=0).history["loss"]


@each_scheme
@pytest.mark.parametrize("name", ["conv same relu", "dense"])
def test_fit_moves_every_variable_and_lowers_the_loss(name, scheme):
    model = model_of(name, scheme)
    before = [weight.numpy() for weight in model.trainable_variables]
    losses = fit(model, name)
    assert losses[-1] < 0.8 * losses[0]
    for weight, first in zip(model.trainable_variables, before, strict=True):
        assert np.any(weight.numpy() != first), weight.path


@pytest.mark.parametrize("name", ["conv same relu", "conv in groups", "dense"])
def test_mixed_precision_trains_and_evaluates_in_float32(name, mixed_float16):
    model = model_of(name, "react_net")
    losses = fit(model, name)
    assert losses[-1] < 0.8 * losses[0]
    assert {weight.dtype for weight in model.weights} == {"float32"}
    (wrapper,) = [layer for layer in model.layers if isinstance(layer, wrappers.BinaryWrapper)]
    values = tf.cast(draw(name, seed=1), tf.float16)
    half = wrapper(values)
    assert half.dtype == wrapper(values, training=True).dtype == tf.float16
    config = wrapper.get_config()
    config["layer"]["config"]["dtype"] = "float32"
    wide = wrappers.BinaryWrapper.from_config(config)
    wide.build(values.shape)
    wide.set_weights(wrapper.get_weights())
    np.testing.assert_array_equal(half, tf.cast(wide(tf.cast(values, tf.float32)), tf.float16))


@each_case
def test_a_keras_file_restores_predictions_exactly(name, scheme, tmp_path):
    model = keras.Sequential([keras.Input(TABLE[name][1]), wrap(name, scheme)])
    expected = model(draw(name, seed=1))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored(draw(name, seed=1)), expected)
    assert restored.layers[-1].input_quantizer.is_calibrated


@each_scheme
def test_the_config_survives_json(scheme):
    wrapper = wrappers.Binarize(
        layers.Conv2D(5, 3, padding="same"), scheme, name="mine", use_packed_kernels=True
    )
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(wrapper)))
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.get_config() == wrapper.get_config()
    assert (restored.name, restored.pad_values, restored.use_packed_kernels) == ("mine", 1, True)
    row = BINARY_SCHEMES[scheme]
    assert type(restored.input_quantizer) is quantizers.INPUT_SCHEMES[row.input_quantizer]


@each_layer
def test_the_symbolic_shape_is_the_real_one(name):
    wrapper = wrap(name)
    symbolic, outputs = wrapper(keras.Input(TABLE[name][1])), wrapper(draw(name))
    assert symbolic.shape[1:] == outputs.shape[1:] and symbolic.dtype == outputs.dtype


def signs():
    return quantizers.SteSign()


# Call: words of the error.
REFUSED = {
    "depthwise": (
        lambda: wrappers.BinaryWrapper(layers.DepthwiseConv2D(3, name="d"), signs(), signs()),
        ValueError,
        "Only Conv2D and Dense.*'d' of class DepthwiseConv2D.*QuantizeWrapper",
    ),
    "no kernel": (
        lambda: wrappers.Binarize(layers.ReLU(name="r")),
        ValueError,
        "Only layers with a kernel.*'r'",
    ),
    "kernel quantizer": (
        lambda: wrappers.BinaryWrapper(layers.Dense(2), quantizers.LSQ(2), signs()),
        TypeError,
        "`kernel_quantizer` must be a BinaryQuantizer.*LSQ",
    ),
    "input quantizer": (
        lambda: wrappers.BinaryWrapper(layers.Dense(2), signs(), quantizers.XNOR()),
        TypeError,
        "`input_quantizer` must be a SignFunction.*XNOR.*QuantizeWrapper",
    ),
    "padding": (
        lambda: wrappers.Binarize(layers.Dense(2), pad_values=-1),
        ValueError,
        "`pad_values` must be 0 or 1.*=-1",
    ),
    "padding with an offset": (
        lambda: wrappers.Binarize(
            layers.Conv2D(2, 3, padding="same", name="c"), "ada_bin", pad_values=0
        ),
        ValueError,
        "'c' must be padded with pad_values=1.*offset.*=0",
    ),
    "scheme": (
        lambda: wrappers.Binarize(layers.Dense(2), "birreal"),
        ValueError,
        "`scheme` must be one of.*'bi_real'.*'birreal'",
    ),
    "offset without binary inputs": (
        lambda: wrappers.QuantizeWrapper(layers.Dense(2, name="q"), quantizers.AdaBin()),
        ValueError,
        "'q' cannot have the kernel quantizer AdaBin.*offset.*BinaryWrapper",
    ),
    "packed kernels of no model": (
        lambda: wrappers.use_packed_kernels(layers.Dense(2)),
        TypeError,
        "`model` must be a keras.Model.*Dense",
    ),
    "packed kernels of a float model": (
        lambda: wrappers.use_packed_kernels(keras.Sequential([layers.Dense(2)], name="m")),
        ValueError,
        "'m' has no binary layers.*Recipe.binary",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_named_with_the_way_out(name):
    call, error, words = REFUSED[name]
    with pytest.raises(error, match=f"(?s){words}"):
        call()


def test_an_offset_without_padding_takes_either_value():
    for pad_values in (0, 1):
        wrapper = wrappers.Binarize(layers.Conv2D(2, 3), "ada_bin", pad_values=pad_values)
        assert wrapper.pad_values == pad_values


def nested():
    """Returns a compiled model with a binary layer of its own and one in a model within."""
    inner = keras.Sequential([keras.Input((8,)), wrappers.Binarize(layers.Dense(8))])
    inputs = keras.Input((8,))
    model = keras.Model(inputs, wrappers.Binarize(layers.Dense(3))(inner(inputs)))
    model.compile("sgd", "mse")
    return model, [model.layers[-1], inner.layers[-1]]


def test_a_model_switches_to_packed_kernels_and_back():
    model, binary = nested()
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    expected = model.predict(values, verbose=0)
    loss = model.evaluate(values, expected + 1, verbose=0)
    for enabled in (True, False, True):
        wrappers.use_packed_kernels(model, enabled)
        assert [layer.use_packed_kernels for layer in binary] == [enabled] * 2
        np.testing.assert_array_equal(model.predict(values, verbose=0), expected)
        assert model.evaluate(values, expected + 1, verbose=0) == loss
    model.fit(values, expected, verbose=0)


def test_switching_takes_effect_in_predict(monkeypatch):
    model, _ = nested()
    values = np.zeros((2, 8), np.float32)
    model.predict(values, verbose=0)
    calls = []
    packed = wrappers.BinaryWrapper._evaluate_packed

    def note(self, *arguments):
        calls.append(self)
        return packed(self, *arguments)

    monkeypatch.setattr(wrappers.BinaryWrapper, "_evaluate_packed", note)
    model.predict(values, verbose=0)
    assert not calls
    wrappers.use_packed_kernels(model)
    model.predict(values, verbose=0)
    assert len(set(map(id, calls))) == 2
