"""Steps moved into the batch."""

import keras
import numpy as np

from tfq_lowbit.wrappers import FoldBatch


def test_the_batch_takes_what_the_shape_does_not(tmp_path):
    inputs = keras.Input((4, 6))
    model = keras.Model(inputs, FoldBatch((4, 3))(FoldBatch((3,))(inputs)))
    values = np.arange(48, dtype=np.float32).reshape(2, 4, 6)
    np.testing.assert_array_equal(model(values), values.reshape(4, 4, 3))
    assert model.output.shape == (None, 4, 3)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(values), model(values))
