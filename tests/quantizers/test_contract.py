"""What every quantizer promises, as a table: a new quantizer is one row."""

import json
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import quantizers

FEATURES = (3, 4)


class Row(NamedTuple):
    """A quantizer in one configuration.

    `make` takes keyword arguments, `num_bits` among them. `widths` are those it has.
    `has_xla_bits`: XLA gives the very bits of eager mode (it does not where a value goes through
    tanh or a mean: XLA has its own tanh and its own order of summation).
    `has_free_step`: the step size is a variable, not computed from the values.
    `has_codes`: it encodes.
    `batch`: the size of values that it is built for, None for any.
    """

    make: Callable
    widths: tuple = tuple(range(2, 9))
    has_xla_bits: bool = True
    has_free_step: bool = True
    has_codes: bool = True
    batch: int | None = None

    def __call__(self, num_bits=None):
        return self.make(num_bits=num_bits or (4 if 4 in self.widths else self.widths[-1]))


def row(
    cls,
    widths=tuple(range(2, 9)),
    has_xla_bits=True,
    has_free_step=True,
    has_codes=True,
    batch=None,
    **options,
):
    def make(**given):
        return cls(**options, **given)

    return Row(make, widths, has_xla_bits, has_free_step, has_codes, batch)


def binary(cls, has_xla_bits=True, **options):
    return row(cls, (1,), has_xla_bits, has_free_step=False, **options)


AFFINE, LSQ, PACT = quantizers.UniformAffine, quantizers.LSQ, quantizers.PACT
COMPUTED = {"has_xla_bits": False, "has_free_step": False}
TABLE = {
    "affine": row(AFFINE),
    "affine narrow": row(AFFINE, narrow_range=True),
    "affine unsigned": row(AFFINE, signed=False),
    "affine, sign from data": row(AFFINE, signed=None, init="mse"),
    "affine per channel": row(AFFINE, axis=-1, narrow_range=True),
    "affine asymmetric": row(AFFINE, asymmetric=True),
    "lsq": row(LSQ),
    "lsq unsigned": row(LSQ, signed=False, is_activation=True),
    "lsq, sign from data": row(LSQ, signed=None, is_activation=True, init="percentile"),
    "lsq per channel": row(LSQ, axis=-1, narrow_range=True),
    "lsq over two axes": row(LSQ, axis=(1, 2), narrow_range=True),
    "lsq in blocks": row(
        quantizers.BlockwiseLSQ, (2, 3, 4), has_free_step=False, batch=32, axis=-1
    ),
    "affine of 16 bits": row(AFFINE, (16,)),
    "lsq of 16 bits, sign from data": row(LSQ, (16,), signed=None, is_activation=True, init="mse"),
    "pact of 16 bits": row(PACT, (16,), signed=True, narrow_range=False),
    "lsq_plus": row(quantizers.LSQPlus),
    "pact unsigned": row(PACT, signed=False),
    "pact signed": row(PACT, signed=True),
    "pact wide": row(PACT, signed=True, narrow_range=False),
    "pact, sign from data": row(PACT, signed=None, init="percentile"),
    "dorefa weights": row(quantizers.DoReFaWeights, **COMPUTED),
    "dorefa weights narrow": row(
        quantizers.DoReFaWeights, narrow_range=True, keep_scale=True, **COMPUTED
    ),
    "dorefa activations": row(quantizers.DoReFaActivations, clip_value=1.7),
    "dorefa activations, sign from data": row(
        quantizers.DoReFaActivations, signed=None, clip_value=None
    ),
    "twn": row(quantizers.TWN, (2,), **COMPUTED),
    "twn per channel": row(quantizers.TWN, (2,), axis=-1, **COMPUTED),
    "ttq": row(quantizers.TTQ, (2,), has_free_step=False, has_codes=False),
    "ttq symmetric": row(quantizers.TTQ, (2,), has_free_step=False, symmetric=True),
    "ttq per channel": row(
        quantizers.TTQ, (2,), has_free_step=False, symmetric=True, axis=-1, threshold=0.2
    ),
    "ste_sign": binary(quantizers.SteSign, clip_value=0.7),
    "approx_sign": binary(quantizers.ApproxSign),
    "swish_sign": binary(quantizers.SwishSign, beta=3.0),
    "ir_net sign": binary(quantizers.IRNetSign),
    "r_sign per channel": binary(quantizers.RSign),
    "r_sign": binary(quantizers.RSign, axis=None),
    "ada_bin inputs": binary(quantizers.AdaBinSign),
    "xnor": binary(quantizers.XNOR),
    "xnor per channel": binary(quantizers.XNOR, axis=-1, has_fixed_scale=True),
    "xnor over two axes": binary(quantizers.XNOR, axis=(1, 2)),
    "ir_net": binary(quantizers.IRNet),
    "ir_net per channel": binary(quantizers.IRNet, axis=-1),
    "ada_bin": binary(quantizers.AdaBin, has_xla_bits=False),
    "ada_bin per channel": binary(quantizers.AdaBin, has_xla_bits=False, axis=-1),
}
WIDTHS = [(name, num_bits) for name in TABLE for num_bits in TABLE[name].widths]
LEARNED = [
    name for name in TABLE if name.startswith(("lsq", "pact", "ttq sym", "ttq per", "ada_bin inp"))
]
IS_BINARY = {name: TABLE[name].widths == (1,) for name in TABLE}
CLASSES = sorted({type(made()) for made in TABLE.values()}, key=lambda cls: cls.__name__)

each = pytest.mark.parametrize("name", TABLE)


def draw(seed, spread=1.0, size=32):
    """Returns values with both signs, zeros and outliers, (size, 3, 4)."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(size, *FEATURES)) * [0.2, 1.0, 3.0, 0.7] * spread
    values[:3] = np.reshape([0.0, 40.0 * spread, -40.0 * spread], (3, 1, 1))
    return values.astype(np.float32)


def calibrated(name, num_bits=None):
    quantizer = TABLE[name](num_bits)
    quantizer.initialize(draw(0))
    return quantizer


def state(quantizer):
    return [weight.numpy() for weight in quantizer.weights]


def assert_same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


def run_quantizer(name, quantizer, values):
    """Returns outputs, decoded codes and codes; outputs for all of them where it has no codes."""
    outputs = quantizer(values)
    if not TABLE[name].has_codes:
        return outputs, outputs, outputs
    encoded = quantizer.encode(values)
    return outputs, quantizer.decode(encoded), encoded.codes


def number(value):
    return float(keras.ops.convert_to_numpy(value))


def assert_range(quantizer):
    q_min, q_max = number(quantizer.q_min), number(quantizer.q_max)
    half = 2 ** (quantizer.num_bits - 1)
    if quantizer.num_bits == 1:
        assert (q_min, q_max) == (-1, 1)
    elif type(quantizer) is quantizers.DoReFaWeights and not quantizer.narrow_range:
        assert (q_min, q_max) == (1 - 2 * half, 2 * half - 1)
    elif type(quantizer) is quantizers.LSQPlus or getattr(quantizer, "asymmetric", False):
        assert q_max - q_min == 2 * half - 1 and q_min < 0 < q_max
    elif quantizer.signed is False:
        assert (q_min, q_max) == (0, 2 * half - 1)
    else:  # the values of draw() have both signs
        assert (q_min, q_max) == (quantizer.narrow_range - half, half - 1)


@pytest.mark.parametrize(
    ("name", "num_bits"), [pair for pair in WIDTHS if TABLE[pair[0]].has_codes]
)
def test_every_output_is_an_integer_in_the_code_range_times_the_step(name, num_bits):
    quantizer = calibrated(name, num_bits)
    assert_range(quantizer)
    values = draw(1)
    encoded, outputs = quantizer.encode(values), quantizer(values).numpy()
    codes, step_size = encoded.codes.numpy(), encoded.step_size.numpy()
    assert codes.dtype == np.int32 and step_size.dtype == np.float32
    assert number(quantizer.q_min) <= codes.min() and codes.max() <= number(quantizer.q_max)
    assert np.all(step_size > 0)
    assert (encoded.offset is not None) == getattr(quantizer, "has_offset", False)
    offset = 0 if encoded.offset is None else encoded.offset.numpy()
    np.testing.assert_array_equal(outputs, codes.astype(np.float32) * step_size + offset)
    assert num_bits > 1 or set(codes.ravel()) == {-1, 1}
    np.testing.assert_array_equal(quantizer.decode(encoded), outputs)


@pytest.mark.parametrize("name", [name for name in TABLE if "sign from data" in name])
def test_data_without_a_negative_value_makes_the_range_unsigned(name):
    quantizer = TABLE[name](4)
    quantizer.initialize(np.abs(draw(0)))
    assert (number(quantizer.q_min), number(quantizer.q_max)) == (0, 15)
    assert quantizer.encode(draw(1)).codes.numpy().min() == 0


@pytest.mark.parametrize("name", [n for n in TABLE if n != "dorefa weights" and not IS_BINARY[n]])
def test_zero_is_exactly_zero(name):
    outputs = calibrated(name)(draw(1)).numpy()
    np.testing.assert_array_equal(outputs[0], np.zeros(FEATURES))


@pytest.mark.parametrize("name", [n for n in TABLE if IS_BINARY[n] and "ada_bin" not in n])
def test_the_sign_of_zero_is_plus_one(name):
    values = np.concatenate([draw(1), -draw(1)])  # the mean is 0
    quantizer = TABLE[name]()
    quantizer.initialize(values)
    assert np.all(quantizer.encode(values).codes.numpy()[values == 0] == 1)
    assert np.any(values == 0)


@each
def test_a_graph_with_unknown_batch_gives_the_bits_of_eager_mode(name):
    quantizer = calibrated(name)

    @tf.function(input_signature=[tf.TensorSpec((TABLE[name].batch, *FEATURES))])
    def run(values):
        return run_quantizer(name, quantizer, values)

    for size in (7, 32) if TABLE[name].batch is None else (32,):
        values = draw(2, size=size)
        called, decoded, codes = run(values)
        np.testing.assert_array_equal(called, quantizer(values))
        np.testing.assert_array_equal(decoded, called)
        np.testing.assert_array_equal(codes, run_quantizer(name, quantizer, values)[-1])


@each
def test_the_first_batch_and_gradients_work_in_a_graph_with_unknown_batch(name):
    quantizer = TABLE[name]()
    quantizer.build((TABLE[name].batch, *FEATURES))

    @tf.function(input_signature=[tf.TensorSpec((TABLE[name].batch, *FEATURES))])
    def run(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = quantizer(values, training=True)
        return tape.gradient(outputs, [values, *quantizer.trainable_variables])

    gradients = run(draw(0))
    assert quantizer.is_calibrated
    for gradient, weight in zip(gradients[1:], quantizer.trainable_variables, strict=True):
        assert gradient.shape == weight.shape
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    expected = calibrated(name)
    for one, other in zip(state(quantizer), state(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@each
def test_xla_calls_and_codes_agree_bit_for_bit(name):
    quantizer = calibrated(name)

    @tf.function(jit_compile=True)
    def run(values):
        return run_quantizer(name, quantizer, values)

    values = draw(2)
    called, decoded, codes = run(values)
    np.testing.assert_array_equal(called, decoded)
    if TABLE[name].has_xla_bits:
        np.testing.assert_array_equal(called, quantizer(values))
    else:  # codes part only where a value lies within a float of a border
        np.testing.assert_allclose(called, quantizer(values), rtol=1e-6)
    np.testing.assert_array_equal(codes, run_quantizer(name, quantizer, values)[-1])


@each
def test_the_config_survives_json(name):
    quantizer = TABLE[name]()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(quantizer)))
    restored = keras.saving.deserialize_keras_object(config)
    assert type(restored) is type(quantizer)
    assert restored.get_config() == quantizer.get_config()
    assert type(quantizer).from_config(quantizer.get_config()).get_config() == restored.get_config()


@each
def test_a_keras_file_restores_outputs_and_state_exactly(name, tmp_path):
    model = keras.Sequential(
        [keras.Input(batch_shape=(TABLE[name].batch, *FEATURES)), TABLE[name]()]
    )
    quantizer = model.layers[-1]
    assert quantizer.is_calibrated is not quantizer.needs_data
    quantizer.initialize(draw(0))
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert restored.layers[-1].is_calibrated
    assert_same(state(restored.layers[-1]), state(quantizer))
    np.testing.assert_array_equal(restored(draw(1)), model(draw(1)))
    restored.layers[-1](draw(3, spread=9.0), training=True)
    assert_same(state(restored.layers[-1]), state(quantizer))


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_inputs_keep_their_type_and_are_computed_in_float32(name, dtype):
    quantizer = calibrated(name)
    values = tf.cast(draw(1), dtype)
    outputs = quantizer(values)
    assert outputs.dtype == dtype
    wide = quantizer(tf.cast(values, tf.float32))
    np.testing.assert_array_equal(outputs, tf.cast(wide, dtype))
    if TABLE[name].has_codes:
        codes = quantizer.encode(tf.cast(values, tf.float32)).codes
        np.testing.assert_array_equal(quantizer.encode(values).codes, codes)


@each
def test_the_first_training_batch_initialises_and_the_second_does_not(name):
    quantizer = TABLE[name]()
    quantizer.build((TABLE[name].batch, *FEATURES))
    untouched = state(quantizer)
    quantizer(draw(0))
    quantizer(draw(0), training=False)
    assert_same(state(quantizer), untouched)
    assert quantizer.is_calibrated is not quantizer.needs_data
    quantizer(draw(0), training=True)
    assert quantizer.is_calibrated
    expected = state(calibrated(name))
    assert_same(state(quantizer), expected)
    quantizer(draw(3, spread=9.0), training=True)
    assert_same(state(quantizer), expected)


@each
def test_training_does_not_initialise_what_data_already_did(name):
    quantizer = calibrated(name)
    before = state(quantizer)
    quantizer(draw(3, spread=9.0), training=True)
    assert_same(state(quantizer), before)


@each
def test_initialising_from_values_that_are_not_finite_is_refused(name):
    quantizer = calibrated(name)
    before = state(quantizer)
    for bad in (np.nan, np.inf, -np.inf):
        values = draw(3, spread=9.0)
        values[5, 1, 2] = bad
        with pytest.raises(ValueError, match="finite values.*NaN or infinity"):
            quantizer.initialize(values)
    assert_same(state(quantizer), before)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("num_bits", [0, 1, 9, -4, 4.0, True, "4", None])
def test_a_bad_width_is_refused_by_name_and_value(cls, num_bits):
    if issubclass(cls, quantizers.BinaryQuantizer) and num_bits == 1 and num_bits is not True:
        num_bits = 2
    with pytest.raises(ValueError, match="num_bits") as error:
        cls(num_bits=num_bits)
    assert f"num_bits={num_bits!r}" in str(error.value)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_unknown_rule_is_refused(cls):
    with pytest.raises(ValueError, match=r"`init` must be one of.*'median'"):
        cls(num_bits=1 if issubclass(cls, quantizers.BinaryQuantizer) else 2, init="median")


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("direction", [-1.0, 1.0])
def test_a_huge_learning_rate_leaves_the_steps_positive(name, direction):
    quantizer = calibrated(name)
    optimizer = keras.optimizers.SGD(1e6)
    values = tf.constant(draw(1))
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = direction * tf.reduce_sum(quantizer(values, training=True))
        variables = quantizer.trainable_variables
        assert variables
        optimizer.apply(tape.gradient(loss, variables), variables)
    encoded = quantizer.encode(values)
    assert np.all(encoded.step_size.numpy() > 0)
    assert np.all(np.isfinite(quantizer(values)))
    np.testing.assert_array_equal(quantizer.decode(encoded), quantizer(values))


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name].has_free_step])
def test_ties_round_half_to_even(name):
    step = 0.25
    quantizer = calibrated(name)
    if hasattr(quantizer, "step_size"):
        quantizer.step_size.assign(np.full(quantizer.step_size.shape, step))
    else:
        limit = quantizer.alpha if hasattr(quantizer, "alpha") else quantizer.range
        limit.assign(step * number(quantizer.q_max))
    ties = (np.arange(-24, 24) + 0.5).astype(np.float32)
    values = np.repeat(ties, 12).reshape(-1, *FEATURES) * np.float32(step)
    encoded = quantizer.encode(values)
    np.testing.assert_array_equal(encoded.step_size, np.full(encoded.step_size.shape, step))
    expected = np.clip(np.rint(values / step), number(quantizer.q_min), number(quantizer.q_max))
    np.testing.assert_array_equal(encoded.codes, expected)
    np.testing.assert_array_equal(quantizer(values), expected * step)


@pytest.mark.parametrize("name", [name for name in TABLE if "channel" in name or "axes" in name])
def test_each_channel_is_quantized_as_if_it_were_alone(name):
    quantizer = calibrated(name)
    axis = quantizer.axis
    values = draw(1)
    outputs = quantizer(values).numpy()
    config = {**quantizer.get_config(), "axis": None, "name": "alone"}
    for place in np.ndindex(FEATURES if isinstance(axis, tuple) else FEATURES[-1:]):
        select = (..., *place)
        alone = type(quantizer).from_config(config)
        alone.initialize(draw(0)[select])
        np.testing.assert_allclose(outputs[select], alone(values[select]), rtol=1e-5, atol=1e-6)
