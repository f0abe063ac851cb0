"""Convolutions and dense layers over packed inputs and filters."""

import tensorflow as tf

from . import library, plain
from .geometry import Geometry
from .gradients import sign_ste


def bconv2d(
    x,
    filter_bits,
    output,
    channels_in,
    kernel_size,
    strides=(1, 1),
    dilation=(1, 1),
    groups=1,
    padding=plain.VALID,
    num_planes=1,
    has_codes=False,
    input_thresholds=0.0,
):
    """Convolve packed inputs with a packed binary or ternary filter.

    The accumulators are exact; `output` says what becomes of them. Gradient, for float32 inputs and
    `RealOutput`: that of the formula, passed to `x` where `|x - threshold| <= 1`; words and filter
    have none.

    Args:
        x: int32 words (batch, height, width, num_planes * ceil(channels_in / 32)), or float32
            values (batch, height, width, channels_in), which are packed first: `-1` below the
            threshold, else `+1`.
        filter_bits: uint8 (channels_out, bytes), or (2, channels_out, bytes) if ternary, from
            `packing.pack_filter`.
        output: `RealOutput`, `Int8Output` or `SignOutput`.
        channels_in: how many.
        kernel_size: (height, width).
        strides: (height, width).
        dilation: (height, width).
        groups: each has its share of input and output channels.
        padding: `"VALID"`, or as TensorFlow's SAME with +1 (`"SAME_ONE"`) or 0 (`"SAME_ZERO"`);
            codes are padded with code 0.
        num_planes: 1 to 4, bit planes of the codes.
        has_codes: whether the words hold codes `0 .. 2^num_planes - 1`, not +1 and -1.
        input_thresholds: float32, () or (channels_in,), for float32 inputs.

    Returns:
        (batch, out_height, out_width, channels_out), float32 or int8, or int32 words of them.

    Raises:
        ValueError: for arguments that do not fit each other.

    Example:
        >>> from tfq_lowbit.ops import RealOutput
        >>> from tfq_lowbit.packing import pack_filter
        >>> filter_bits = pack_filter(-tf.ones((1, 1, 3, 1)))
        >>> x = tf.reshape([0.5, -0.5, 2.0], (1, 1, 1, 3))
        >>> bconv2d(x, filter_bits, RealOutput(2.0), 3, (1, 1)).numpy().item()
        -2.0
    """
    geometry = Geometry(
        channels_in=channels_in,
        num_planes=num_planes,
        has_codes=has_codes,
        kernel_size=tuple(kernel_size),
        strides=tuple(strides),
        dilation=tuple(dilation),
        groups=groups,
        padding=padding,
    )
    return _product("tfq_bconv2d", geometry, x, filter_bits, output, input_thresholds)


def bdense(
    x,
    filter_bits,
    output,
    channels_in,
    num_planes=1,
    has_codes=False,
    input_thresholds=0.0,
):
    """Multiply packed inputs by a packed binary or ternary matrix.

    Gradient: as of `bconv2d`.

    Args:
        x: int32 words (..., num_planes * ceil(channels_in / 32)), or float32 values (...,
            channels_in), which are packed first: `-1` below the threshold, else `+1`.
        filter_bits: uint8 (units, bytes), or (2, units, bytes) if ternary, from
            `packing.pack_filter`.
        output: `RealOutput`, `Int8Output` or `SignOutput`.
        channels_in: how many.
        num_planes: 1 to 4, bit planes of the codes.
        has_codes: whether the words hold codes `0 .. 2^num_planes - 1`, not +1 and -1.
        input_thresholds: float32, () or (channels_in,), for float32 inputs.

    Returns:
        (..., units), float32 or int8, or int32 words of them.

    Raises:
        ValueError: for arguments that do not fit each other.

    Example:
        >>> from tfq_lowbit.ops import RealOutput
        >>> from tfq_lowbit.packing import pack_filter
        >>> filter_bits = pack_filter(tf.constant([[1], [-1], [-1]]))
        >>> bdense(tf.constant([[0.5, -0.5, 2.0]]), filter_bits, RealOutput(1.0), 3).numpy()
        array([[1.]], dtype=float32)
    """
    geometry = Geometry(channels_in=channels_in, num_planes=num_planes, has_codes=has_codes)
    return _product("tfq_bdense", geometry, x, filter_bits, output, input_thresholds)


def _product(name, geometry, x, filter_bits, output, input_thresholds):
    """Compute a product on compiled kernels if there are any, else in plain TensorFlow."""
    x = tf.convert_to_tensor(x)
    filter_bits = tf.convert_to_tensor(filter_bits, tf.uint8)
    geometry.check(x, filter_bits)
    thresholds = tf.cast(input_thresholds, tf.float32)
    kernels = library.compiled()
    if kernels is not None:
        inputs = output.inputs(filter_bits.shape[-2])
        attributes = geometry.attributes() | output.attributes()
        return getattr(kernels, name)(x, thresholds, filter_bits, *inputs, **attributes)
    values = sign_ste(x, thresholds) if x.dtype == tf.float32 else geometry.unpack(x)
    return geometry.multiply(values, geometry.unpack_filter(filter_bits), output)
