"""Lowering of layers with a kernel."""

import keras
import numpy as np

from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.model import clamp_of


def lower_wrapper(lowering, node):
    """Lower a `QuantizeWrapper`: its codes, step sizes and bias in units of the accumulator."""
    wrapper, layer = node.layer, node.layer.layer
    edge = node.data_inputs[0]
    if wrapper.input_quantizer is not None:
        source = lowering.quantize(edge, None, f"{node.name}/input", wrapper.input_quantizer)
    else:
        source = lowering.codes(edge, f"layer {node.name!r}")
    encoded = wrapper.kernel_quantizer.encode(np.asarray(layer.kernel, np.float32))
    steps = np.asarray(wrapper.kernel_step_size())
    bias = np.asarray(layer.bias, np.float32) if layer.use_bias else np.zeros_like(steps)
    value = PendingKernel(
        node.name,
        node.output.shape,
        _kernel_spec(wrapper),
        source,
        np.asarray(encoded.codes),
        steps,
        bias,
    )
    value.clamp(clamp_of(layer))
    lowering.values[node.output] = value
    if wrapper.output_quantizer is not None:
        name = f"{node.name}/output"
        lowering.quantize(node.output, node.output, name, wrapper.output_quantizer)


def _kernel_spec(wrapper) -> KernelSpec:
    layer, num_bits = wrapper.layer, wrapper.kernel_quantizer.num_bits
    if isinstance(layer, keras.layers.Dense):
        return KernelSpec("FULLY_CONNECTED", num_bits=num_bits)
    is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return KernelSpec(
        "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D",
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        layer.padding.upper(),
        num_bits,
    )
