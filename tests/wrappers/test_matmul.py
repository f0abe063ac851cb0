"""Products of two tensors, and the causal mask."""

import keras
import numpy as np

from tfq_lowbit.wrappers import CausalMask, MatMul
from tfq_lowbit.wrappers.matmul import MASKED_SCORE


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_it_multiplies_the_last_two_axes():
    left, right = draw(2, 3, 4, 5), draw(2, 3, 5, 6, seed=1)
    np.testing.assert_allclose(MatMul()([left, right]), left @ right, rtol=1e-5, atol=1e-5)
    layer = MatMul(transpose_right=True, scale=0.5)
    turned = right.swapaxes(-1, -2)
    np.testing.assert_allclose(layer([left, turned]), 0.5 * left @ right, rtol=1e-5, atol=1e-5)
    assert layer.compute_output_shape([left.shape, turned.shape]) == (2, 3, 4, 6)


def test_later_steps_are_bounded():
    scores = 20 * draw(2, 4, 5)
    masked = CausalMask()(scores).numpy()
    is_later = np.arange(5) > np.arange(4)[:, None]
    np.testing.assert_array_equal(masked[:, ~is_later], scores[:, ~is_later])
    expected = np.minimum(scores[:, is_later], MASKED_SCORE)
    np.testing.assert_array_equal(masked[:, is_later], expected)


def test_both_are_saved_and_loaded(tmp_path):
    left, right = keras.Input((4, 5)), keras.Input((4, 5))
    outputs = CausalMask()(MatMul(transpose_right=True, scale=0.5)([left, right]))
    model = keras.Model([left, right], outputs)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    values = [draw(2, 4, 5), draw(2, 4, 5, seed=1)]
    np.testing.assert_array_equal(loaded(values), model(values))
