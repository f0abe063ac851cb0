"""Layers of volumes that are taken apart: rows of the table of test_decomposition.py."""

import keras

layers = keras.layers
SHAPE = (4, 6, 7, 3)
TWICE = ["images", "image", "column", "", "volume"]  # within images, then along the depth
ONCE = ["tiles", "ordered", "image", "", "volume"]

# Name: (layer, input shape, names of the parts).
VOLUMES = {
    "max pooling of a volume": (
        lambda: layers.MaxPooling3D((3, 2, 3), (2, 1, 2), padding="same", name="mine"),
        SHAPE,
        TWICE,
    ),
    "max pooling within images": (
        lambda: layers.MaxPooling3D((1, 2, 2), name="mine"),
        SHAPE,
        ["images", "image", "column", "volume"],
    ),
    "max pooling along the depth": (
        lambda: layers.MaxPooling3D((3, 1, 1), 1, name="mine"),
        SHAPE,
        ["images", "column", "", "volume"],
    ),
    "average of tiles": (lambda: layers.AveragePooling3D(2, name="mine"), SHAPE, ONCE),
    "average of tiles, padded in width alone": (
        lambda: layers.AveragePooling3D((4, 3, 2), padding="same", name="mine"),
        SHAPE,
        ONCE,
    ),
    "average of tiles that leave a rest": (
        lambda: layers.AveragePooling3D((3, 4, 2), (3, 4, 1), name="mine"),
        SHAPE,
        ["whole", *ONCE],
    ),
    "average that overlaps": (
        lambda: layers.AveragePooling3D(2, 1, padding="same", name="mine"),
        SHAPE,
        TWICE,
    ),
    "average of padded tiles": (
        lambda: layers.AveragePooling3D((3, 4, 2), padding="same", name="mine"),
        SHAPE,
        TWICE,
    ),
    "mean of a volume": (
        lambda: layers.GlobalAveragePooling3D(name="mine"),
        SHAPE,
        ["image", ""],
    ),
    "mean of a volume, kept": (
        lambda: layers.GlobalAveragePooling3D(keepdims=True, name="mine"),
        SHAPE,
        ["image", "", "kept"],
    ),
    "maximum of a volume": (
        lambda: layers.GlobalMaxPooling3D(keepdims=True, name="mine"),
        SHAPE,
        ["image", "", "flat"],
    ),
    "crop of a volume": (
        lambda: layers.Cropping3D(((1, 0), (2, 3), (0, 1)), name="mine"),
        SHAPE,
        [""],
    ),
    "repeated values": (
        lambda: layers.UpSampling3D((2, 1, 3), name="mine"),
        SHAPE,
        ["column", "images", "image", "", "volume"],
    ),
    "pooling to a size": (
        lambda: layers.AdaptiveAveragePooling3D((2, 3, 7), name="mine"),
        SHAPE,
        ONCE,
    ),
    "largest of a size": (
        lambda: layers.AdaptiveMaxPooling3D((2, 2, 7), name="mine"),
        SHAPE,
        TWICE,
    ),
    "pooling of an image to a size": (
        lambda: layers.AdaptiveAveragePooling2D((2, 3), name="mine"),
        (4, 6, 3),
        [""],
    ),
    "largest of an image, to a size": (
        lambda: layers.AdaptiveMaxPooling2D((4, 3), name="mine"),
        (4, 6, 3),
        [""],
    ),
    "pooling of a sequence to a size": (
        lambda: layers.AdaptiveAveragePooling1D(3, name="mine"),
        (6, 3),
        ["image", "", "sequence"],
    ),
    "largest of a sequence, to a size": (
        lambda: layers.AdaptiveMaxPooling1D(2, name="mine"),
        (6, 3),
        ["image", "", "sequence"],
    ),
}
