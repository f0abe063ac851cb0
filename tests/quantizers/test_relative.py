"""A trained number as a multiple of its first value."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit.quantizers.relative import SMALLEST_RATIO, RelativeVariable


@pytest.fixture
def number():
    made = RelativeVariable(keras.layers.Layer(), "step_size", ())
    made.assign(0.02)
    return made


def descend(number, optimizer, steps=1):
    """Minimize `3 * value`."""
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = 3.0 * number.value
        optimizer.apply([tape.gradient(loss, number.ratio.value)], [number.ratio])
    return number.numpy()


def test_the_value_is_what_was_assigned(number):
    assert number.numpy() == np.float32(0.02)
    assert float(number.ratio.value) == 1.0
    np.testing.assert_array_equal(np.asarray(number), np.float32(0.02))


def test_gradient_descent_moves_the_value_as_if_it_were_the_variable(number):
    moved = descend(number, keras.optimizers.SGD(1e-3))
    np.testing.assert_allclose(moved, 0.02 - 1e-3 * 3.0, rtol=1e-5)


def test_adam_moves_the_value_by_a_fraction_of_itself(number):
    moved = descend(number, keras.optimizers.Adam(1e-3))
    np.testing.assert_allclose(moved, 0.02 * (1 - 1e-3), rtol=1e-5)


def test_the_value_stays_positive(number):
    smallest = descend(number, keras.optimizers.SGD(1e3), steps=3)
    np.testing.assert_allclose(smallest, 0.02 * SMALLEST_RATIO, rtol=1e-5)


def test_a_number_of_any_sign_keeps_its_reference():
    number = RelativeVariable(keras.layers.Layer(), "offset", (), is_positive=False)
    number.assign(-0.3, reference=0.1)
    np.testing.assert_allclose(number.ratio, -3.0, rtol=1e-6)
    number.assign(0.0)
    assert number.numpy() == 0.0
    np.testing.assert_allclose(number.reference, 0.1, rtol=1e-6)
