"""The layer on one edge."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import quantizers, wrappers

VALUES = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)


def calibrated(quantizer=None, **options):
    layer = wrappers.QuantizeActivation(quantizer or quantizers.LSQ(4, signed=None), **options)
    layer(VALUES, training=True)
    layer.quantizer.initialize(VALUES)
    return layer


@pytest.mark.parametrize("training", [True, False, None])
def test_it_quantizes_as_its_quantizer(training):
    layer = calibrated()
    np.testing.assert_array_equal(layer(VALUES, training=training), layer.quantizer(VALUES))


def test_the_first_training_batch_initialises():
    layer = wrappers.QuantizeActivation(quantizers.LSQ(4, signed=None))
    layer(VALUES)
    assert not layer.quantizer.is_calibrated
    layer(VALUES, training=True)
    assert layer.quantizer.is_calibrated


@pytest.mark.parametrize(
    "quantizer",
    [
        quantizers.LSQ(4, signed=None),
        quantizers.PACT(4, signed=True),
        quantizers.LSQPlus(4),
        quantizers.UniformAffine(4, asymmetric=True),
    ],
    ids=lambda quantizer: type(quantizer).__name__,
)
def test_the_grid_holds_the_values(quantizer):
    layer = calibrated(quantizer, return_grid=True)
    outputs, grid = layer(VALUES)
    step_size, q_min, q_max = grid.numpy()
    codes = outputs.numpy() / step_size
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-5)
    assert q_min - 1e-5 <= codes.min() and codes.max() <= q_max + 1e-5
    assert q_max - q_min in (14, 15)
    assert outputs.shape == VALUES.shape and grid.dtype == tf.float32


def test_only_in_evaluation_leaves_training_alone():
    layer = calibrated(only_in_evaluation=True)
    np.testing.assert_array_equal(layer(VALUES, training=True), VALUES)
    np.testing.assert_array_equal(layer(VALUES, training=False), layer.quantizer(VALUES))


def test_the_config_round_trips():
    layer = wrappers.QuantizeActivation(
        quantizers.PACT(3, signed=False), return_grid=True, only_in_evaluation=True
    )
    restored = wrappers.QuantizeActivation.from_config(layer.get_config())
    assert restored.get_config() == layer.get_config()
    assert type(restored.quantizer) is quantizers.PACT and restored.return_grid


def test_a_keras_file_restores_values_and_grid_exactly(tmp_path):
    inputs = keras.Input((5,))
    layer = wrappers.QuantizeActivation(quantizers.LSQ(4, signed=None), return_grid=True)
    model = keras.Model(inputs, layer(inputs))
    layer.quantizer.initialize(VALUES)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(restored(VALUES), model(VALUES), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_symbolic_shape_and_type_are_the_real_ones(dtype):
    layer = calibrated(return_grid=True)
    outputs, grid = layer(tf.cast(VALUES, dtype))
    symbolic, symbolic_grid = layer(keras.Input((5,), dtype=dtype))
    assert symbolic.shape == (None, 5) and symbolic.dtype == outputs.dtype == dtype
    assert symbolic_grid.shape == grid.shape == (3,)


def test_one_step_a_channel_is_refused():
    with pytest.raises(ValueError, match="one step size for the tensor.*axis=-1"):
        wrappers.QuantizeActivation(quantizers.LSQ(4, axis=-1))
