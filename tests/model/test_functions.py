import keras
import numpy as np
import pytest

from tfq_lowbit import gelu_tanh
from tfq_lowbit.model.functions import (
    ACTIVATIONS,
    PRODUCTS,
    Sign,
    find_activation,
    function_of,
    known_activation,
    require_function,
)

layers = keras.layers
VALUES = np.linspace(-20, 20, 4001, dtype=np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_function_lies_where_its_row_says(name):
    function = ACTIVATIONS[name]
    values = np.asarray(find_activation(name)(VALUES))
    lowest, highest = values.min(), values.max()
    assert (lowest >= 0) == (function.sign is Sign.NONNEGATIVE)
    if function.sign is Sign.SIGNED:
        assert abs(lowest + highest) < 1e-2 * highest
    if function.step is not None:  # the top code may stand for the top value
        assert highest <= 1 and function.step * 256 >= highest - lowest - 2 * function.step


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_its_factor_times_the_value(name):
    factor = find_activation(PRODUCTS[name])
    values = np.asarray(find_activation(name)(VALUES))
    np.testing.assert_allclose(values, VALUES * np.asarray(factor(VALUES)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "operator"),
    [
        (layers.Activation("sigmoid"), "LOGISTIC"),
        (layers.Activation("gelu"), "GELU"),
        (layers.Activation(gelu_tanh), "GELU"),
        (layers.ELU(), "ELU"),
        (layers.ELU(0.5), "LOOKUP"),
        (layers.ReLU(negative_slope=0.1), "SLOPES"),
        (layers.ReLU(4.0, negative_slope=0.1), "LOOKUP"),
        (layers.ReLU(threshold=1.0), "LOOKUP"),
        (layers.LeakyReLU(), "SLOPES"),
        (layers.Rescaling(2.0), "AFFINE"),
        (layers.ReLU(4.0), None),
        (layers.Activation("relu"), None),
        (layers.Activation("silu"), None),
        (layers.Dense(2, activation="sigmoid"), None),
    ],
)
def test_a_layer_is_the_function_that_its_arguments_make_it(layer, operator):
    function = function_of(layer)
    assert (function and function.operator) == operator


def test_an_own_function_of_the_name_is_not_known():
    def sigmoid(x):
        return x

    assert known_activation(layers.Activation(sigmoid)) is None
    assert known_activation(layers.Dense(2, activation="swish")) == "silu"


def test_what_is_no_function_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'flat' \(Flatten\) is no function"):
        require_function(layers.Flatten(name="flat"))
