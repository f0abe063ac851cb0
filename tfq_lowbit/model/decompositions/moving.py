"""Layers that repeat or cut, as others that do."""

import keras

from tfq_lowbit.model.arrays import own_arrays
from tfq_lowbit.model.rules import refusal
from tfq_lowbit.wrappers import StaticSlice

layers = keras.layers


def decompose_sequence_upsampling(parts):
    """Take the repetition of steps apart: that of the columns of an image of height 1."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    image = parts.reshape("image", edge, (1, *edge.shape[1:]))
    size = (1, layer.size)
    repeated = parts.add("", lambda **options: layers.UpSampling2D(size, **options), image)
    return parts.reshape("sequence", repeated, parts.call.output.shape[1:])


def decompose_repeat(parts):
    """Take the repetition of a vector apart: that of the one row of an image."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    image = parts.reshape("image", edge, (1, 1, edge.shape[-1]))
    size = (layer.n, 1)
    repeated = parts.add("", lambda **options: layers.UpSampling2D(size, **options), image)
    return parts.reshape("sequence", repeated, parts.call.output.shape[1:])


def decompose_center_crop(parts):
    """Take a crop of the center apart, of an image that is as large at least."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    sizes, targets = edge.shape[1:3], (layer.height, layer.width)
    if None in sizes or any(size < target for size, target in zip(sizes, targets, strict=True)):
        raise refusal(
            layer, f"its input of {sizes} is smaller than {targets} or unknown, and it would resize"
        )
    begin = [(size - target) // 2 for size, target in zip(sizes, targets, strict=True)]
    return _cut(parts, edge, (*begin, 0), (*targets, edge.shape[-1]))


def decompose_cropping(parts):
    """Take the cutting of borders apart."""
    layer, (edge,) = parts.call.layer, parts.call.data_inputs
    pairs = [layer.cropping] if isinstance(layer, layers.Cropping1D) else layer.cropping
    begin = [before for before, _ in pairs]
    return _cut(parts, edge, (*begin, 0), parts.call.output.shape[1:])


def decompose_stack(parts):
    """Take the stacking of tensors along a new axis apart: a join of tensors that have it."""
    operation, rows = parts.call.layer, []
    axis = operation.axis % len(parts.call.output.shape)
    if axis == 0:
        raise refusal(operation, "axis 0 is the batch")
    if own_arrays(parts.call):
        raise refusal(operation, "it must join tensors of the model alone, without arrays")
    for edge in parts.call.data_inputs:
        shape = list(edge.shape[1:])
        shape.insert(axis - 1, 1)
        rows.append(parts.reshape("row", edge, shape))
    return parts.add("", lambda **options: layers.Concatenate(axis, **options), rows)


def decompose_patches(parts):
    """Take the extraction of patches that do not overlap apart: their pixels become channels."""
    operation, (edge,) = parts.call.layer, parts.call.data_inputs
    if len(edge.shape) != 4 or None in edge.shape[1:]:
        raise refusal(operation, f"its images must be of known sizes, received {edge.shape}")
    (rows, columns), (height, width) = operation.size, edge.shape[1:3]
    for name, values in (
        ("data_format", ["channels_last"]),
        ("strides", [None, (rows, columns), *([rows] if rows == columns else [])]),
        ("dilation_rate", [1]),
    ):
        if (value := getattr(operation, name)) not in values:
            raise refusal(operation, f"its {name} must be {values[-1]!r}, received {value!r}")
    if height % rows or width % columns:
        raise refusal(operation, f"patches of {operation.size} must fill its images, {edge.shape}")
    split = parts.reshape("rows", edge, (height // rows, rows, width // columns, -1))
    ordered = parts.add("patches", lambda **options: layers.Permute((1, 3, 2, 4), **options), split)
    return parts.reshape("", ordered, parts.call.output.shape[1:])


def decompose_split(parts):
    """Take a split into several tensors apart: a slice each."""
    operation, (edge,) = parts.call.layer, parts.call.data_inputs
    axis = operation.axis % len(edge.shape)
    if axis == 0:
        raise refusal(operation, "axis 0 is the batch")
    begin, made = 0, []
    for index, output in enumerate(keras.tree.flatten(parts.call.outputs)):
        begins, sizes = [0] * (len(edge.shape) - 1), output.shape[1:]
        begins[axis - 1] = begin
        begin += output.shape[axis]
        made.append(_cut(parts, edge, begins, sizes, part=f"{index}"))
    return made


def decompose_item(parts):
    """Take indexing, `x[:, 2:5, 0]`, apart: a slice, and a change of shape."""
    operation, (edge,) = parts.call.layer, parts.call.data_inputs
    key = parts.call.args[1] if len(parts.call.args) > 1 else parts.call.kwargs["key"]
    key = list(key) if isinstance(key, (tuple, list)) else [key]
    if Ellipsis in key:
        taken = len(edge.shape) - sum(each not in (None, Ellipsis) for each in key)
        place = key.index(Ellipsis)
        key[place : place + 1] = [slice(None)] * taken
    if not key or key[0] != slice(None):
        raise refusal(operation, "it must leave the batch whole: x[:, ...]")
    begins, sizes, strides = [], [], []
    lengths = iter(edge.shape[1:])
    for each in key[1:]:
        if each is None:
            continue
        length = next(lengths)
        if length is None or not isinstance(each, (int, slice)):
            raise refusal(operation, f"it must be indexed by numbers, of known sizes, not {each!r}")
        if isinstance(each, int):
            each = slice(each % length, each % length + 1)
        begin, end, stride = each.indices(length)
        if stride < 1:
            raise refusal(operation, f"its steps must be positive, received {stride}")
        begins.append(begin)
        sizes.append(len(range(begin, end, stride)))
        strides.append(stride)
    for length in lengths:
        begins, sizes, strides = [*begins, 0], [*sizes, length], [*strides, 1]
    sliced = _cut(parts, edge, begins, sizes, strides)
    return parts.reshape("shape", sliced, parts.call.output.shape[1:])


def _cut(parts, edge, begin, size, strides=None, part=""):
    if tuple(size) == tuple(edge.shape[1:]):
        return parts.add(part, lambda **options: layers.Identity(**options), edge)
    return parts.add(part, lambda **options: StaticSlice(begin, size, strides, **options), edge)
