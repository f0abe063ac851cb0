"""Lowering of layers with a kernel."""

import numpy as np

from tfq_lowbit.export.layers.kernel_forms import kernel_form
from tfq_lowbit.export.pending_kernel import PendingKernel
from tfq_lowbit.export.views import PendingView
from tfq_lowbit.model import CLAMPS, activation_name, clamp_of
from tfq_lowbit.wrappers import channel_shape


def lower_wrapper(lowering, node):
    """Lower a `QuantizeWrapper`: its codes, step sizes and bias in units of the accumulator."""
    wrapper, layer = node.layer, node.layer.layer
    edge, shape = node.data_inputs[0], node.output.shape
    if wrapper.input_quantizer is not None:
        source = lowering.quantize(edge, None, f"{node.name}/input", wrapper.input_quantizer)
    else:
        source = lowering.codes(edge, f"layer {node.name!r}")
    form = kernel_form(layer, wrapper.kernel_quantizer.num_bits, len(source.shape))
    encoded = wrapper.kernel_quantizer.encode(np.asarray(layer.kernel, np.float32))
    steps = np.asarray(wrapper.kernel_step_size())
    bias = np.zeros_like(steps)
    if layer.bias is not None:
        bias = np.broadcast_to(np.asarray(layer.bias, np.float32), channel_shape(layer)).ravel()
    kernel = PendingKernel(
        node.name,
        form.view_output(shape),
        form.spec,
        form.take(lowering.emitter, node.name, source),
        form.to_operator(np.asarray(encoded.codes)),
        steps,
        bias,
    )
    value = kernel if kernel.shape == shape else PendingView(node.name, shape, kernel)
    value.clamp(require_clamp(node.name, layer))
    lowering.values[node.output] = value
    if wrapper.output_quantizer is not None:
        name = f"{node.name}/output"
        lowering.quantize(node.output, node.output, name, wrapper.output_quantizer)


def require_clamp(name, layer):
    """Return the bounds of a layer's activation.

    Raises:
        ValueError: if it is more than a clamp: its input needs a grid.
    """
    activation = activation_name(layer)
    if activation not in CLAMPS:
        raise ValueError(
            f"Layer {name!r} ends in the activation {activation!r}, whose input an integer runtime "
            "rounds to a grid. Give it activation=None and put a tfq.QuantizeActivation and the "
            "activation behind it, or use tfq.quantize_model."
        )
    return clamp_of(layer)
