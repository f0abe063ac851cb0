"""Means over axes, and inverse roots."""

import keras
import numpy as np
import pytest

from tfq_lowbit.wrappers import AxisMean, InverseRoot


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("axis", [1, -1, (1, 2), (-1, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_mean_is_over_its_axes(axis, keepdims):
    values, layer = draw(3, 4, 5, 6), AxisMean(axis, keepdims)
    expected = values.mean(axis, keepdims=keepdims)
    np.testing.assert_allclose(layer(values), expected, rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((None, 4, 5, 6))[1:] == expected.shape[1:]


def test_an_inverse_root_is_finite_from_zero_on():
    layer = InverseRoot(factor=4.0, epsilon=0.25)
    np.testing.assert_allclose(
        layer(np.array([-1.0, 0.0, 4.0], np.float32)), [2.0, 2.0, 16.25**-0.5]
    )


def test_both_are_saved_and_loaded(tmp_path):
    inputs = keras.Input((4, 5))
    outputs = InverseRoot(2.0, 0.5)(AxisMean(-1, keepdims=True)(inputs))
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "m.keras")
    values = draw(2, 4, 5)
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "m.keras")(values), model(values)
    )
