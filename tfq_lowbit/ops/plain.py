"""The arithmetic of binary and low-bit layers in plain TensorFlow, on unpacked values.

This is the definition that the compiled kernels are compared with: the formulas of
`custom_ops/README.md` on float tensors that hold +1 and -1, codes `0 .. 2^b - 1` and weights -1,
0, 1. Every function gives the same bits in eager mode, in `tf.function` and under XLA.
"""

import tensorflow as tf

from tfq_lowbit.same_bits import rounded

from .valid_convolution import convolve_valid

# Sums up to this size are exact in float32, in whatever order; larger ones need float64.
FLOAT32_EXACT = 2**24
LARGEST_CODE = 15  # of the four bit planes that kernels take at most
VALID, SAME_ONE, SAME_ZERO = "VALID", "SAME_ONE", "SAME_ZERO"
PADDINGS = (VALID, SAME_ONE, SAME_ZERO)


def convolve(
    values,
    kernel,
    strides=(1, 1),
    dilation=(1, 1),
    groups=1,
    padding=VALID,
    pad_value=None,
):
    """Convolve integers held in floats, exactly.

    Gradient: that of the convolution.

    Args:
        values: float32 (batch, height, width, channels_in), integers of magnitude up to 15.
        kernel: float32 (kernel_height, kernel_width, channels_in / groups, channels_out) of -1, 0
            and 1.
        strides: (height, width).
        dilation: (height, width).
        groups: how many, each with its share of input and output channels.
        padding: `"VALID"`; `"SAME_ONE"` and `"SAME_ZERO"` pad as TensorFlow's SAME does (the odd
            row or column at the end), with +1 or 0.
        pad_value: what SAME pads with instead; codes are padded with code 0.

    Returns:
        (batch, out_height, out_width, channels_out) of integers: float32, or float64 where the sum
        of a window could reach 2^24.

    Raises:
        ValueError: for another padding, or channels that do not fit the groups.

    Example:
        >>> row = tf.reshape([1.0, -1.0, -1.0], (1, 1, 3, 1))
        >>> tf.reshape(convolve(row, tf.ones((1, 3, 1, 1)), padding="SAME_ONE"), [-1]).numpy()
        array([ 1., -1., -1.], dtype=float32)
    """
    values, kernel = tf.convert_to_tensor(values), tf.convert_to_tensor(kernel)
    kernel_size = kernel.shape[:2]
    _check_groups(values.shape[-1], kernel.shape, groups)
    values = pad(values, kernel_size, strides, dilation, padding, pad_value)
    dtype = _accumulator_type(kernel.shape[:-1].num_elements())
    options = tuple(strides), tuple(dilation), groups
    return _exactly(convolve_valid(tf.cast(values, dtype), tf.cast(kernel, dtype), *options))


def dense(values, kernel):
    """Multiply integers held in floats by a matrix, exactly.

    Args:
        values: float32 (..., channels_in), integers of magnitude up to 15.
        kernel: float32 (channels_in, units) of -1, 0 and 1.

    Returns:
        (..., units) of integers, typed as those of `convolve`.

    Example:
        >>> dense(tf.constant([[1.0, -1.0]]), tf.constant([[1.0], [-1.0]])).numpy()
        array([[2.]], dtype=float32)
    """
    kernel = tf.convert_to_tensor(kernel)
    dtype = _accumulator_type(kernel.shape[0])
    return _exactly(tf.tensordot(tf.cast(values, dtype), tf.cast(kernel, dtype), axes=1))


def window_sums(
    values,
    kernel_size,
    strides=(1, 1),
    dilation=(1, 1),
    groups=1,
    padding=VALID,
    pad_value=None,
):
    """Sum the values that a window covers, over the channels of each group.

    Args:
        values: as for `convolve`.
        kernel_size: (height, width).
        strides: (height, width).
        dilation: (height, width).
        groups: how many.
        padding: as for `convolve`: padding counts with its value.
        pad_value: as for `convolve`.

    Returns:
        (batch, out_height, out_width, groups) of integers, typed as those of `convolve`.
    """
    shape = (*kernel_size, values.shape[-1] // groups, groups)
    ones = tf.ones(shape, tf.float32)
    return convolve(values, ones, strides, dilation, groups, padding, pad_value)


def pad(values, kernel_size, strides, dilation, padding, pad_value=None):
    """Pad as TensorFlow's SAME does: the outputs are `ceil(size / stride)`, the odd one at the end.

    Args:
        values: (batch, height, width, channels).
        kernel_size: (height, width).
        strides: (height, width).
        dilation: (height, width).
        padding: `"VALID"`, `"SAME_ONE"` or `"SAME_ZERO"`.
        pad_value: instead of the +1 or 0 that `padding` names.

    Returns:
        The padded values; the same values if VALID.

    Raises:
        ValueError: for another padding.
    """
    if padding not in PADDINGS:
        raise ValueError(f"Argument `padding` must be one of {PADDINGS}. Received: {padding!r}")
    if padding == VALID:
        return values
    if pad_value is None:
        pad_value = 1.0 if padding == SAME_ONE else 0.0
    sizes = [
        known if known is not None else tf.shape(values)[axis]
        for axis, known in enumerate(values.shape[1:3], start=1)
    ]
    amounts = [
        _same_padding(*axis) for axis in zip(sizes, kernel_size, strides, dilation, strict=True)
    ]
    return tf.pad(values, [(0, 0), *amounts, (0, 0)], constant_values=pad_value)


def transform(
    accumulator,
    multiplier,
    bias=None,
    integer_bias=None,
    lower=None,
    upper=None,
    window_sum=None,
    sum_multiplier=None,
):
    """Turn accumulators into real values, every float32 operation rounded on its own.

    Forward: `y = clamp(float(acc + integer_bias), lower, upper) * multiplier + bias`, then
    `y + float(window_sum) * sum_multiplier` where a sum multiplier is given. (A product above the
    largest float32 counts as that.) Gradient: that of the formula, also through `accumulator`.

    Args:
        accumulator: (..., channels) of integers, from `convolve` or `dense`.
        multiplier: float32, () or (channels,), as are all that follow but the sums.
        bias: float32.
        integer_bias: int32.
        lower: float32, in units of the accumulator.
        upper: float32.
        window_sum: (..., groups), from `window_sums`; one group of a dense layer.
        sum_multiplier: float32.

    Returns:
        float32 (..., channels).

    Example:
        >>> transform(tf.constant([3.0, -5.0]), 0.5, bias=1.0, lower=0.0).numpy()
        array([2.5, 1. ], dtype=float32)
    """
    if integer_bias is not None:
        # In float64 the sum is exact, and its gradient goes the plain way.
        accumulator = tf.cast(accumulator, tf.float64) + tf.cast(integer_bias, tf.float64)
    y = _exactly(tf.cast(accumulator, tf.float32))
    y = y if lower is None else tf.maximum(y, lower)
    y = y if upper is None else tf.minimum(y, upper)
    y = rounded(y * multiplier)
    y = y if bias is None else y + bias
    if sum_multiplier is None:
        return y
    sums = tf.cast(window_sum, tf.float32)
    if sums.shape[-1] != 1:
        sums = tf.repeat(sums, y.shape[-1] // sums.shape[-1], axis=-1)
    return rounded(y) + rounded(sums * sum_multiplier)


def to_int8(y, zero_point, low, high):
    """Round real values in units of the output's scale to int8 codes.

    Forward: `min(max(rint(y), low - zero_point), high - zero_point) + zero_point`; a NaN becomes
    `low`.

    Args:
        y: float32, from `transform`.
        zero_point: -128 to 127.
        low: smallest code, at least -128.
        high: largest code, at most 127.

    Returns:
        float32 codes.

    Example:
        >>> to_int8(tf.constant([0.5, 1.5, 99.0]), -3, -128, 5).numpy()
        array([-3., -1.,  5.], dtype=float32)
    """
    codes = tf.clip_by_value(tf.round(y), float(low - zero_point), float(high - zero_point))
    return tf.where(tf.math.is_nan(y), float(low), codes + float(zero_point))


def to_signs(accumulator, thresholds, flips):
    """Compare accumulators with a threshold: `-1` where `(acc < threshold) ^ flip`, else `+1`.

    Args:
        accumulator: (..., channels) of integers.
        thresholds: int32 (channels,).
        flips: bool (channels,).

    Returns:
        float32 (..., channels) of +1 and -1.

    Example:
        >>> to_signs(tf.constant([1.0, 3.0]), tf.constant([2, 2]), [False, True]).numpy()
        array([-1., -1.], dtype=float32)
    """
    below = tf.cast(accumulator, tf.int32) < tf.cast(thresholds, tf.int32)
    return _from_bits(tf.not_equal(below, tf.cast(flips, tf.bool)))


def signs(x, thresholds):
    """Binarize values: `-1` where `x < threshold`, else `+1` (also for a NaN).

    Args:
        x: float32 or int8 (..., channels).
        thresholds: float32 or int32, () or (channels,).

    Returns:
        float32 (..., channels) of +1 and -1.

    Example:
        >>> signs(tf.constant([-0.5, 0.0, 2.0]), 0.0).numpy()
        array([-1.,  1.,  1.], dtype=float32)
    """
    thresholds = tf.convert_to_tensor(thresholds)
    return _from_bits(tf.cast(x, thresholds.dtype) < thresholds)


def codes(x, num_planes, lowest):
    """Take int8 values for unsigned codes: `clamp(x - lowest, 0, 2^num_planes - 1)`.

    Args:
        x: int8 (..., channels).
        num_planes: 1 to 4.
        lowest: the value of code 0.

    Returns:
        float32 (..., channels) of codes.

    Example:
        >>> codes(tf.constant([-128, -125, 0], tf.int8), 2, -128).numpy()
        array([0., 3., 3.], dtype=float32)
    """
    return tf.clip_by_value(tf.cast(x, tf.float32) - float(lowest), 0.0, 2.0**num_planes - 1)


def max_pool(values, kernel_size, strides, padding="VALID"):
    """Take the maximum of each window; padding never wins.

    Args:
        values: float32 (batch, height, width, channels).
        kernel_size: (height, width).
        strides: (height, width).
        padding: `"VALID"` or `"SAME"`.

    Returns:
        float32 (batch, out_height, out_width, channels).
    """
    return tf.nn.max_pool2d(values, tuple(kernel_size), tuple(strides), padding)


def prelu(x, knee, above_multiplier, above_bias, below_multiplier, below_bias, low, high):
    """Apply a parametric ReLU to int8 codes.

    Forward: `clamp(rint(float(x) * m + b), low, high)` with the pair `above` where `x > knee`, else
    the pair `below`. The zero points are folded into the biases. A NaN becomes `low`.

    Args:
        x: int8 or float32 codes (..., channels).
        knee: int32 (channels,).
        above_multiplier: float32 (channels,), as are the biases and the other multiplier.
        above_bias: see the formula.
        below_multiplier: see the formula.
        below_bias: see the formula.
        low: smallest code.
        high: largest code.

    Returns:
        float32 codes (..., channels).

    Example:
        >>> prelu(
        ...     tf.constant([-8.0, 8.0]),
        ...     [0, 0],
        ...     [1.0] * 2,
        ...     [0.0] * 2,
        ...     [0.25] * 2,
        ...     [0.0] * 2,
        ...     -128,
        ...     127,
        ... ).numpy()
        array([-2.,  8.], dtype=float32)
    """
    x = tf.cast(x, tf.float32)
    above = rounded(x * above_multiplier) + above_bias
    below = rounded(x * below_multiplier) + below_bias
    y = tf.where(x > tf.cast(knee, tf.float32), above, below)
    return to_int8(y, 0, low, high)


def _same_padding(size, kernel_size, stride, dilation):
    """Return how much to pad before and after; `size` is an integer or a scalar tensor."""
    reach = (kernel_size - 1) * dilation + 1
    excess = ((size + stride - 1) // stride - 1) * stride + reach - size
    excess = max(excess, 0) if isinstance(size, int) else tf.maximum(excess, 0)
    return excess // 2, excess - excess // 2


def _check_groups(channels_in, kernel_shape, groups):
    if channels_in != kernel_shape[2] * groups or kernel_shape[3] % groups:
        raise ValueError(
            "Argument `kernel` must have the shape (height, width, channels_in / groups, "
            f"channels_out), channels_out a multiple of the groups. Received: {kernel_shape} for "
            f"{channels_in} channels in {groups} groups"
        )


def _accumulator_type(num_weights):
    return tf.float32 if num_weights * LARGEST_CODE < FLOAT32_EXACT else tf.float64


@tf.custom_gradient
def _exactly(integers):
    """Return integers held in floats unchanged, through int32.

    The graph optimizer would otherwise move a multiplication that follows into the kernel of the
    convolution, whose sums were then no longer exact. Gradient: 1.
    """
    return tf.cast(tf.cast(integers, tf.int32), integers.dtype), lambda upstream: upstream


def _from_bits(bits):
    """Return -1 where a bit is set, else +1."""
    return 1.0 - 2.0 * tf.cast(bits, tf.float32)
