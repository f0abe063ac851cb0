import keras
import numpy as np
import tensorflow as tf

from tfq_lowbit.wrappers import RPReLU

VALUES = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
SHIFT_IN = np.array([0.5, -0.25, VALUES[7, 2]], np.float32)  # one value lies on the knee
SLOPE = np.array([0.25, -0.5, 1.5], np.float32)
SHIFT_OUT = np.array([-1.0, 0.0, 2.0], np.float32)


def trained():
    layer = RPReLU(name="mine")
    layer.build((None, 3))
    layer.shift_in.assign(SHIFT_IN)
    layer.slope.assign(SLOPE)
    layer.shift_out.assign(SHIFT_OUT)
    return layer


def test_values_below_the_knee_are_scaled():
    distance = VALUES - SHIFT_IN
    expected = np.where(VALUES > SHIFT_IN, distance, SLOPE * distance) + SHIFT_OUT
    np.testing.assert_array_equal(trained()(VALUES), expected)


def test_it_starts_as_a_parametric_relu():
    expected = np.where(VALUES > 0, VALUES, np.float32(0.25) * VALUES)
    np.testing.assert_array_equal(RPReLU()(VALUES), expected)
    expected = np.where(VALUES > 0, VALUES, 0)
    np.testing.assert_array_equal(RPReLU(initial_slope=0.0)(VALUES), expected)


def test_gradients_equal_the_closed_form():
    layer = trained()
    values = tf.constant(VALUES)
    upstream = np.random.default_rng(1).normal(size=VALUES.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = layer(values)
    variables = [values, layer.shift_in, layer.slope, layer.shift_out]
    to_values, *others = tape.gradient(outputs, variables, tf.constant(upstream))
    is_above = VALUES > SHIFT_IN
    expected = upstream * np.where(is_above, 1, SLOPE)
    np.testing.assert_allclose(to_values, expected, rtol=1e-6)
    below = upstream * ~is_above * (VALUES - SHIFT_IN)
    for found, parts in zip(others, (-expected, below, upstream), strict=True):
        np.testing.assert_allclose(found, parts.sum(axis=0), rtol=1e-4, atol=1e-5)


def test_a_keras_file_restores_it(tmp_path):
    model = keras.Sequential([keras.Input((3,)), trained()])
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(restored(VALUES), model(VALUES))
    config = RPReLU(initial_slope=0.1).get_config()
    assert RPReLU.from_config(config).initial_slope == 0.1


def test_it_works_on_images_in_half_precision(mixed_float16):
    layer = RPReLU()
    outputs = layer(VALUES.reshape(2, 5, 5, 3))
    assert outputs.shape == (2, 5, 5, 3) and outputs.dtype == tf.float16
    assert layer.slope.dtype == "float32"
