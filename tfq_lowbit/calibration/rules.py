"""Rules that turn sample values into a step size.

Each rule takes `values` of shape `(n, c)` (c = 1 per tensor, c = channels per channel) and the
code range, and returns `c` step sizes. They are written in TensorFlow, so that a layer can
initialise itself from its first batch inside `model.fit`.
"""

import tensorflow as tf

# No step is smaller. Values that are all below it count as zero.
SMALLEST_STEP = 1e-8
PERCENTILE = 99.9
MSE_CANDIDATES = 100
# Fractions of the largest magnitude among which the MSE rule searches the clipping value.
MSE_SMALLEST_FRACTION = 0.05


def lsq_rule(values, q_min, q_max):
    """LSQ's initial step: `s = 2 * mean(abs(x)) / sqrt(q_max)`.

    References:
        Esser et al., "Learned Step Size Quantization", ICLR 2020, section 2.1,
        https://arxiv.org/abs/1902.08153
    """
    del q_min
    return _positive(2.0 * tf.reduce_mean(tf.abs(values), axis=0) / tf.sqrt(_float(q_max)), q_max)


def min_max_rule(values, q_min, q_max):
    """The smallest step that clips nothing: `s = max(max(x) / q_max, min(x) / q_min)`."""
    return _positive(_clipping_step(values, q_min, q_max), q_max)


def percentile_rule(values, q_min, q_max):
    """The step that clips the largest 0.1 % of magnitudes: `s = p99.9(abs(x)) / q_max`."""
    ordered = tf.sort(tf.abs(values), axis=0)
    last = tf.shape(ordered)[0] - 1
    index = tf.cast(tf.math.ceil(_float(last) * (PERCENTILE / 100.0)), tf.int32)
    percentile = ordered[tf.minimum(index, last)]
    # A tensor that is mostly zero has a zero percentile; its largest value still needs a code.
    largest = _clipping_step(values, q_min, q_max)
    return _positive(tf.where(percentile > 0.0, percentile / _float(q_max), largest), q_max)


def mse_rule(values, q_min, q_max):
    """The step of least squared error among 100 clipping values up to the largest magnitude.

    `s = argmin_s mean((x - s * clip(round(x / s), q_min, q_max))^2)`.
    """
    widest = _positive(_clipping_step(values, q_min, q_max), q_max)
    return _search(values, widest, _float(q_min), _float(q_max))


# Compiled once for all shapes: a hundred passes over a large kernel take long one by one.
@tf.function(
    input_signature=[
        tf.TensorSpec([None, None]),
        tf.TensorSpec([None]),
        tf.TensorSpec([]),
        tf.TensorSpec([]),
    ]
)
def _search(values, widest, q_min, q_max):
    def squared_error(fraction):
        step = widest * fraction
        error = values - step * tf.clip_by_value(tf.round(values / step), q_min, q_max)
        return tf.reduce_mean(error * error, axis=0)

    fractions = tf.linspace(1.0, MSE_SMALLEST_FRACTION, MSE_CANDIDATES)
    errors = tf.map_fn(squared_error, fractions)
    return widest * tf.gather(fractions, tf.argmin(errors, axis=0))


RULES = {
    "lsq": lsq_rule,
    "min_max": min_max_rule,
    "percentile": percentile_rule,
    "mse": mse_rule,
}


def get_rule(name):
    """Return the rule called `name`.

    Args:
        name: one of `RULES`.

    Raises:
        ValueError: if there is no such rule.
    """
    if name not in RULES:
        raise ValueError(f"Argument `init` must be one of {sorted(RULES)}. Received: init={name!r}")
    return RULES[name]


def _float(value):
    return tf.cast(value, tf.float32)


def _positive(step_size, q_max):
    """Return `step_size`, or a range of 1 for a channel of zeros, which any step encodes."""
    return tf.where(step_size > SMALLEST_STEP, step_size, 1.0 / _float(q_max))


def _clipping_step(values, q_min, q_max):
    above = tf.reduce_max(values, axis=0) / _float(q_max)
    below = tf.reduce_min(values, axis=0) / tf.minimum(_float(q_min), -0.5)
    return tf.maximum(above, tf.where(tf.less(_float(q_min), 0.0), below, 0.0))
