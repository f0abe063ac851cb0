"""Pooling of sequences and of everything, as pooling of images."""

import math

import keras

layers = keras.layers


def decompose_sequence_pool(pool_class):
    """Return the decomposition of a pooling of sequences: they are images of height 1."""

    def decompose(parts):
        layer, (edge,) = parts.call.layer, parts.call.data_inputs

        def make(**options):
            return pool_class(
                (1, *layer.pool_size), (1, *layer.strides), padding=layer.padding, **options
            )

        image = parts.reshape("image", edge, (1, *edge.shape[1:]))
        pooled = parts.add("", make, image)
        return parts.reshape("sequence", pooled, parts.call.output.shape[1:])

    return decompose


def decompose_global_mean(parts):
    """Take a mean over all positions of a sequence or volume apart: the mean of one image."""
    layer, image = parts.call.layer, _as_one_image(parts)
    mean = parts.add("", lambda **options: layers.GlobalAveragePooling2D(**options), image)
    return parts.reshape("kept", mean, parts.call.output.shape[1:]) if layer.keepdims else mean


def decompose_global_max(parts):
    """Take a maximum over all positions apart: a max pooling of one window, and its shape."""
    image = _as_one_image(parts)
    size = image.shape[1:-1]
    pooled = parts.add("", lambda **options: layers.MaxPooling2D(size, **options), image)
    return parts.reshape("flat", pooled, parts.call.output.shape[1:])


def _as_one_image(parts):
    """Reshape to an image: a sequence is one of height 1, the images of a volume are stacked."""
    (edge,) = parts.call.data_inputs
    *rows, columns, channels = edge.shape[1:]
    return parts.reshape("image", edge, (math.prod(rows), columns, channels))
