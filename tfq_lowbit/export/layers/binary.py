"""Lowering of binary layers."""

import keras
import numpy as np

from tfq_lowbit.export.layers.kernel import require_clamp
from tfq_lowbit.export.pending_binary import BinarySpec, PendingBinary

PADDINGS = {0: "SAME_ZERO", 1: "SAME_ONE"}


def lower_binary(lowering, node):
    """Lower a `BinaryWrapper`: the signs of its input and kernel, its scale and shift in reals."""
    wrapper, layer = node.layer, node.layer.layer
    quantizer = wrapper.input_quantizer
    source = lowering.signs(node.data_inputs[0], f"{node.name}/input", quantizer)
    kernel = np.asarray(layer.kernel, np.float32)
    codes = np.asarray(wrapper.kernel_quantizer.encode(kernel).codes).astype(np.int8)
    scale, shift, sum_scale = wrapper.output_affine()
    value = PendingBinary(
        node.name,
        node.output.shape,
        _binary_spec(wrapper),
        source,
        codes,
        np.asarray(scale),
        np.asarray(shift),
        None if sum_scale is None else np.asarray(sum_scale),
    )
    value.clamp(require_clamp(node.name, layer))
    lowering.values[node.output] = value


def _binary_spec(wrapper):
    layer = wrapper.layer
    if isinstance(layer, keras.layers.Dense):
        return None
    is_same = layer.padding == "same"
    return BinarySpec(
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        layer.groups,
        PADDINGS[wrapper.pad_values] if is_same else "VALID",
    )
