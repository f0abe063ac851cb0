"""The sum of codes as the integer kernel rounds it: equal to the exporter's operator everywhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfq_lowbit as tfq
from tfq_lowbit.export import KERAS_LITERT
from tfq_lowbit.export.operators import Add, Subtract
from tfq_lowbit.export.program import Grid, Tensor
from tfq_lowbit.wrappers.kernel_sum import sum_on_grid

layers = keras.layers
SCALES = np.random.default_rng(0).uniform(0.01, 3.0, (12, 3)).astype(np.float32)
SCALES[0], SCALES[1] = 1.0, (0.5, 0.5, 1.0)  # ties
SCALES[2] = (0.002, 1.7, 1.0)
ALL_PAIRS = np.stack(np.meshgrid(np.arange(256), np.arange(-127, 128)), -1).reshape(-1, 2)


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("operator", [Add, Subtract])
def test_a_sum_is_the_operators_for_all_codes(scales, operator):
    left, right, output = scales
    grids = [Grid(left, -128), Grid(right, 0), Grid(output, 0)]
    tensors = [Tensor("", (None,), grid) for grid in grids]
    codes = ALL_PAIRS.astype(np.float32)
    expected = operator("", *tensors).compute(tf.constant(codes[:, 0] - 128), codes[:, 1])
    values = [codes[:, 0] * left, codes[:, 1] * right]
    packed = [np.array([scale, -127, 255], np.float32) for scale in (left, right)]
    total = sum_on_grid(values, packed, output, operator.sign)
    found = np.clip(np.rint(np.asarray(total) / output), -128, 127)
    np.testing.assert_array_equal(found, expected)


def network(merge, *behind, width=64):
    inputs = [keras.Input((width,), name=name) for name in ("left", "right")]
    x = merge(name="merge")(inputs)
    for layer in behind:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(2, name="dense")(x))


COUNT, WIDTH = 32, 8192
NETWORKS = {
    "sum": lambda: network(layers.Add, width=WIDTH),
    "rectified sum": lambda: network(layers.Add, layers.ReLU(), width=WIDTH),
    "difference": lambda: network(layers.Subtract, width=WIDTH),
    "sum and linear": lambda: network(layers.Add, layers.Activation("linear"), width=WIDTH),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_keras_and_the_runtime_sum_alike(name, tmp_path):
    random = np.random.default_rng(1)
    data = [random.normal(size=(COUNT, WIDTH)).astype(np.float32) * scale for scale in (1.0, 0.37)]
    model = NETWORKS[name]()
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    path = tmp_path / "model.tflite"
    tfq.export_tflite(quantized, path)
    found = tfq.verify(quantized, path, data, per_layer=True).layers
    sums = [pairs[KERAS_LITERT] for name, pairs in found.items() if KERAS_LITERT in pairs]
    # Only the dense layer, of which there are few codes, is still computed in reals.
    assert [each.is_exact for each in sums if each.count == COUNT * WIDTH] == [True] * 3


def test_a_bounded_sum_is_left_to_the_quantizer(tmp_path):
    model = network(layers.Add, layers.ReLU(6))
    data = [
        np.random.default_rng(seed).normal(0, 3, (50, 64)).astype(np.float32) for seed in (0, 1)
    ]
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    path = tmp_path / "model.tflite"
    tfq.export_tflite(quantized, path)
    assert tfq.verify(quantized, path, data).equal_fraction > 0.99


def test_a_sum_trains_as_before(tmp_path):
    model = network(layers.Add, layers.ReLU())
    data = [np.random.default_rng(seed).normal(size=(8, 64)).astype(np.float32) for seed in (0, 1)]
    quantized = tfq.quantize_model(model, tfq.Recipe.lsq(8, 8), data)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        quantized.predict(data, verbose=0), loaded.predict(data, verbose=0)
    )
    loaded.compile("sgd", "mse")
    before = np.asarray(loaded.get_layer("dense").layer.kernel)
    loaded.fit(data, np.ones((8, 2), np.float32), verbose=0)
    assert np.any(np.asarray(loaded.get_layer("dense").layer.kernel) != before)
