"""Pooling and repetition of volumes, as those of images."""

import keras

from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import StaticSlice

layers = keras.layers


def decompose_volume_max(parts):
    """Take max pooling apart: of each image, and along the depth; the largest stays the largest."""
    return _pool_twice(parts, layers.MaxPooling2D)


def decompose_volume_average(parts):
    """Take average pooling apart.

    Windows that tile depth and height are rows of one image, whose average is rounded once. Others
    are averaged within each image and then along the depth, which rounds twice; but once where the
    window is one image deep, or one pixel large. Either way padding does not count.
    """
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    sizes = tuple(zip(edge.shape[1:3], layer.pool_size, strict=False))
    are_tiles = tuple(layer.pool_size[:2]) == tuple(layer.strides[:2])
    are_whole = None not in edge.shape[1:] and all(size % window == 0 for size, window in sizes)
    if not are_tiles or not (are_whole or layer.padding == "valid"):
        return _pool_twice(parts, layers.AveragePooling2D)
    _, _, width, channels = _known_sizes(parts)
    (depth, above), (height, rows) = sizes
    counts = depth // above, height // rows
    whole = (counts[0] * above, counts[1] * rows, width, channels)
    if not are_whole:
        begin = (0, 0, 0, 0)
        edge = parts.add("whole", lambda **options: StaticSlice(begin, whole, **options), edge)
    tiles = parts.reshape("tiles", edge, (counts[0], above, counts[1], rows * width * channels))
    tiles = parts.add("ordered", lambda **options: layers.Permute((1, 3, 2, 4), **options), tiles)
    image = parts.reshape("image", tiles, (whole[0] * whole[1], width, channels))
    pooled = _pool(
        parts,
        "",
        layers.AveragePooling2D,
        image,
        (above * rows, layer.pool_size[2]),
        (above * rows, layer.strides[2]),
    )
    return parts.reshape("volume", pooled, parts.call.output.shape[1:])


def decompose_volume_upsampling(parts):
    """Take the repetition of values apart: of the images, and of the rows and columns of all."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    depth, height, width, channels = _known_sizes(parts)
    images, rows, columns = layer.size
    column = parts.reshape("column", edge, (depth, height * width, channels))
    repeated = _repeat(parts, "images", column, (images, 1))
    image = parts.reshape("image", repeated, (depth * images * height, width, channels))
    repeated = _repeat(parts, "", image, (rows, columns))
    return parts.reshape("volume", repeated, parts.call.output.shape[1:])


def _pool_twice(parts, pool_class):
    """Pool each image, then along the depth."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    depth, *image, channels = _known_sizes(parts)
    (above, *window), (step, *strides) = layer.pool_size, layer.strides
    images = parts.fold("images", edge, (*image, channels))
    pooled = _pool(parts, "image", pool_class, images, window, strides)
    positions = pooled.shape[1] * pooled.shape[2]
    column = parts.fold("column", pooled, (depth, positions, channels))
    pooled = _pool(parts, "", pool_class, column, (above, 1), (step, 1))
    return parts.reshape("volume", pooled, parts.call.output.shape[1:])


def _pool(parts, part, pool_class, edge, window, strides):
    if {*window, *strides} == {1}:
        return edge
    padding = parts.call.layer.padding
    return parts.add(
        part, lambda **options: pool_class(window, strides, padding=padding, **options), edge
    )


def _repeat(parts, part, edge, size):
    return parts.add(part, lambda **options: layers.UpSampling2D(size, **options), edge)


def _known_sizes(parts):
    """Return depth, height, width and channels.

    Raises:
        ValueError: if one is unknown.
    """
    sizes = parts.call.data_inputs[0].shape[1:]
    if None in sizes:
        raise refusal(parts.call.layer, f"its volumes must be of known sizes, received {sizes}")
    return sizes
