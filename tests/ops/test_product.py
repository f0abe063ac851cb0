"""Products of packed inputs, bit for bit, against integers in NumPy."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.custom_ops import reference
from tests.ops.cases import CONVOLUTIONS, PRODUCTS, WAYS, Convolution, Dense, outputs
from tfq_lowbit import ops
from tfq_lowbit.ops import library
from tfq_lowbit.packing import pack_filter

ONE = ops.RealOutput(1.0)


def input_of(case, values):
    return values[:, 0, 0] if isinstance(case, Dense) else values


def expected_of(case, values, weights):
    accumulators = case.accumulate(values, weights)
    return [input_of(case, expect(*accumulators)) for _, expect in outputs(case)]


def all_outputs(case, weights, **arguments):
    """A function from inputs to everything that can become of a product."""
    filter_bits = pack_filter(weights)
    assert (filter_bits.ndim == 3) == case.is_ternary
    return lambda x: [case.run(x, filter_bits, output, **arguments) for output, _ in outputs(case)]


def assert_all_equal(results, expected):
    for result, wanted in zip(results, expected, strict=True):
        result = np.asarray(result)
        assert result.dtype == wanted.dtype
        np.testing.assert_array_equal(result, wanted)


# Every product in two ways, a few in every way.
FEW = ("128 to 64", "ternary A2", "dense, 33 to 31")
IN_WAYS = [(n, w) for n in PRODUCTS for w in (WAYS if n in FEW else (WAYS[0], WAYS[2]))]


@pytest.mark.parametrize(("name", "way"), IN_WAYS)
def test_a_product_equals_integer_arithmetic(name, kernels, way):
    case = PRODUCTS[name]
    values, weights = case.draw()
    results = way(all_outputs(case, weights), input_of(case, case.words(values)))
    assert_all_equal(results, expected_of(case, values, weights))


@pytest.mark.parametrize("way", [WAYS[0], WAYS[3]])
@pytest.mark.parametrize("name", ["128 to 64", "ternary groups", "dense, 33 to 31"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_float_inputs_are_binarized_by_their_thresholds(name, kernels, way, per_channel):
    case = PRODUCTS[name]
    values, weights = case.draw()
    generator = np.random.default_rng(5)
    thresholds = generator.standard_normal(case.channels_in if per_channel else ())
    thresholds = thresholds.astype(np.float32)
    # Some lie right on the threshold: that is +1.
    distances = generator.integers(0, 3, values.shape) * (values > 0) + (values < 0)
    x = thresholds + (values * distances).astype(np.float32)
    assert np.any(x == thresholds)
    function = all_outputs(case, weights, input_thresholds=thresholds)
    results = way(function, input_of(case, x))
    assert_all_equal(results, expected_of(case, values, weights))


@pytest.mark.parametrize("name", ["groups within a word", "W1A2", "dense, 33 to 31"])
def test_xla_does_not_change_the_plain_form(name, monkeypatch):
    monkeypatch.setattr(library, "compiled", lambda: None)
    case = PRODUCTS[name]
    values, weights = case.draw()
    function = tf.function(all_outputs(case, weights), jit_compile=True)
    results = function(input_of(case, case.words(values)))
    assert_all_equal(results, expected_of(case, values, weights))


def test_an_empty_batch_gives_an_empty_batch(compiled):
    case = Convolution(batch=0)
    values, weights = case.draw()
    results = all_outputs(case, weights)(case.words(values))
    assert_all_equal(results, expected_of(case, values, weights))


def test_a_dense_layer_takes_any_rank(kernels):
    values = np.random.default_rng(0).choice([-1, 1], (2, 3, 4, 40))
    weights = np.random.default_rng(1).choice([-1, 1], (40, 6))
    result = ops.bdense(reference.pack(values), pack_filter(weights), ONE, 40)
    np.testing.assert_array_equal(result, values @ weights)
    result = ops.bdense(reference.pack(values[0, 0, 0]), pack_filter(weights), ONE, 40)
    np.testing.assert_array_equal(result, values[0, 0, 0] @ weights)


def test_a_nan_becomes_the_lowest_code(kernels):
    output = ops.Int8Output([np.nan, np.inf], bias=[0.0, -np.inf], low=-99, high=99)
    x = tf.ones((1, 8))
    result = ops.bdense(x, pack_filter(np.ones((8, 2))), output, 8)
    assert result.numpy().tolist() == [[-99, -99]]


def test_rounding_is_half_to_even(kernels):
    weights = np.ones((1, 3))
    output = ops.Int8Output(0.5, bias=[0.0, 1.0, -3.0])
    result = ops.bdense(tf.ones((1, 1)), pack_filter(weights), output, 1)
    assert result.numpy().tolist() == [[0, 2, -2]]


@pytest.mark.parametrize("name", ["128 to 64", "dense, 1000 to 65"])
def test_every_instruction_set_gives_the_same(name, compiled, monkeypatch):
    case = PRODUCTS[name]
    values, weights = case.draw()
    expected = expected_of(case, values, weights)
    for kernel in ("portable", "avx2", "avx512", "neon"):
        monkeypatch.setenv("TFQ_FORCE_KERNEL", kernel)
        # A graph of its own makes new kernels, which look at the environment.
        function = tf.function(all_outputs(case, weights))
        try:
            results = function(input_of(case, case.words(values)))
        except tf.errors.InvalidArgumentError as error:
            assert kernel != "portable"
            assert "TFQ_FORCE_KERNEL must name kernels that this processor can run" in str(error)
        else:
            assert_all_equal(results, expected)


def test_a_changed_filter_or_output_is_seen(kernels):
    case = Convolution()
    values, _ = case.draw()
    words = tf.constant(case.words(values))
    weights = [case.draw(seed)[1] for seed in range(2)]
    ternary = np.where(np.random.default_rng(0).random(weights[0].shape) < 0.3, 0, weights[0])

    @tf.function
    def run(filter_bits, multiplier):
        return case.run(words, filter_bits, ops.RealOutput(multiplier))

    for kernel in (weights[0], weights[0], weights[1], ternary, weights[0]):
        for multiplier in (1.0, 2.0):
            result = run(pack_filter(kernel), tf.constant(multiplier))
            acc, _ = case.accumulate(values, kernel)
            np.testing.assert_array_equal(result, acc * multiplier)


def test_a_variable_changed_in_place_is_seen(kernels):
    case = Convolution(channels_in=64)
    values, weights = case.draw()
    filter_bits = tf.Variable(pack_filter(weights))

    @tf.function
    def run(words):
        return case.run(words, filter_bits, ONE)

    words = case.words(values)
    np.testing.assert_array_equal(run(words), case.accumulate(values, weights)[0])
    filter_bits.assign(pack_filter(-weights))
    np.testing.assert_array_equal(run(words), case.accumulate(values, -weights)[0])


def test_threads_share_an_operator_with_filters_of_their_own(compiled):
    case = Convolution(image=(6, 6), channels_in=64, channels_out=16)
    values, _ = case.draw()
    words = tf.constant(case.words(values))
    run = tf.function(lambda filter_bits: case.run(words, filter_bits, ONE))
    wrong = []

    def repeat(seed):
        _, weights = case.draw(seed)
        filter_bits, expected = pack_filter(weights), case.accumulate(values, weights)[0]
        for _ in range(100):
            if not np.array_equal(run(filter_bits), expected):
                wrong.append(seed)

    run(pack_filter(case.draw()[1]))
    threads = [threading.Thread(target=repeat, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_shapes_are_inferred_as_far_as_they_are_known(name, kernels):
    case = CONVOLUTIONS[name]
    values, weights = case.draw()
    words = case.words(values)
    function = tf.function(all_outputs(case, weights))
    results = all_outputs(case, weights)(words)
    for known in (words.shape, (None, None, case.image[1], words.shape[-1])):
        inferred = function.get_concrete_function(tf.TensorSpec(known, tf.int32)).outputs
        for tensor, result in zip(inferred, results, strict=True):
            expected = [
                axis if known[i] is not None else None for i, axis in enumerate(result.shape)
            ]
            assert tensor.shape.as_list() == expected
            assert tensor.dtype == result.dtype


FITTING = {
    "x": tf.zeros((1, 4, 4, 2), tf.int32),
    "filter_bits": np.zeros((4, 38), np.uint8),
    "output": ONE,
    "channels_in": 33,
    "kernel_size": (3, 3),
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"channels_in": 0}, "`channels_in` must be a positive multiple"),
        ({"groups": 2}, "`channels_in` must be a positive multiple.*33 channels in 2 groups"),
        ({"groups": 3}, r"shape \(channels_out, 13\).*multiple of 3 groups.*\(4, 38\)"),
        ({"kernel_size": (3, 0)}, r"`kernel_size` must be .*positive. Received: \(3, 0\)"),
        ({"strides": (0, 1)}, r"`strides` must be .*positive. Received: \(0, 1\)"),
        ({"dilation": (1,)}, r"`dilation` must be \(height, width\)"),
        ({"padding": "SAME"}, "`padding` must be one of .* Received: 'SAME'"),
        ({"num_planes": 2}, "`num_planes` must be 1 to 4 for codes, 1 for values"),
        ({"num_planes": 5, "has_codes": True}, "`num_planes` must be 1 to 4 for codes.*: 5"),
        ({"num_planes": 2, "has_codes": True}, r"shape \(batch, height, width, 4\)"),
        ({"x": tf.zeros((4, 4, 2), tf.int32)}, r"shape \(batch, height, width, 2\)"),
        ({"x": tf.zeros((1, 4, 4, 3), tf.int32)}, r"width, 2\) .*Received: \(1, 4, 4, 3\)"),
        ({"x": tf.zeros((1, 4, 4, 2))}, r"shape \(batch, height, width, 33\)"),
        ({"x": tf.zeros((1, 4, 4, 33)), "has_codes": True}, "packed words to hold codes"),
        ({"x": tf.zeros((1, 4, 4, 2), tf.int8)}, "int32 words or float32 values.*int8"),
        (
            {"filter_bits": np.zeros((4, 37), np.uint8)},
            r"shape \(channels_out, 38\), or.*\(4, 37\)",
        ),
        ({"filter_bits": np.zeros((3, 4, 38), np.uint8)}, r"Received: \(3, 4, 38\)"),
        ({"filter_bits": np.zeros((0, 38), np.uint8)}, r"Received: \(0, 38\)"),
        ({"x": tf.zeros((1, 4, 2, 2), tf.int32)}, r"at least as large as the window, \(3, 3\)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kernels, wrong, message):
    assert ops.bconv2d(**FITTING).shape == (1, 2, 2, 4)
    with pytest.raises(ValueError, match=message):
        ops.bconv2d(**FITTING | wrong)


def test_outputs_refuse_what_they_cannot_be():
    with pytest.raises(ValueError, match="At most one of the arguments `bias` and `integer_bias`"):
        ops.RealOutput(1.0, bias=0.0, integer_bias=0)
    for wrong in ({"low": 1, "high": 0}, {"low": -129}, {"high": 128}, {"zero_point": 200}):
        with pytest.raises(ValueError, match="must lie within int8"):
            ops.Int8Output(1.0, **wrong)
