"""Pooling of sequences and of everything, as pooling of images."""

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


def decompose_sequence_mean(parts):
    """Take a mean over the steps of a sequence apart: the mean of an image of height 1."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    image = parts.reshape("image", edge, (1, *edge.shape[1:]))
    mean = parts.add("", lambda **options: layers.GlobalAveragePooling2D(**options), image)
    return parts.reshape("kept", mean, parts.call.output.shape[1:]) if layer.keepdims else mean


def decompose_global_max(parts):
    """Take a maximum over all positions apart: a max pooling of one window, and its shape."""
    (edge,) = parts.call.data_inputs
    size = edge.shape[1:-1]
    size = size if len(size) == 2 else (1, *size)
    image = parts.reshape("image", edge, (*size, edge.shape[-1]))
    pooled = parts.add("", lambda **options: layers.MaxPooling2D(size, **options), image)
    return parts.reshape("flat", pooled, parts.call.output.shape[1:])
