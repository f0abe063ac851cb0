"""The wrappers of the papers: LSQ, PACT and binary networks around one layer."""

from tfq_lowbit.quantizers import (
    activation_quantizer,
    binary_scheme,
    input_quantizer,
    kernel_quantizer,
)
from tfq_lowbit.wrappers.binary_wrapper import BinaryWrapper
from tfq_lowbit.wrappers.families import channel_axes
from tfq_lowbit.wrappers.quantize_wrapper import QuantizeWrapper


def LSQ(layer, weight_bits=4, activation_bits=4, signed=None, per_channel=True, **kwargs):  # noqa: N802
    """Wrap a layer with learned step sizes for its kernel and its input.

    Args:
        layer: a layer with a kernel, of a class in `FAMILIES`.
        weight_bits: width of the kernel, 2 to 8.
        activation_bits: width of the input, 2 to 8, or 16.
        signed: whether the input has negative values; None lets the first batch decide.
        per_channel: one step size for each output channel of the kernel.
        kwargs: of `QuantizeWrapper`.

    Returns:
        A `QuantizeWrapper`; step sizes start from the kernel and from the first training batch.

    Raises:
        ValueError: for a width out of range or a layer without a kernel.

    Example:
        >>> import keras
        >>> layer = LSQ(keras.layers.Dense(10), weight_bits=2, activation_bits=2)
        >>> layer.kernel_quantizer.q_max
        1

    References:
        Esser et al., "Learned Step Size Quantization", ICLR 2020,
        https://arxiv.org/abs/1902.08153
    """
    return _wrap(layer, "lsq", "lsq", weight_bits, activation_bits, signed, per_channel, kwargs)


def PACT(layer, weight_bits=4, activation_bits=4, signed=None, **kwargs):  # noqa: N802
    """Wrap a layer as the PACT paper does: DoReFa weights, a learned clipping value for the input.

    Args:
        layer: a layer with a kernel, of a class in `FAMILIES`.
        weight_bits: width of the kernel, 2 to 8.
        activation_bits: width of the input, 2 to 8, or 16.
        signed: whether the input has negative values; None lets the first batch decide.
        kwargs: of `QuantizeWrapper`.

    Returns:
        A `QuantizeWrapper`; alpha starts from the first training batch.

    Raises:
        ValueError: for a width out of range or a layer without a kernel.

    Example:
        >>> import keras
        >>> layer = PACT(keras.layers.Dense(10), weight_bits=4, activation_bits=4)
        >>> layer.input_quantizer.num_bits
        4

    References:
        Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks",
        2018, https://arxiv.org/abs/1805.06085
    """
    return _wrap(layer, "dorefa", "pact", weight_bits, activation_bits, signed, False, kwargs)


def Binarize(layer, scheme="bi_real", per_channel=True, **kwargs):  # noqa: N802
    """Wrap a layer so that it runs on the signs of its inputs and of its kernel.

    Args:
        layer: a Conv2D or Dense layer.
        scheme: the paper whose quantizers are taken: "ste_sign", "xnor", "bi_real", "ir_net",
            "ada_bin" or "react_net".
        per_channel: one pair of levels for each output channel of the kernel, where the scheme can.
        kwargs: of `BinaryWrapper`: `pad_values`, `use_packed_kernels`, `name`.

    Returns:
        A `BinaryWrapper`.

    Raises:
        ValueError: for an unknown scheme or a layer that cannot be binarized.

    Example:
        >>> import keras
        >>> layer = Binarize(keras.layers.Dense(10), "xnor")
        >>> layer.kernel_quantizer.num_bits
        1

    References:
        See the quantizers: `SteSign`, `XNOR`, `ApproxSign`, `IRNet`, `AdaBin`, `RSign`.
    """
    row = binary_scheme(scheme)
    axis = channel_axes(layer) if per_channel else None
    return BinaryWrapper(
        layer,
        kernel_quantizer(row.weight_quantizer, 1, axis),
        input_quantizer(row.input_quantizer),
        **kwargs,
    )


def _wrap(layer, weights, activations, weight_bits, activation_bits, signed, per_channel, kwargs):
    axis = channel_axes(layer) if per_channel else None
    return QuantizeWrapper(
        layer,
        kernel_quantizer=kernel_quantizer(weights, weight_bits, axis),
        input_quantizer=activation_quantizer(activations, activation_bits, signed),
        **kwargs,
    )
