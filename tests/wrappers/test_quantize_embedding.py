"""An embedding trains and saves with a quantized table."""

import keras
import numpy as np
import pytest

from tfq_lowbit import quantizers
from tfq_lowbit.wrappers import QuantizeEmbedding


def wrapped(**options):
    table = quantizers.LSQ(4, narrow_range=True, axis=0, init="mse")
    return QuantizeEmbedding(keras.layers.Embedding(10, 6, "normal", **options), table)


def test_rows_are_those_of_the_quantized_table():
    layer = wrapped()
    rows = np.array([[0, 9, 3], [3, 3, 1]])
    outputs = layer(rows)
    encoded = layer.kernel_quantizer.encode(layer.latent_weights)
    table = layer.kernel_quantizer.decode(encoded).numpy()
    np.testing.assert_array_equal(outputs, table[rows])
    assert encoded.step_size.shape == (10, 1) and len(np.unique(encoded.step_size)) == 10
    assert np.abs(encoded.codes).max() == 7


def test_training_moves_the_rows_and_steps_that_were_looked_up(tmp_path):
    model = keras.Sequential([keras.Input((2,), dtype="int32"), wrapped(name="table")])
    layer = model.get_layer("table")
    before = layer.latent_weights.numpy(), layer.kernel_quantizer.step_size.numpy()
    rows = np.array([[1, 2], [2, 4]])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(rows, np.ones((2, 2, 6)), epochs=2, verbose=0)
    moved = [
        np.any(np.array(one) != np.array(other), axis=1)
        for one, other in zip(
            before, (layer.latent_weights, layer.kernel_quantizer.step_size), strict=True
        )
    ]
    assert np.flatnonzero(moved[0]).tolist() == np.flatnonzero(moved[1]).tolist() == [1, 2, 4]
    model.save(tmp_path / "m.keras")
    restored = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(restored(rows), model(rows))


def test_the_mask_of_an_embedding_reaches_the_layers_behind():
    rows = keras.Input((4,), dtype="int32")
    made = keras.layers.GlobalAveragePooling1D()(wrapped(mask_zero=True)(rows))
    model = keras.Model(rows, made)
    values = np.array([[3, 5, 0, 0], [3, 5, 5, 3]])
    outputs = model.predict(values, verbose=0)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6)


def test_another_layer_is_refused():
    with pytest.raises(ValueError, match=r"keras\.layers\.Embedding.*'d' of class Dense"):
        QuantizeEmbedding(keras.layers.Dense(3, name="d"), quantizers.LSQ(4))
