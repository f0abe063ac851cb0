"""What a wrapper needs to know of each layer family that has a kernel: one row each."""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras

from tfq_lowbit.wrappers.dense_equation import parse_equation


class Family(NamedTuple):
    """A layer class with a kernel.

    Attributes:
        layer_class: the Keras class.
        apply: `(layer, inputs, kernel) -> outputs` without bias and activation.
        channel_axes: the axes of the kernel that make up its output channels, or a function of the
            layer that returns them.
        is_flat: whether the channels are one axis of the output, or as many as of the kernel.
    """

    layer_class: type
    apply: Callable
    channel_axes: tuple | Callable
    is_flat: bool = True


def _conv(layer, inputs, kernel):
    padding = layer.padding
    if padding == "causal":
        before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        inputs, padding = keras.ops.pad(inputs, ((0, 0), (before, 0), (0, 0))), "valid"
    return keras.ops.conv(
        inputs,
        kernel,
        strides=list(layer.strides),
        padding=padding,
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


def _conv_transpose(layer, inputs, kernel):
    return keras.ops.conv_transpose(
        inputs,
        kernel,
        strides=list(layer.strides),
        padding=layer.padding,
        output_padding=layer.output_padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )


def _dense(layer, inputs, kernel):
    del layer
    return keras.ops.matmul(inputs, kernel)


def _einsum_dense(layer, inputs, kernel):
    return keras.ops.einsum(layer.equation, inputs, kernel)


def _new_axes(layer):
    return parse_equation(layer.equation).channel_axes


FAMILIES = (
    Family(keras.layers.Conv1D, _conv, (2,)),
    Family(keras.layers.Conv2D, _conv, (3,)),
    Family(keras.layers.Conv3D, _conv, (4,)),
    Family(keras.layers.DepthwiseConv1D, _depthwise_conv, (1, 2)),
    Family(keras.layers.DepthwiseConv2D, _depthwise_conv, (2, 3)),
    Family(keras.layers.Conv1DTranspose, _conv_transpose, (1,)),
    Family(keras.layers.Conv2DTranspose, _conv_transpose, (2,)),
    Family(keras.layers.Conv3DTranspose, _conv_transpose, (3,)),
    Family(keras.layers.Dense, _dense, (1,)),
    Family(keras.layers.EinsumDense, _einsum_dense, _new_axes, is_flat=False),
)
# The convolutions among them that spread their input.
TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
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
    if isinstance(layer, keras.layers.EinsumDense):
        try:
            parse_equation(layer.equation)
        except ValueError as error:
            raise ValueError(
                f"Layer {layer.name!r} must be a dense layer over its last axes: {error}. "
                f"Received: equation={layer.equation!r}"
            ) from error
    return family


def channel_axes(layer) -> tuple:
    """Return the axes of a layer's kernel that make up its output channels."""
    axes = require_family(layer).channel_axes
    return axes(layer) if callable(axes) else axes


def channel_shape(layer) -> tuple:
    """Return the output channels of a built layer, in the shape that its output has them."""
    sizes = tuple(layer.kernel.shape[axis] for axis in channel_axes(layer))
    return (math.prod(sizes),) if require_family(layer).is_flat else sizes


def output_shape(layer, input_shape) -> tuple:
    """Return the shape of the output of a layer with a kernel.

    `EinsumDense` itself does not know the axes that its argument `output_shape` leaves open.
    """
    if not isinstance(layer, keras.layers.EinsumDense):
        return layer.compute_output_shape(input_shape)
    num_inputs = parse_equation(layer.equation).num_inputs
    return (*input_shape[: len(input_shape) - num_inputs], *channel_shape(layer))
