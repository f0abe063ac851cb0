"""Lowering of layers that move codes or leave them as they are."""

import keras

from tfq_lowbit.export.operators import (
    Pad,
    Reshape,
    ReshapeWords,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Transpose,
)
from tfq_lowbit.packing import WORD_BITS


def lower_zero_padding(lowering, node):
    """Lower padding with the code of 0."""
    padding = node.layer.padding
    pairs = [padding] if isinstance(node.layer, keras.layers.ZeroPadding1D) else padding
    paddings = tuple(tuple(pair) for pair in pairs)
    lowering.move(node, lambda source, output: Pad(node.name, source, output, paddings))


def lower_permute(lowering, node):
    """Lower a permutation of axes."""
    axes = (0, *node.layer.dims)
    lowering.move(node, lambda source, output: Transpose(node.name, source, output, axes))


def lower_slice(lowering, node):
    """Lower a slice."""
    begin, strides = node.layer.begin, node.layer.strides
    lowering.move(node, lambda source, output: Slice(node.name, source, output, begin, strides))


def lower_resize(lowering, node):
    """Lower a change of height and width, by repetition or between two neighbors each."""
    is_nearest = getattr(node.layer, "interpolation", "bilinear") == "nearest"
    operator = ResizeNearest if is_nearest else ResizeBilinear
    if not is_nearest:  # it rounds, on the grid of its input
        lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    lowering.move(node, lambda source, output: operator(node.name, source, output))
    if not is_nearest:
        lowering.program.edges[node.name] = lowering.values[node.output]


def lower_reshape(lowering, node):
    """Lower a change of shape."""
    if node.output.shape == node.data_inputs[0].shape:
        lower_identity(lowering, node)
    else:
        lowering.move(
            node,
            lambda source, output: Reshape(node.name, source, output),
            lambda *signs: _reshape_signs(node, *signs),
        )


def _reshape_signs(node, emitter, before, thresholds):
    """Reshape packed signs where their words stay whole.

    An image that cannot be flattened so stays an image: a dense layer reads it as one window.
    """
    channels, after = before.shape[-1], node.output.shape[-1]
    keeps_words = channels == after or not (channels % WORD_BITS or after % WORD_BITS)
    is_flattened = len(before.shape) == 4 and len(node.output.shape) == 2
    if (thresholds.ndim and channels != after) or not (keeps_words or is_flattened):
        raise ValueError(
            f"Layer {node.name!r} changes the channels ({channels} to {after}) of a tensor whose "
            "signs a binary layer takes, by a threshold a channel or in words of "
            f"{WORD_BITS} channels. Put a tfq.QuantizeActivation before it, or use "
            "tfq.quantize_model."
        )
    source = before.emit_signs(emitter, thresholds)
    if not keeps_words:
        return source
    output = emitter.packed(node.name, node.output.shape)
    return emitter.add(ReshapeWords(node.name, source, output))


def lower_identity(lowering, node):
    """Lower a layer that does nothing in inference."""
    lowering.values[node.output] = lowering.values[node.data_inputs[0]]
    lowering.uses[node.output] = max(lowering.uses[node.output], lowering.uses[node.data_inputs[0]])
