"""Which integer operator each layer with a kernel becomes, and how it sees input and kernel.

Integer runtimes have kernels for images and for matrices only: a layer on sequences is one on
images of height 1, one on volumes one on images that have those around them in their channels, and
a dense layer over several axes one over their product.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfq_lowbit.export.operators import Pad
from tfq_lowbit.export.pending_kernel import KernelSpec
from tfq_lowbit.export.views import view
from tfq_lowbit.export.volumes import gather_depth, spread_depth
from tfq_lowbit.wrappers import parse_equation


def _same(shape):
    return shape


def _as_image(shape):
    """Return the shape of a sequence as that of an image of height 1."""
    return (shape[0], 1, *shape[1:])


def _as_images(shape):
    """Return the shape of volumes as that of their images."""
    return (None, *shape[2:])


def _viewed(to_shape):
    """Return how an operator takes an input in another shape."""
    return lambda emitter, name, source: view(emitter, name, source, to_shape(source.shape))


def _padded_before(steps):
    """Return how an operator takes a sequence, as an image, with zeros before its first step."""

    def take(emitter, name, source):
        source = view(emitter, name, source, _as_image(source.shape))
        batch, height, width, channels = source.shape
        shape = (batch, height, width + steps, channels)
        padded = emitter.tensor(f"{name}/padded", shape, source.grid)
        return emitter.add(Pad(name, source, padded, ((0, 0), (steps, 0))))

    return take


@dataclass
class KernelForm:
    """How a layer looks to the operator that computes it.

    Attributes:
        spec: the operator and its geometry.
        take: `(emitter, name, source) -> tensor`, from the layer's input to the operator's.
        view_output: from the shape of the layer's output to that of the operator's.
        to_operator: from the layer's kernel to the operator's, output channels last (for a
            depthwise kernel, inputs and multiplier last).
    """

    spec: KernelSpec
    take: Callable = _viewed(_same)
    view_output: Callable = _same
    to_operator: Callable = np.asarray


def kernel_form(layer, num_bits, input_rank) -> KernelForm:
    """Return the form of a built layer.

    Args:
        layer: of a class in `FAMILIES`.
        num_bits: width of the codes of its kernel.
        input_rank: number of axes of its input.
    """
    return _FORMS[type(layer)](layer, num_bits, input_rank)


def _dense(layer, num_bits, rank):
    del layer, rank
    return KernelForm(KernelSpec("FULLY_CONNECTED", num_bits=num_bits))


def _einsum_dense(layer, num_bits, rank):
    equation, shape = parse_equation(layer.equation), layer.kernel.shape

    def join(count):
        """Return the function that joins the last `count` axes of a shape."""
        return lambda whole: (*whole[: len(whole) - count], math.prod(whole[len(whole) - count :]))

    spec = KernelSpec(
        "FULLY_CONNECTED",
        num_bits=num_bits,
        to_layer=lambda matrix: equation.from_matrix(matrix, shape),
    )
    take = _viewed(join(equation.num_inputs))
    return KernelForm(spec, take, join(equation.num_outputs), equation.to_matrix)


def _conv(operator, is_transposed=False):
    """Return the form of convolutions, of sequences and of images."""

    def make(layer, num_bits, rank):
        if _is_depthwise(layer):
            return _in_single_channels(layer, num_bits, rank)
        return _conv_form(operator, layer, num_bits, rank, is_transposed)

    return make


def _conv_form(operator, layer, num_bits, rank, is_transposed=False):
    sizes: Any = (layer.strides, layer.dilation_rate, layer.kernel_size)
    strides, dilation, window = (tuple(size) for size in sizes)
    padding, before, is_sequence = layer.padding, 0, rank == 3
    if padding == "causal":
        padding, before = "valid", dilation[0] * (window[0] - 1)
    if is_sequence:
        # TensorFlow's depthwise convolution takes equal strides; a height of 1 has no second.
        height = strides[0] if operator == "DEPTHWISE_CONV_2D" else 1
        strides, dilation, window = (height, *strides), (1, *dilation), (1, *window)
    spec = KernelSpec(operator, strides, dilation, padding.upper(), num_bits)
    to_operator, to_image = _layout(spec, window, is_transposed)
    if not is_sequence:
        spec.to_layer = to_image
        return KernelForm(spec, to_operator=to_operator)
    spec.to_layer = lambda codes: to_image(codes)[0]
    take = _padded_before(before) if before else _viewed(_as_image)
    return KernelForm(spec, take, _as_image, lambda kernel: to_operator(kernel[None]))


def _layout(spec, window, is_transposed):
    """Return the functions from a kernel of images to the operator's, and back."""
    # A kernel within its stride is not delegated, and then rounds twice: zeros make it larger.
    missing = [max(stride - size, 0) for stride, size in zip(spec.strides, window, strict=True)]
    missing = missing if is_transposed else [0, 0]

    def to_operator(kernel):
        kernel = np.swapaxes(kernel, 2, 3) if is_transposed else kernel
        return np.pad(kernel, [*((0, count) for count in missing), (0, 0), (0, 0)])

    def to_image(codes):
        codes = codes[: window[0], : window[1]]
        return np.swapaxes(codes, 2, 3) if is_transposed else codes

    return to_operator, to_image


def _is_depthwise(layer):
    """Whether a convolution is one of each channel alone, as DEPTHWISE_CONV_2D computes it."""
    if getattr(layer, "groups", 1) == 1 or layer.kernel.shape[-2] != 1:
        return False
    # TensorFlow, which computes the lowered graph, takes these only.
    strides, distances = set(layer.strides), set(layer.dilation_rate)
    return len(strides) == 1 and (strides == {1} or distances == {1})


def _in_single_channels(layer, num_bits, rank):
    form = _conv_form("DEPTHWISE_CONV_2D", layer, num_bits, rank)
    shape, to_operator, to_layer = layer.kernel.shape, form.to_operator, form.spec.to_layer
    # The outputs of a channel lie side by side either way.
    split = (*shape[:-2], layer.groups, shape[-1] // layer.groups)
    form.to_operator = lambda kernel: to_operator(kernel.reshape(split))
    form.spec.to_layer = lambda codes: to_layer(codes).reshape(shape)
    return form


def _volume_conv(operator, gather, is_transposed=False):
    """Return the form of convolutions of volumes: the window's depth lies in the channels."""
    # The axis of the inputs, which takes the depth, and the order of that.
    place, step = (3, -1) if is_transposed else (2, 1)

    def make(layer, num_bits, rank):
        del rank
        sizes: Any = (layer.strides, layer.dilation_rate, layer.kernel_size)
        strides, dilation, window = (tuple(size)[1:] for size in sizes)
        spec = KernelSpec(operator, strides, dilation, layer.padding.upper(), num_bits)
        to_operator, to_image = _layout(spec, window, is_transposed)
        depth, *image = layer.kernel.shape
        apart = (*image[:place], depth, *image[place:])
        joined = (*image[:place], -1, *image[place + 1 :])

        def take(emitter, name, source):
            return gather(emitter, name, source, layer)

        def from_layer(kernel):
            return to_operator(np.moveaxis(kernel[::step], 0, place).reshape(joined))

        def to_layer(codes):
            return np.moveaxis(to_image(codes).reshape(apart), place, 0)[::step]

        spec.to_layer = to_layer
        return KernelForm(spec, take, _as_images, from_layer)

    return make


_FORMS = {
    keras.layers.Conv1D: _conv("CONV_2D"),
    keras.layers.Conv2D: _conv("CONV_2D"),
    keras.layers.Conv3D: _volume_conv("CONV_2D", gather_depth),
    keras.layers.Conv1DTranspose: _conv("TRANSPOSE_CONV", is_transposed=True),
    keras.layers.Conv2DTranspose: _conv("TRANSPOSE_CONV", is_transposed=True),
    keras.layers.Conv3DTranspose: _volume_conv("TRANSPOSE_CONV", spread_depth, is_transposed=True),
    keras.layers.Dense: _dense,
    keras.layers.DepthwiseConv1D: _conv("DEPTHWISE_CONV_2D"),
    keras.layers.DepthwiseConv2D: _conv("DEPTHWISE_CONV_2D"),
    keras.layers.EinsumDense: _einsum_dense,
}
