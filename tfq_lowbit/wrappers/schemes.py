"""The wrappers of the papers: LSQ and PACT around one layer."""

from tfq_lowbit.quantizers import activation_quantizer, kernel_quantizer
from tfq_lowbit.wrappers.families import require_family
from tfq_lowbit.wrappers.quantize_wrapper import QuantizeWrapper


def LSQ(layer, weight_bits=4, activation_bits=4, signed=None, per_channel=True, **kwargs):  # noqa: N802
    """Wrap a layer with learned step sizes for its kernel and its input.

    Args:
        layer: a Conv2D, DepthwiseConv2D or Dense layer.
        weight_bits: width of the kernel, 2 to 8.
        activation_bits: width of the input, 2 to 8.
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
        layer: a Conv2D, DepthwiseConv2D or Dense layer.
        weight_bits: width of the kernel, 2 to 8.
        activation_bits: width of the input, 2 to 8.
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


def _wrap(layer, weights, activations, weight_bits, activation_bits, signed, per_channel, kwargs):
    axis = require_family(layer).channel_axes if per_channel else None
    return QuantizeWrapper(
        layer,
        kernel_quantizer=kernel_quantizer(weights, weight_bits, axis),
        input_quantizer=activation_quantizer(activations, activation_bits, signed),
        **kwargs,
    )
