"""Parametric ReLU on int8 codes."""

import tensorflow as tf

from . import library, plain


def prelu(
    x,
    knee,
    above_multiplier,
    above_bias,
    below_multiplier,
    below_bias,
    low=-128,
    high=127,
):
    """Apply a parametric ReLU by channel to int8 codes.

    Forward: `clamp(rint(float(x) * m + b), low, high)` with the pair `above` where `x > knee`, else
    the pair `below`; every operation is rounded on its own. The zero points are folded into the
    biases. Gradient: none.

    Args:
        x: int8 (..., channels), with `channels` known.
        knee: int32, () or (channels,).
        above_multiplier: float32, () or (channels,), as are the biases and the other multiplier.
        above_bias: see the formula.
        below_multiplier: see the formula.
        below_bias: see the formula.
        low: smallest code, -128 to 127.
        high: largest code, `low` to 127.

    Returns:
        int8 (..., channels).

    Raises:
        ValueError: for a range that is not within int8.

    Example:
        >>> prelu(tf.constant([-8, 8], tf.int8), 0, 1.0, 0.0, 0.25, 0.0).numpy()
        array([-2,  8], dtype=int8)
    """
    if not -128 <= low <= high <= 127:
        raise ValueError(
            "Arguments `low` and `high` must lie within int8, `low` not above `high`. Received: "
            f"{low} and {high}"
        )
    x = tf.convert_to_tensor(x)
    shape = (x.shape[-1],)
    knee = tf.broadcast_to(tf.cast(knee, tf.int32), shape)
    pairs = [
        tf.broadcast_to(tf.cast(value, tf.float32), shape)
        for value in (above_multiplier, above_bias, below_multiplier, below_bias)
    ]
    kernels = library.compiled()
    if kernels is not None:
        return kernels.tfq_prelu(x, knee, *pairs, low=low, high=high)
    return tf.cast(plain.prelu(x, knee, pairs[0], pairs[1], pairs[2], pairs[3], low, high), tf.int8)
