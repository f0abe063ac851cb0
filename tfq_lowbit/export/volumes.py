"""Convolution of volumes as one of images: the window along the depth becomes channels.

Integer runtimes convolve images. Each image of the output gets the images of its window side by
side in its channels, and the batch takes the depth. So there is one kernel with one accumulator,
into which a batch normalization folds, and no operator has more than four axes.
"""

from tfq_lowbit.export.operators import Transpose
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


def _by_group(emitter, name, source, size, groups):
    """Emit the order of channels in which those of a group lie together."""
    shape = (None, size, groups, source.shape[-1] // (size * groups))
    split = view(emitter, name, source, shape)
    ordered = emitter.tensor(f"{name}/groups", (None, groups, size, shape[-1]), source.grid)
    return emitter.add(Transpose(name, split, ordered, (0, 2, 1, 3)))
