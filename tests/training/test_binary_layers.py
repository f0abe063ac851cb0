import keras
import pytest

from tfq_lowbit.training import binary_layers
from tfq_lowbit.training.binary_layers import require_binary_layers


def test_the_binary_layers_are_found_in_order(build):
    assert [layer.name for layer in binary_layers(build())] == ["conv", "dense"]


def test_binary_layers_of_a_nested_model_are_found(build):
    outer = keras.Sequential([keras.Input((6, 6, 4)), build(), keras.layers.Dense(2)])
    assert [layer.name for layer in binary_layers(outer)] == ["conv", "dense"]


def test_a_model_without_binary_layers_is_refused_by_name():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="plain")
    assert binary_layers(model) == []
    with pytest.raises(ValueError, match="FlipRatio .* 'plain' .*Recipe.binary"):
        require_binary_layers(model, "FlipRatio")
