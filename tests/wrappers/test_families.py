"""Which layers can be wrapped."""

import keras
import pytest

from tfq_lowbit import wrappers

layers = keras.layers


class OwnDense(layers.Dense):
    """May compute anything."""


@pytest.mark.parametrize(
    ("layer", "channel_axes"),
    [
        (layers.Conv2D(4, 3), (3,)),
        (layers.DepthwiseConv2D(3), (2, 3)),
        (layers.Dense(4), (1,)),
    ],
)
def test_a_layer_with_a_kernel_has_a_family(layer, channel_axes):
    family = wrappers.require_family(layer)
    assert family is wrappers.find_family(layer)
    assert family in wrappers.FAMILIES
    assert family.layer_class is type(layer) and family.channel_axes == channel_axes


REFUSED = [
    layers.Conv1D(4, 3, name="odd"),
    layers.Conv2DTranspose(4, 3, name="odd"),
    layers.SeparableConv2D(4, 3, name="odd"),
    layers.EinsumDense("ab,bc->ac", 4, name="odd"),
    layers.LSTM(4, name="odd"),
    layers.ReLU(name="odd"),
    OwnDense(4, name="odd"),
    wrappers.LSQ(layers.Dense(4), name="odd"),
]


@pytest.mark.parametrize("layer", REFUSED, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("wrap", [wrappers.LSQ, wrappers.PACT, wrappers.require_family])
def test_any_other_layer_is_refused_by_name_and_class(layer, wrap):
    assert wrappers.find_family(layer) is None
    with pytest.raises(ValueError, match="Conv2D, DepthwiseConv2D, Dense") as error:
        wrap(layer)
    assert f"'odd' of class {type(layer).__name__}" in str(error.value)
    assert "QuantizeActivation" in str(error.value)


def test_what_is_no_layer_is_refused_as_well():
    with pytest.raises(ValueError, match="'relu' of class str"):
        wrappers.LSQ("relu")


@pytest.mark.parametrize("cls", [layers.Conv2D, layers.DepthwiseConv2D])
def test_channels_first_is_refused(cls):
    options = {"filters": 4} if cls is layers.Conv2D else {}
    layer = cls(kernel_size=3, data_format="channels_first", name="odd", **options)
    with pytest.raises(ValueError, match="'odd' must have data_format='channels_last'"):
        wrappers.LSQ(layer)
