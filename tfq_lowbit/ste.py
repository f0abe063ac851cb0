"""Surrogate gradients: exact forward values, chosen backward ones.

Every function here computes its forward value with plain arithmetic and replaces only the
derivative, through `tf.custom_gradient`. (The common `f * x + stop_gradient((1 - f) * x)` trick
changes the forward value in the last bit.)
"""

import tensorflow as tf

from tfq_lowbit.same_bits import range_step, reciprocal


@tf.custom_gradient
def round_ste(values):
    """Round half to even, with the straight-through gradient.

    Forward: `y = round(x)`. Backward: `dy/dx = 1`.

    Args:
        values: float tensor of any shape.

    Returns:
        A tensor of the same shape and type.

    References:
        Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic
        Neurons for Conditional Computation", 2013, https://arxiv.org/abs/1308.3432
    """
    return tf.round(values), lambda upstream: upstream


@tf.custom_gradient
def replace_ste(values, replacement):
    """Return `replacement`, sending the gradient to `values` untouched.

    Forward: `y = replacement`. Backward: `dy/dvalues = 1`, `dy/dreplacement = 0`.

    Args:
        values: float tensor, what the gradient sees.
        replacement: float tensor of the same shape, what the forward pass sees.

    Returns:
        `replacement`.
    """
    return tf.identity(replacement), lambda upstream: (upstream, tf.zeros_like(replacement))


@tf.custom_gradient
def relative_ste(ratio, reference):
    """Return `ratio * reference`, with a gradient that moves the product by descent on the ratio.

    Forward: `y = ratio * reference`.
    Backward: `dy/dratio = 1 / reference`, `dy/dreference = 0`: a step of the ratio by
    `-lr * upstream / reference` moves `y` by `-lr * upstream`.

    Args:
        ratio: float32 tensor.
        reference: float32 tensor of the same shape, not 0.

    Returns:
        The product.
    """

    def gradient(upstream):
        return tf.math.divide_no_nan(upstream, reference), tf.zeros_like(reference)

    return ratio * reference, gradient


@tf.custom_gradient
def short_float_ste(values):
    """Round to eight significant bits within the range of float16, with the gradient untouched.

    Forward: the nearest bfloat16 (half to even), clipped to `2^-14 .. 2^15`, so that float16 and
    bfloat16 both hold it exactly. Backward: `dy/dx = 1`.

    Args:
        values: positive float32 tensor.

    Returns:
        A float32 tensor of the same shape.
    """
    # Not two casts: XLA takes them for nothing.
    bits = tf.bitcast(values, tf.int32)
    half = 0x7FFF + tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 16), 1)
    rounded = tf.bitwise.bitwise_and(bits + half, -0x10000)
    clipped = tf.clip_by_value(tf.bitcast(rounded, tf.float32), 2.0**-14, 2.0**15)
    return clipped, lambda upstream: upstream


def clipped_round_ste(values, step_size, q_min, q_max):
    """Quantize on a fixed grid; gradients pass inside the clipping range only.

    Forward: `y = s * clip(round(x / s), q_min, q_max)`.
    Backward: `dy/dx = 1` where `q_min <= x / s <= q_max`, else 0; nothing flows to `s`.

    Args:
        values: float32 tensor.
        step_size: float32, broadcastable to `values`, positive.
        q_min: smallest code.
        q_max: largest code.

    Returns:
        A tensor of the shape of `values`.
    """
    step_size = tf.stop_gradient(step_size)

    @tf.custom_gradient
    def quantize(values):
        scaled = values * reciprocal(step_size)
        clipped = tf.clip_by_value(scaled, q_min, q_max)

        def gradient(upstream):
            return upstream * _mask(tf.equal(clipped, scaled))

        return tf.round(clipped) * step_size, gradient

    return quantize(values)


def learned_step_ste(values, step_size, q_min, q_max, gradient_scale):
    """Quantize with a learned step size (LSQ).

    Forward: `y = s * clip(round(x / s), q_min, q_max)`.
    Backward: `dy/dx = 1` inside the range, else 0;
    `dy/ds = g * (round(x / s) - x / s)` inside, `g * q_min` below and `g * q_max` above.

    Args:
        values: float32 tensor.
        step_size: float32, scalar or broadcastable to `values`, positive.
        q_min: smallest code.
        q_max: largest code.
        gradient_scale: `g`, a positive float.

    Returns:
        A tensor of the shape of `values`.

    References:
        Esser et al., "Learned Step Size Quantization", ICLR 2020,
        https://arxiv.org/abs/1902.08153
    """

    @tf.custom_gradient
    def quantize(values, step_size):
        scaled = values * reciprocal(step_size)
        clipped = tf.clip_by_value(scaled, q_min, q_max)
        codes = tf.round(clipped)

        def gradient(upstream):
            inside = _mask(tf.equal(clipped, scaled))
            slope = codes - inside * clipped  # outside, `codes` is the bound
            return (
                upstream * inside,
                gradient_scale * _sum_products(upstream, slope, step_size),
            )

        return codes * step_size, gradient

    return quantize(values, step_size)


def learned_step_and_offset_ste(values, step_size, offset, zero_point, num_steps, gradient_scale):
    """Quantize with a learned step size and offset (LSQ+), the offset snapped to the grid.

    Forward: `y = s * clip(round(x / s), -z, num_steps - z)`.
    Backward, with `b = -s * z`: `dy/dx = 1` inside the range, else 0;
    `dy/ds = g * (round(x / s) - x / s)` inside, 0 below and `g * num_steps` above;
    `dy/db = 0` inside, `g` outside.

    Args:
        values: float32 tensor.
        step_size: float32 scalar, positive.
        offset: float32 scalar, takes the gradient of `b`; its value is in `zero_point`.
        zero_point: `z`, an integer-valued float32 scalar from 0 to `num_steps`.
        num_steps: `2^b - 1`.
        gradient_scale: `g`, a positive float.

    Returns:
        A tensor of the shape of `values`.

    References:
        Bhalgat et al., "LSQ+", CVPR Workshops 2020, https://arxiv.org/abs/2004.09576
    """

    @tf.custom_gradient
    def quantize(values, step_size, offset):
        scaled = values * reciprocal(step_size)
        clipped = tf.clip_by_value(scaled, -zero_point, num_steps - zero_point)
        codes = tf.round(clipped)

        def gradient(upstream):
            inside = _mask(tf.equal(clipped, scaled))
            to_offset = _sum_products(upstream, 1.0 - inside, offset)
            # Outside, `codes` is a bound, the zero point away from 0 or from `num_steps`.
            to_bound = _sum_products(upstream, codes - inside * clipped, step_size)
            return (
                upstream * inside,
                gradient_scale * (to_bound + zero_point * to_offset),
                gradient_scale * to_offset,
            )

        return codes * step_size, gradient

    return quantize(values, step_size, offset)


def clip_value_ste(values, clip_value, num_steps, q_min):
    """Quantize with a learned clipping value (PACT).

    Forward: `y = s * clip(round(x / s), q_min, num_steps)` with `s = clip_value / num_steps`.
    Backward: `dy/dclip_value = 1` where `x >= clip_value`, `q_min / num_steps` where
    `x <= q_min * s < 0` (signed grids), else 0; `dy/dx = 0` there and where `x < q_min * s`,
    else 1.

    Args:
        values: float32 tensor.
        clip_value: float32 scalar, positive.
        num_steps: the largest code, `2^b - 1` (unsigned) or `2^(b-1) - 1` (signed).
        q_min: smallest code, 0 (unsigned), `-num_steps` or one less (signed).

    Returns:
        A tensor of the shape of `values`.

    References:
        Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks",
        2018, https://arxiv.org/abs/1805.06085
    """

    @tf.custom_gradient
    def quantize(values, clip_value):
        step_size = range_step(clip_value, num_steps)
        codes = tf.round(tf.clip_by_value(values * reciprocal(step_size), q_min, num_steps))

        def gradient(upstream):
            # The values, not the codes, say where the border is: x / s may round across it.
            lowest = tf.cast(q_min, tf.float32) / tf.cast(num_steps, tf.float32)
            border = lowest * clip_value
            above = _mask(values >= clip_value)
            below = _mask((values < border) | ((values <= border) & (lowest < 0.0)))
            return (
                upstream * (1.0 - (above + below)),
                _sum_products(upstream, above + lowest * below, clip_value),
            )

        return codes * step_size, gradient

    return quantize(values, clip_value)


def sign_ste(distance, is_below, slope):
    """Binarize, with the derivative of another function.

    Forward: `y = -1` where `is_below`, else `+1`. Backward: `dy/ddistance = slope(distance)`.

    Args:
        distance: float32 tensor, values minus their threshold: what the gradient sees.
        is_below: bool tensor of the same shape, whether a value is below its threshold: what the
            forward pass sees, apart from rounding `distance < 0`.
        slope: function of `distance`, the surrogate derivative of the sign.

    Returns:
        A float32 tensor of +1 and -1.

    References:
        Hubara, Courbariaux, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks", NeurIPS 2016,
        https://arxiv.org/abs/1602.02830
    """

    @tf.custom_gradient
    def binarize(distance):
        return 1.0 - 2.0 * _mask(is_below), lambda upstream: upstream * slope(distance)

    return binarize(distance)


def trained_ternary_ste(values, threshold, positive, negative):
    """Ternarize with two trained scales (TTQ).

    Forward: `y = positive` where `x > threshold`, `-negative` where `x < -threshold`, else 0.
    Backward: `dy/dx = positive`, `negative` and 1 in these three places; `dy/dpositive = 1` in the
    first and `dy/dnegative = -1` in the second.

    Args:
        values: float32 tensor.
        threshold: float32, broadcastable to `values`; has no gradient.
        positive: float32, broadcastable to `values`, positive.
        negative: float32 of the same shape, positive.

    Returns:
        A tensor of the shape of `values`.

    References:
        Zhu, Han, Mao, Dally, "Trained Ternary Quantization", ICLR 2017,
        https://arxiv.org/abs/1612.01064
    """
    above, below = _mask(values > threshold), _mask(values < -threshold)

    @tf.custom_gradient
    def quantize(values, positive, negative):
        def gradient(upstream):
            scale = above * positive + below * negative + (1.0 - above - below)
            return (
                upstream * scale,
                _sum_products(upstream, above, positive),
                -_sum_products(upstream, below, negative),
            )

        return above * positive - below * negative, gradient

    return quantize(values, positive, negative)


def _mask(condition):
    """Return 1 where `condition` holds, else 0, as float32.

    A product with it takes less than half the time of `tf.where`, which is not vectorized.
    """
    return tf.cast(condition, tf.float32)


def _sum_products(left, right, like):
    """Sum `left * right` over the axes along which `like` is broadcast."""
    if like.shape.num_elements() == 1:
        # One pass over memory instead of two, as a product of two rows: a row times a column
        # takes a path through the matrix library that is four to nine times slower.
        rows = tf.reshape(left, (1, -1)), tf.reshape(right, (1, -1))
        return tf.reshape(tf.matmul(*rows, transpose_b=True), tf.shape(like))
    axes = [axis for axis, size in enumerate(like.shape) if size == 1]
    return tf.reduce_sum(left * right, axis=axes, keepdims=True)
