"""Lowering of batch normalization."""

import numpy as np

from tfq_lowbit.export.operators import Reshape
from tfq_lowbit.export.pending import PendingMove
from tfq_lowbit.export.pending_kernel import KernelSpec, PendingKernel
from tfq_lowbit.wrappers import STANDALONE_CODE, batch_norm_affine


def lower_batch_norm(lowering, node):
    """Fold a batch normalization into the kernel before it, or make it one of its own."""
    edge = node.data_inputs[0]
    value = lowering.values[edge]
    if isinstance(value, PendingKernel) and not value.is_clamped:
        value = lowering.pending(edge, f"layer {node.name!r}")
    else:
        value = _standalone(lowering, node)
    multiplier, shift = (np.asarray(part) for part in batch_norm_affine(node.layer))
    value.fold(multiplier, shift)
    lowering.values[node.output] = value
    if value.shape != node.output.shape:

        def restore(source, output):
            return Reshape(node.name, source, output)

        lowering.values[node.output] = PendingMove(node.name, node.output.shape, value, restore)


def _standalone(lowering, node):
    """Return a depthwise convolution of one code that passes its input on."""
    source = lowering.codes(node.data_inputs[0], f"layer {node.name!r}")
    channels = source.shape[-1]
    shape = source.shape
    if len(shape) != 4:
        rows = int(np.prod(shape[1:-1]))
        shape = (shape[0], rows, 1, channels)
        output = lowering.emitter.tensor(f"{node.name}/image", shape, source.grid)
        source = lowering.emitter.add(Reshape(node.name, source, output))
    codes = np.full((1, 1, channels, 1), STANDALONE_CODE)
    steps = np.full(channels, 1.0 / STANDALONE_CODE, np.float32)
    spec = KernelSpec("DEPTHWISE_CONV_2D")
    return PendingKernel(node.name, shape, spec, source, codes, steps, np.zeros_like(steps))
