"""A tensor of weights that is no kernel."""

import keras
import numpy as np

from tfq_lowbit.wrappers import WeightTensor


def test_it_returns_its_weights_as_one_sample_whatever_it_is_called_on():
    layer = WeightTensor((2, 3))
    outputs = layer(keras.Input((5,)))
    assert outputs.shape == (None, 2, 3)
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    layer.set_weights([values])
    for count in (1, 4):
        np.testing.assert_array_equal(layer(np.ones((count, 5))), values[None])


def test_it_computes_in_the_type_of_its_policy():
    layer = WeightTensor((3,), dtype="mixed_bfloat16")
    layer.build((None, 3))
    assert layer(np.ones((1, 3))).dtype == "bfloat16" and layer.weight.dtype == "float32"


def test_it_is_made_from_its_config():
    layer = WeightTensor((3,), "l2", "non_neg", dtype="mixed_bfloat16")
    copy = WeightTensor.from_config(layer.get_config())
    copy.build((None, 2))
    assert copy.shape == (3,) and copy.dtype_policy.name == "mixed_bfloat16"
    assert copy.weight.regularizer.l2 == layer.regularizer.l2
    assert isinstance(copy.weight.constraint, keras.constraints.NonNeg)
