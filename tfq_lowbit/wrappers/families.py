"""What a wrapper needs to know of each layer family that has a kernel: one row each."""

from collections.abc import Callable
from typing import NamedTuple

import keras


class Family(NamedTuple):
    """A layer class with a kernel.

    Attributes:
        layer_class: the Keras class.
        apply: `(layer, inputs, kernel) -> outputs` without bias and activation.
        channel_axes: the axes of the kernel that make up its output channels.
    """

    layer_class: type
    apply: Callable
    channel_axes: tuple


def _conv(layer, inputs, kernel):
    return keras.ops.conv(
        inputs,
        kernel,
        strides=list(layer.strides),
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


def _depthwise_conv(layer, inputs, kernel):
    return keras.ops.depthwise_conv(
        inputs,
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


def _dense(layer, inputs, kernel):
    del layer
    return keras.ops.matmul(inputs, kernel)


FAMILIES = (
    Family(keras.layers.Conv2D, _conv, (3,)),
    Family(keras.layers.DepthwiseConv2D, _depthwise_conv, (2, 3)),
    Family(keras.layers.Dense, _dense, (1,)),
)


def find_family(layer):
    """Return the family of `layer`, None where it has no kernel we know."""
    for family in FAMILIES:
        # Not isinstance: a subclass may compute something else in its own `call`.
        if type(layer) is family.layer_class:
            return family
    return None


def require_family(layer):
    """Return the family of `layer`.

    Raises:
        ValueError: if the layer cannot be wrapped, or not in its configuration.
    """
    family = find_family(layer)
    if family is None:
        names = ", ".join(row.layer_class.__name__ for row in FAMILIES)
        raise ValueError(
            f"Only layers with a kernel can be wrapped: {names}. Received: layer "
            f"{getattr(layer, 'name', layer)!r} of class {type(layer).__name__}. Leave the layer "
            "unwrapped, or quantize its output with QuantizeActivation."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(
            f"Layer {layer.name!r} must have data_format='channels_last', the layout of the "
            f"integer runtimes. Received: data_format={layer.data_format!r}"
        )
    return family
