"""Binary and ternary kernels on inputs of one or two bits: the integer layer, computed on bits.

The accumulator, its bias, multiplier and rounding are those of the int8 operator, and so is every
code that comes out.
"""

import numpy as np

from tfq_lowbit.export.arithmetic import clamped_codes
from tfq_lowbit.export.operators import Bconv2D, Bdense, ToCodes

# Each plane costs a product of bits: benchmarks/binary_convolution.md.
MAX_PLANES = 2


def why_not_lowbit(spec, codes, grid):
    """Return why a kernel cannot run on bits, "" where it can.

    Args:
        spec: the `KernelSpec`.
        codes: of the kernel.
        grid: of its input.
    """
    if spec.operator == "DEPTHWISE_CONV_2D":
        return "a depthwise kernel has no form on bits"
    if spec.operator == "TRANSPOSE_CONV":
        return "a transposed convolution has no form on bits"
    reasons = []
    if np.abs(codes).max(initial=0) > 1:
        reasons.append(f"weights of {spec.num_bits} bits (on bits: -1, 0, 1)")
    levels = grid.high - grid.low + 1
    if levels > 2**MAX_PLANES:
        reasons.append(f"an input of {levels} levels (on bits: at most {2**MAX_PLANES})")
    elif grid.zero_point != grid.low:
        reasons.append("an input with negative codes")
    return " and ".join(reasons)


def emit_lowbit(emitter, pending, kernel, scales, bias, grid, clamp):
    """Emit a kernel layer on bit planes.

    Args:
        emitter: an `Emitter`.
        pending: the `PendingKernel`.
        kernel: int8 codes -1, 0, 1 in the layout of the Keras layer.
        scales: float32, one for each output channel.
        bias: int32, in units of the accumulator.
        grid: of the output.
        clamp: bounds of the activation function.

    Returns:
        The int8 output tensor.
    """
    spec, source = pending.spec, pending.source
    num_planes = int(source.grid.high - source.grid.low).bit_length()
    packed = emitter.pack_codes(source, num_planes)
    low, high = clamped_codes(grid, clamp)
    multiplier = (source.grid.scale * scales / grid.scale).astype(np.float32)
    transform = ToCodes(multiplier, integer_bias=bias, low=low, high=high)
    output = emitter.tensor(pending.name, pending.shape, grid)
    if spec.operator == "FULLY_CONNECTED":
        return emitter.add(Bdense(pending.name, packed, kernel, output, transform))
    return emitter.add(
        Bconv2D(
            pending.name,
            packed,
            kernel,
            output,
            transform,
            spec.strides,
            spec.dilation,
            source.shape[-1] // kernel.shape[2],
            "VALID" if spec.padding == "VALID" else "SAME_ZERO",
        )
    )
