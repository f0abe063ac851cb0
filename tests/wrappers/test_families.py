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
        (layers.Conv1D(4, 3), (2,)),
        (layers.Conv2D(4, 3), (3,)),
        (layers.Conv3D(4, 3), (4,)),
        (layers.DepthwiseConv1D(3), (1, 2)),
        (layers.DepthwiseConv2D(3), (2, 3)),
        (layers.Conv1DTranspose(4, 3), (1,)),
        (layers.Conv2DTranspose(4, 3), (2,)),
        (layers.Conv3DTranspose(4, 3), (3,)),
        (layers.Dense(4), (1,)),
        (layers.EinsumDense("abc,cde->abde", (2, 3, 4)), (1, 2)),
        (layers.EinsumDense("...xy,yzx->...z", 4), (1,)),
    ],
)
def test_a_layer_with_a_kernel_has_a_family(layer, channel_axes):
    family = wrappers.require_family(layer)
    assert family is wrappers.find_family(layer)
    assert family in wrappers.FAMILIES
    assert family.layer_class is type(layer)
    assert wrappers.channel_axes(layer) == channel_axes


REFUSED = [
    layers.ConvLSTM1D(4, 3, name="odd"),
    layers.SeparableConv2D(4, 3, name="odd"),
    layers.LSTM(4, name="odd"),
    layers.ReLU(name="odd"),
    OwnDense(4, name="odd"),
    wrappers.LSQ(layers.Dense(4), name="odd"),
]


@pytest.mark.parametrize("layer", REFUSED, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("wrap", [wrappers.LSQ, wrappers.PACT, wrappers.require_family])
def test_any_other_layer_is_refused_by_name_and_class(layer, wrap):
    assert wrappers.find_family(layer) is None
    with pytest.raises(ValueError, match="Conv2D, .*DepthwiseConv2D, .*Dense") as error:
        wrap(layer)
    assert f"'odd' of class {type(layer).__name__}" in str(error.value)
    assert "QuantizeActivation" in str(error.value)


def test_what_is_no_layer_is_refused_as_well():
    with pytest.raises(ValueError, match="'relu' of class str"):
        wrappers.LSQ("relu")


@pytest.mark.parametrize("wrap", [wrappers.LSQ, wrappers.require_family])
def test_an_equation_that_is_no_dense_layer_is_refused_with_the_reason(wrap):
    layer = layers.EinsumDense("abc,abd->acd", (3, 4), name="odd")
    with pytest.raises(ValueError, match="'odd' must be a dense layer.*kernel.*'abc,abd->acd'"):
        wrap(layer)


def test_a_layer_with_several_channel_axes_knows_its_channels_and_output():
    layer = layers.EinsumDense("abc,cde->abde", (None, 3, 4))
    layer.build((None, 5, 6))
    assert wrappers.channel_shape(layer) == (3, 4)
    assert wrappers.families.output_shape(layer, (None, 5, 6)) == (None, 5, 3, 4)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2)
    depthwise.build((None, 5, 5, 4))
    assert wrappers.channel_shape(depthwise) == (8,)


@pytest.mark.parametrize("cls", [layers.Conv2D, layers.DepthwiseConv2D])
def test_channels_first_is_refused(cls):
    options = {"filters": 4} if cls is layers.Conv2D else {}
    layer = cls(kernel_size=3, data_format="channels_first", name="odd", **options)
    with pytest.raises(ValueError, match="'odd' must have data_format='channels_last'"):
        wrappers.LSQ(layer)
