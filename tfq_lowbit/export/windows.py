"""Convolution as a matrix product: the windows of an image, gathered into its channels.

LiteRT multiplies packed int4 and int2 weights at full speed, and with one exact rounding, in
FULLY_CONNECTED only. A convolution becomes one by copying the window of each output pixel into its
channels, by columns first and by rows then: `kh + kw` slices instead of `kh * kw`.
"""

from tfq_lowbit.export.operators import Concatenation, Pad, Slice


def count_window_operators(kernel_size, spec):
    """Return how many operators `gather_windows` will emit, none for one pixel at stride 1."""
    axes = zip(kernel_size, spec.strides, strict=True)
    counts = [size + (size > 1) for size, stride in axes if (size, stride) != (1, 1)]
    return sum(counts) + (spec.padding == "SAME" and max(kernel_size) > 1)


def gather_windows(emitter, name, source, kernel_size, spec, output_size):
    """Emit the gathering of windows.

    Args:
        emitter: an `Emitter`.
        name: path of the layer.
        source: int8 image tensor.
        kernel_size: height and width of the window.
        spec: strides, dilation and padding.
        output_size: height and width of the output.

    Returns:
        A tensor of shape (batch, *output_size, kh * kw * channels), channels fastest, then
        columns; `source` itself where the window is one pixel at stride 1.
    """
    image, grid = source, source.grid
    extents = [
        (count - 1) * stride + (size - 1) * dilation + 1
        for count, stride, size, dilation in zip(
            output_size, spec.strides, kernel_size, spec.dilation, strict=True
        )
    ]
    if spec.padding == "SAME":
        totals = [max(extent - size, 0) for extent, size in zip(extents, image.shape[1:3])]
        if any(totals):
            paddings = tuple((total // 2, total - total // 2) for total in totals)
            sizes = [size + total for size, total in zip(image.shape[1:3], totals)]
            padded_shape = (image.shape[0], *sizes, image.shape[3])
            padded = emitter.tensor(f"{name}/padded", padded_shape, grid)
            image = emitter.add(Pad(name, image, padded, paddings))
    for axis, label in ((2, "columns"), (1, "rows")):
        size, stride, dilation = (
            each[axis - 1] for each in (kernel_size, spec.strides, spec.dilation)
        )
        if (size, stride) == (1, 1):
            continue
        shape = list(image.shape)
        shape[axis] = output_size[axis - 1]
        strides = (stride, 1, 1) if axis == 1 else (1, stride, 1)
        parts = [
            emitter.add(
                Slice(
                    name,
                    image,
                    emitter.tensor(f"{name}/{label}_{index}", tuple(shape), grid),
                    (index * dilation, 0, 0) if axis == 1 else (0, index * dilation, 0),
                    strides,
                )
            )
            for index in range(size)
        ]
        image = parts[0]
        if size > 1:
            shape[3] *= size
            joined = emitter.tensor(f"{name}/{label}", tuple(shape), grid)
            image = emitter.add(Concatenation(name, parts, joined, 3))
    return image
