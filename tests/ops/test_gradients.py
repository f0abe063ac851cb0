"""Gradients of products: of the compiled ops, of the plain form, and their closed form in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tests.ops.cases import PRODUCTS, Dense, real_parameters
from tfq_lowbit import ops
from tfq_lowbit.ops.gradients import sign_ste
from tfq_lowbit.packing import pack_filter

NAMES = ("zeros around", "dilation and stride", "groups within a word", "dense, ternary")
# Sums of a few hundred float32 products, in another order.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-3}


def draw(case):
    values, weights = case.draw()
    thresholds = np.random.default_rng(4).standard_normal(case.channels_in).astype(np.float32)
    distances = np.random.default_rng(5).random(values.shape) * 2
    x = (thresholds + values * distances).astype(np.float32)
    return (x[:, 0, 0] if isinstance(case, Dense) else x), thresholds, weights


def gradients(case, x, thresholds, weights, parameters):
    """Returns the output and the gradients of its product with a fixed upstream gradient."""
    variables = {name: tf.constant(value) for name, value in parameters.items()}
    variables |= {"x": tf.constant(x), "thresholds": tf.constant(thresholds)}
    with tf.GradientTape() as tape:
        tape.watch(variables)
        given = {name: variables[name] for name in parameters}
        y = case.run(
            variables["x"],
            pack_filter(weights),
            ops.RealOutput(**given),
            input_thresholds=variables["thresholds"],
        )
    return y, tape.gradient(y, variables, upstream_of(y.shape))


def upstream_of(shape):
    return tf.constant(np.random.default_rng(6).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_of_an_affine_output_are_the_closed_form(name, kernels):
    case = PRODUCTS[name]
    x, thresholds, weights = draw(case)
    parameters = {k: v for k, v in real_parameters(case).items() if k in ("multiplier", "bias")}
    y, found = gradients(case, x, thresholds, weights, parameters)
    upstream = upstream_of(y.shape).numpy()
    image = (case.batch, *case.image, case.channels_in)
    over = tuple(range(upstream.ndim - 1))

    np.testing.assert_allclose(found["bias"], upstream.sum(axis=over), **TOLERANCE)
    signs = np.where(x < thresholds, -1.0, 1.0)
    acc = case.accumulate(signs.reshape(image), weights)[0].reshape(upstream.shape)
    np.testing.assert_allclose(found["multiplier"], (upstream * acc).sum(axis=over), **TOLERANCE)
    # The gradient is the adjoint of a linear map: compared along random directions.
    inside = np.abs(x - thresholds) <= 1
    assert 0.1 < inside.mean() < 0.9
    assert not found["x"].numpy()[~inside].any()
    scaled = upstream * parameters["multiplier"]
    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal(x.shape) * inside
        zero = np.zeros(image)
        change = case.accumulate(direction.reshape(image), weights)[0]
        change = change - case.accumulate(zero, weights)[0]  # the padding's part
        wanted = (scaled * change.reshape(upstream.shape)).sum()
        np.testing.assert_allclose((found["x"] * direction).numpy().sum(), wanted, **TOLERANCE)
    to_thresholds = -found["x"].numpy().sum(axis=tuple(range(x.ndim - 1)))
    np.testing.assert_allclose(found["thresholds"], to_thresholds, **TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_compiled_and_plain_gradients_are_the_same(name, compiled, monkeypatch):
    case = PRODUCTS[name]
    x, thresholds, weights = draw(case)
    arguments = case, x, thresholds, weights, real_parameters(case)
    y, found = gradients(*arguments)
    in_graph = tf.function(lambda: gradients(*arguments))()
    monkeypatch.setattr(ops.library, "compiled", lambda: None)
    y_plain, wanted = gradients(*arguments)
    np.testing.assert_array_equal(y, y_plain)
    assert set(found) == {"x", "thresholds", *real_parameters(case)}
    for key, gradient in wanted.items():
        assert np.any(gradient)
        np.testing.assert_array_equal(found[key], gradient)
        np.testing.assert_allclose(in_graph[1][key], gradient, **TOLERANCE)


def test_an_integer_bias_shifts_what_the_multiplier_sees(kernels):
    multiplier = tf.constant([2.0])
    output = lambda m: ops.RealOutput(m, integer_bias=[5])  # noqa: E731
    with tf.GradientTape() as tape:
        tape.watch(multiplier)
        y = ops.bdense(tf.ones((1, 3)), pack_filter(np.ones((3, 1))), output(multiplier), 3)
    assert y.numpy().item() == 16.0
    assert tape.gradient(y, multiplier).numpy().tolist() == [8.0]


def test_parameters_have_gradients_for_packed_inputs_too(kernels):
    case = PRODUCTS["W1A2"]
    values, weights = case.draw()
    multiplier = tf.constant(real_parameters(case)["multiplier"])
    with tf.GradientTape() as tape:
        tape.watch(multiplier)
        y = case.run(case.words(values), pack_filter(weights), ops.RealOutput(multiplier))
    acc = case.accumulate(values, weights)[0]
    gradient = tape.gradient(y, multiplier, tf.ones_like(y))
    np.testing.assert_array_equal(gradient, acc.sum(axis=(0, 1, 2)))


def test_packed_and_int8_outputs_have_no_gradient(kernels):
    x = tf.ones((1, 3))
    for output in (ops.Int8Output(1.0), ops.SignOutput(0)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(ops.bdense(x, pack_filter(np.ones((3, 1))), output, 3), tf.float32)
        assert tape.gradient(y, x) is None


def test_the_sign_passes_its_gradient_in_a_window():
    x = tf.constant([-1.5, -1.0, -0.25, 0.5, 2.0, 2.5])
    threshold = tf.constant(0.5)
    upstream = tf.constant([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    with tf.GradientTape() as tape:
        tape.watch([x, threshold])
        y = sign_ste(x, threshold)
    np.testing.assert_array_equal(y, [-1, -1, -1, 1, 1, 1])
    to_x, to_threshold = tape.gradient(y, [x, threshold], upstream)
    np.testing.assert_array_equal(to_x, [0, 0, 4, 8, 0, 0])
    assert to_threshold.numpy() == -12.0
