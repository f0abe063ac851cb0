"""The wrapper around each layer family, as a table: a new family is some rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import quantizers, wrappers
from tfq_lowbit.calibration import get_rule

layers = keras.layers

# Evaluation sums integers, the plain layer reals.
SUM_ERROR = 1e-5

# Name: (layer, input shape).
TABLE = {
    "conv": (lambda: layers.Conv2D(6, 3), (7, 8, 4)),
    "conv strided same relu": (
        lambda: layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        (7, 8, 4),
    ),
    "conv with unequal strides": (lambda: layers.Conv2D(6, (2, 3), strides=(2, 1)), (7, 8, 4)),
    "conv dilated": (lambda: layers.Conv2D(6, 3, dilation_rate=2, activation="relu"), (7, 8, 4)),
    "conv dilated same": (
        lambda: layers.Conv2D(6, 3, dilation_rate=2, padding="same", use_bias=False),
        (7, 8, 4),
    ),
    "conv in groups": (lambda: layers.Conv2D(6, 3, groups=2), (7, 8, 4)),
    "conv without bias": (lambda: layers.Conv2D(6, 1, use_bias=False), (7, 8, 4)),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (7, 8, 4)),
    "depthwise strided same": (
        lambda: layers.DepthwiseConv2D(
            3, strides=2, padding="same", use_bias=False, activation="relu6"
        ),
        (7, 8, 4),
    ),
    "depthwise dilated": (lambda: layers.DepthwiseConv2D(2, dilation_rate=2), (7, 8, 4)),
    "dense": (lambda: layers.Dense(6), (5,)),
    "dense relu without bias": (lambda: layers.Dense(6, "relu", use_bias=False), (5,)),
    "dense of rank 3": (lambda: layers.Dense(6, activation="relu"), (3, 5)),
    "conv of a sequence, causal": (
        lambda: layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
        (9, 4),
    ),
    "transposed": (
        lambda: layers.Conv2DTranspose(5, (3, 1), strides=2, padding="same", activation="relu"),
        (4, 5, 3),
    ),
    "einsum to two axes": (
        lambda: layers.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de"),
        (3, 5),
    ),
}
FAMILIES = ["conv strided same relu", "depthwise", "dense"]
SCHEMES = {"LSQ": wrappers.LSQ, "PACT": wrappers.PACT}

each = pytest.mark.parametrize("name", TABLE)
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)
# Where a case takes long: every layer with one scheme, every family with every scheme.
CASES = [(name, "LSQ") for name in TABLE] + [(name, "PACT") for name in FAMILIES]
each_case = pytest.mark.parametrize(("name", "scheme"), CASES)


def draw(name, seed=0, size=4):
    return np.random.default_rng(seed).normal(size=(size, *TABLE[name][1])).astype(np.float32)


def wrap(name, scheme="LSQ", **options):
    """Returns a calibrated wrapper with a bias that is not zero."""
    wrapper = SCHEMES[scheme](TABLE[name][0](), **options)
    wrapper(draw(name), training=True)
    if wrapper.layer.bias is not None:
        shape = wrapper.layer.bias.shape
        wrapper.layer.bias.assign(np.random.default_rng(9).normal(size=shape))
    return wrapper


def plain_twin(wrapper):
    """Returns a plain layer of the same configuration, unbuilt, and the decoded kernel."""
    quantizer, layer = wrapper.kernel_quantizer, wrapper.layer
    twin = type(layer).from_config({**layer.get_config(), "name": "twin"})
    return twin, quantizer.decode(quantizer.encode(layer.kernel.value))


def model_of(name, scheme="LSQ", **options):
    """Returns a small classifier, the layer wrapped, and its data."""
    inputs = keras.Input(TABLE[name][1])
    hidden = SCHEMES[scheme](TABLE[name][0](), **options)(inputs)
    hidden = layers.Flatten(dtype="float32")(hidden)
    outputs = layers.Dense(3, dtype="float32")(hidden)
    return keras.Model(inputs, outputs)


def data_for(name):
    x = draw(name, seed=5, size=96)
    flat = x.reshape(96, -1)
    return x, np.argmax(flat @ np.random.default_rng(6).normal(size=(flat.shape[1], 3)), axis=1)


def fit(model, name, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, **options)
    return model.fit(*data_for(name), batch_size=16, epochs=4, verbose=0).history["loss"]


@each_case
def test_outputs_equal_the_plain_layer_with_the_decoded_kernel(name, scheme):
    wrapper = wrap(name, scheme)
    twin, kernel = plain_twin(wrapper)
    values = draw(name, seed=1)
    encoded = wrapper.input_quantizer.encode(values)
    inputs = wrapper.input_quantizer.decode(encoded)
    twin(inputs)
    twin.kernel.assign(kernel)
    assert not np.array_equal(kernel, wrapper.layer.kernel)
    if twin.bias is not None:
        twin.bias.assign(wrapper.layer.bias)
    np.testing.assert_array_equal(wrapper(values, training=True), twin(inputs))
    if twin.bias is not None:
        unit = encoded.step_size.numpy() * wrapper.kernel_step_size().numpy()
        unit = unit.reshape(twin.bias.shape)
        twin.bias.assign(np.rint(wrapper.layer.bias.numpy() / unit) * unit)
    for found in (wrapper(values, training=False), wrapper(values)):
        np.testing.assert_allclose(found, twin(inputs), rtol=SUM_ERROR, atol=SUM_ERROR)


@each_case
def test_a_tape_gives_gradients_for_kernel_bias_and_step_sizes(name, scheme):
    wrapper = wrap(name, scheme)
    with tf.GradientTape() as tape:
        # Wider than the data of calibration: only clipped values have a gradient for alpha.
        loss = tf.reduce_sum(tf.square(wrapper(3 * draw(name, seed=1), training=True)))
    variables = wrapper.trainable_variables
    names = {variable.name for variable in variables}
    learned = {"step_size_ratio"} if scheme == "LSQ" else {"alpha_ratio"}
    assert names == {"kernel", *learned} | (set() if wrapper.layer.bias is None else {"bias"})
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient.shape == variable.shape
        assert np.all(np.isfinite(gradient)) and np.any(gradient != 0), variable.path


@each_case
def test_keras_and_weights_files_restore_predictions_exactly(name, scheme, tmp_path):
    model = keras.Sequential([keras.Input(TABLE[name][1]), wrap(name, scheme)])
    model.layers[-1].input_quantizer(draw(name), training=True)
    expected = model(draw(name, seed=1))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    restored = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored(draw(name, seed=1)), expected)
    fresh_wrapper = SCHEMES[scheme](TABLE[name][0]())
    fresh = keras.Sequential([keras.Input(TABLE[name][1]), fresh_wrapper])
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(fresh(draw(name, seed=1)), expected)
    assert fresh_wrapper.input_quantizer.is_calibrated
    assert fresh_wrapper.kernel_quantizer.is_calibrated


@each
@each_scheme
def test_the_config_round_trips(name, scheme):
    wrapper = SCHEMES[scheme](TABLE[name][0](), weight_bits=3, activation_bits=5, name="wrapped")
    restored = type(wrapper).from_config(wrapper.get_config())
    assert restored.get_config() == wrapper.get_config()
    assert restored.name == "wrapped"
    assert type(restored.layer) is type(wrapper.layer)
    assert (restored.kernel_quantizer.num_bits, restored.input_quantizer.num_bits) == (3, 5)


@each
def test_a_clone_with_the_same_weights_predicts_the_same(name):
    model = model_of(name)
    model(draw(name), training=True)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    expected = model.predict(draw(name, seed=1), verbose=0)
    np.testing.assert_array_equal(clone.predict(draw(name, seed=1), verbose=0), expected)


@pytest.mark.parametrize("name", FAMILIES)
@each_scheme
def test_fit_lowers_the_loss(name, scheme):
    losses = fit(model_of(name, scheme), name)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["conv in groups", "dense"])
def test_fit_under_xla_lowers_the_loss(name):
    losses = fit(model_of(name), name, jit_compile=True)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_mixed_precision_trains(name, mixed_float16):
    model = model_of(name)
    losses = fit(model, name)
    assert losses[-1] < 0.8 * losses[0]
    assert {weight.dtype for weight in model.weights} == {"float32"}


@each_case
def test_mixed_precision_computes_codes_in_float32(name, scheme, mixed_float16):
    wrapper = wrap(name, scheme)
    assert wrapper.layer.compute_dtype == "float16"
    kernel = wrapper.layer.kernel.value
    keras.config.set_dtype_policy("float32")
    wide = wrap(name, scheme)
    wide.layer.kernel.assign(kernel)
    for one, other in zip(wide.weights, wrapper.weights, strict=True):
        one.assign(other)
    codes = wrapper.kernel_quantizer.encode(kernel).codes
    np.testing.assert_array_equal(codes, wide.kernel_quantizer.encode(kernel).codes)

    # The layer really computes with these codes, in float16.
    values = tf.cast(draw(name, seed=1), tf.float16)
    twin, decoded = plain_twin(wrapper)
    assert twin.compute_dtype == "float16"
    inputs = wrapper.input_quantizer(values)
    twin(inputs)
    twin.kernel.assign(decoded)
    if twin.bias is not None:
        twin.bias.assign(wrapper.layer.bias)
    outputs = wrapper(values, training=True)
    assert outputs.dtype == "float16"
    np.testing.assert_array_equal(outputs, twin(inputs))


def test_mixed_precision_reaches_into_a_subclassed_model(mixed_float16):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.wrapper = wrappers.LSQ(layers.Dense(4))

        def call(self, inputs, training=None):
            return self.wrapper(inputs, training=training)

    model = Model()
    values = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    model(values, training=True)
    encoded = model.wrapper.input_quantizer.encode(tf.cast(values, tf.float16))
    inputs = tf.cast(model.wrapper.input_quantizer.decode(encoded), tf.float16)
    kernel = model.wrapper.kernel_quantizer(model.wrapper.layer.kernel.value)
    assert model(values, training=True).dtype == "float16"
    np.testing.assert_array_equal(
        model(values, training=True), tf.matmul(inputs, tf.cast(kernel, tf.float16))
    )


@pytest.mark.parametrize(
    "name", [name for name in TABLE if getattr(TABLE[name][0](), "use_bias", True)]
)
def test_evaluation_rounds_the_bias_to_the_accumulator_and_training_does_not(name):
    layer = TABLE[name][0]()
    layer.activation = keras.activations.linear
    wrapper = wrappers.LSQ(layer)
    wrapper(draw(name), training=True)
    bias = np.random.default_rng(9).normal(size=layer.bias.shape).astype(np.float32)
    layer.bias.assign(bias)
    bias = bias.ravel()
    zeros = np.zeros_like(draw(name))
    trained = wrapper(zeros, training=True).numpy().reshape(-1, bias.size)[0]
    np.testing.assert_array_equal(trained, bias)
    unit = wrapper.input_quantizer.encode(zeros).step_size.numpy() * wrapper.kernel_step_size()
    rounded = wrapper(zeros, training=False).numpy().reshape(-1, bias.size)[0]
    np.testing.assert_array_equal(rounded, np.rint(bias / unit.numpy()) * unit.numpy())
    assert np.all(np.abs(rounded - bias) <= 0.5001 * unit.numpy())
    assert np.any(rounded != bias)


def test_a_grid_given_with_the_inputs_decides_the_unit_of_the_bias():
    wrapper = wrappers.QuantizeWrapper(
        layers.Dense(4), quantizers.LSQ(4, narrow_range=True), return_accumulator_scales=True
    )
    grid = tf.constant([0.25, 0.0, 15.0])
    values = np.zeros((2, 3), np.float32)
    wrapper(values)
    wrapper.layer.bias.assign([0.1, -0.2, 0.3, 0.44])
    for training in (False, True):
        outputs, scales = wrapper(values, input_grid=grid, training=training)
        steps = wrapper.kernel_step_size().numpy()
        known = np.array([np.full_like(steps, 0.25), steps])
        np.testing.assert_array_equal(scales, 0 * known if training else known)
        unit = 0.25 * steps
        rounded = np.rint(wrapper.layer.bias.numpy() / unit) * unit
        expected = wrapper.layer.bias.numpy() if training else rounded
        np.testing.assert_array_equal(outputs[0], expected)
    outputs, scales = wrapper(values)
    np.testing.assert_array_equal(outputs[0], wrapper.layer.bias)
    np.testing.assert_array_equal(scales, np.zeros((2, 4)))


@pytest.mark.parametrize("name", FAMILIES)
@each_scheme
def test_the_kernel_step_size_has_one_number_a_channel(name, scheme):
    wrapper = wrap(name, scheme)
    steps = wrapper.kernel_step_size().numpy()
    assert steps.shape == (wrapper(draw(name)).shape[-1],)
    kernel = wrapper.layer.kernel.value
    codes = wrapper.kernel_quantizer.encode(kernel).codes.numpy().reshape(-1, steps.size)
    found = wrapper.kernel_quantizer(kernel).numpy().reshape(-1, steps.size)
    np.testing.assert_array_equal(found, codes.astype(np.float32) * steps)


def test_the_output_quantizer_comes_last():
    wrapper = wrappers.QuantizeWrapper(
        layers.Dense(6, activation="relu"),
        quantizers.LSQ(4, narrow_range=True),
        output_quantizer=quantizers.UniformAffine(2, signed=False),
    )
    values = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    wrapper(values, training=True)
    outputs = wrapper(values)
    assert wrapper.output_quantizer.is_calibrated
    np.testing.assert_array_equal(wrapper.output_quantizer(wrapper.apply(values)), outputs)
    assert len(np.unique(outputs)) == 4
    restored = type(wrapper).from_config(wrapper.get_config())
    assert restored.output_quantizer.num_bits == 2 and restored.input_quantizer is None


@each
def test_the_symbolic_shape_is_the_real_one(name):
    wrapper = wrap(name, return_accumulator_scales=True)
    outputs, scales = wrapper(draw(name))
    symbolic, symbolic_scales = wrapper(keras.Input(TABLE[name][1]))
    assert symbolic.shape[1:] == outputs.shape[1:] and symbolic.dtype == outputs.dtype
    assert symbolic_scales.shape == scales.shape


def test_the_kernel_step_is_set_from_the_kernel_when_the_layer_is_built():
    wrapper = wrappers.LSQ(layers.Dense(4))
    wrapper.build((None, 5))
    expected = get_rule("mse")(wrapper.layer.kernel, -7, 7)
    np.testing.assert_array_equal(wrapper.kernel_quantizer.step_size.numpy()[0], expected)
    assert not wrapper.input_quantizer.is_calibrated


def test_wrapping_a_built_layer_keeps_its_weights():
    layer = layers.Dense(4)
    layer.build((None, 5))
    kernel = layer.kernel.numpy()
    wrapper = wrappers.LSQ(layer)
    wrapper(np.ones((2, 5), np.float32), training=True)
    np.testing.assert_array_equal(wrapper.layer.kernel, kernel)
    assert wrapper.kernel_quantizer.is_calibrated


@pytest.mark.parametrize("kind", ["convolution", "dense"])
def test_evaluation_sums_codes_exactly(kind):
    random = np.random.default_rng(0)
    shape = (3, 3, 512, 8) if kind == "convolution" else (4608, 8)
    layer = layers.Conv2D(8, 3) if kind == "convolution" else layers.Dense(8)
    wrapper = wrappers.QuantizeWrapper(layer, quantizers.LSQ(8, narrow_range=True, axis=-1))
    inputs = random.integers(0, 256, (16, *shape[:-1]))
    grid = np.array([0.0137, 0.0, 255.0], np.float32)
    values = inputs.astype(np.float32) * grid[0]
    wrapper.build(values.shape)
    encoded = wrapper.kernel_quantizer.encode(layer.kernel)
    sums = inputs.reshape(16, -1) @ np.asarray(encoded.codes, np.int64).reshape(-1, 8)
    unit = grid[0] * np.asarray(encoded.step_size).reshape(-1)
    found = np.asarray(wrapper(values, input_grid=grid)).reshape(16, 8)
    np.testing.assert_array_equal(found, sums.astype(np.float32) * unit)
    # A sum of reals is another.
    assert np.any(np.asarray(wrapper.apply(values)).reshape(16, 8) != found)


def test_a_channel_of_zeros_evaluates_to_its_bias():
    layer = layers.Dense(2, bias_initializer="ones")
    wrapper = wrappers.QuantizeWrapper(layer, quantizers.TWN(axis=-1))
    wrapper.build((None, 3))
    layer.kernel.assign([[0.0, 1.0], [0.0, -1.0], [0.0, 0.5]])
    outputs = wrapper(np.ones((1, 3), np.float32), input_grid=np.float32([0.5, 0, 255]))
    assert float(outputs[0, 0]) == 1.0 and np.isfinite(outputs[0, 1])


def test_evaluation_has_the_gradients_of_a_sum_of_reals():
    layer = layers.Dense(3)
    wrapper = wrappers.QuantizeWrapper(layer, quantizers.LSQ(8, narrow_range=True))
    grid = np.array([0.1, 0.0, 255.0], np.float32)
    values = tf.Variable(np.arange(20, dtype=np.float32).reshape(4, 5) * grid[0])
    wrapper.build(values.shape)
    gradients = []
    for call in (lambda: wrapper(values, input_grid=grid), lambda: wrapper.apply(values)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call() ** 2)
        gradients.append(tape.gradient(loss, [values, layer.kernel.value, layer.bias.value]))
    for exact, plain in zip(*gradients, strict=True):
        np.testing.assert_allclose(exact, plain, rtol=1e-4)
