"""Convolution of volumes as one of images: the window along the depth becomes channels.

Integer runtimes convolve images. Each image of the output gets the images of its window side by
side in its channels, and the batch takes the depth. So there is one kernel with one accumulator,
into which a batch normalization folds, and no operator has more than four axes.
"""

from tfq_lowbit.export.operators import Pad, Transpose
from tfq_lowbit.export.pending_kernel import KernelSpec
from tfq_lowbit.export.views import view
from tfq_lowbit.export.windows import gather_windows


def gather_depth(emitter, name, source, layer):
    """Emit the gathering of windows along the depth.

    Args:
        emitter: an `Emitter`.
        name: path of the layer.
        source: int8 tensor of shape (batch, depth, height, width, channels).
        layer: the built `Conv3D`.

    Returns:
        A tensor of shape (batch * output depth, height, width, kernel depth * channels), channels
        fastest; with groups, the channels of one group fastest, then the depth, then the groups.
    """
    batch, depth, height, width, channels = source.shape
    count, size = layer.compute_output_shape(source.shape)[1], layer.kernel_size[0]
    geometry = (layer.strides[0], 1), (layer.dilation_rate[0], 1), layer.padding.upper()
    columns = view(emitter, name, source, (batch, depth, height * width, channels))
    gathered = gather_windows(
        emitter,
        name,
        columns,
        (size, 1),
        KernelSpec("CONV_2D", *geometry),
        (count, height * width),
    )
    if layer.groups > 1 and size > 1:
        gathered = _by_group(emitter, name, gathered, size, layer.groups)
    return view(emitter, name, gathered, (None, height, width, size * channels))


def spread_depth(emitter, name, source, layer):
    """Emit the gathering of windows along the depth of a transposed convolution.

    With zeros between the images, `y[o] = sum_t w[t] * u[o + before - t]`: a convolution with the
    kernel reversed, at a stride of 1.

    Args:
        emitter: an `Emitter`.
        name: path of the layer.
        source: int8 tensor of shape (batch, depth, height, width, channels).
        layer: the built `Conv3DTranspose`.

    Returns:
        A tensor of shape (batch * output depth, height, width, kernel depth * channels), channels
        fastest.
    """
    batch, depth, height, width, channels = source.shape
    stride, size = layer.strides[0], layer.kernel_size[0]
    count = layer.compute_output_shape(source.shape)[1]
    before = 0
    if layer.padding == "same":  # as the convolution pads whose gradient this is
        before = max((depth - 1) * stride + size - count, 0) // 2
    columns = view(emitter, name, source, (batch, depth, 1, height * width * channels))
    columns = _padded(emitter, name, columns, 1, (0, stride - 1))
    spread = depth * stride
    columns = view(emitter, name, columns, (batch, spread, height * width, channels))
    behind = max(count + before - spread, 0)
    columns = _padded(emitter, name, columns, 0, (size - 1 - before, behind))
    gathered = gather_windows(
        emitter, name, columns, (size, 1), KernelSpec("CONV_2D"), (count, height * width)
    )
    return view(emitter, name, gathered, (None, height, width, size * channels))


def _padded(emitter, name, source, axis, padding):
    """Emit zeros before and behind an axis of an image, 0 or 1; nothing where there are none."""
    if not any(padding):
        return source
    paddings, shape = [(0, 0), (0, 0)], list(source.shape)
    paddings[axis] = padding
    shape[axis + 1] += sum(padding)
    padded = emitter.tensor(f"{name}/padded", tuple(shape), source.grid)
    return emitter.add(Pad(name, source, padded, tuple(paddings)))


def _by_group(emitter, name, source, size, groups):
    """Emit the order of channels in which those of a group lie together."""
    shape = (None, size, groups, source.shape[-1] // (size * groups))
    split = view(emitter, name, source, shape)
    ordered = emitter.tensor(f"{name}/groups", (None, groups, size, shape[-1]), source.grid)
    return emitter.add(Transpose(name, split, ordered, (0, 2, 1, 3)))
