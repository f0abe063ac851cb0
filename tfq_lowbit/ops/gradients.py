"""Gradients of the compiled ops: those of the same formulas in plain TensorFlow.

A product of float32 inputs is differentiable: its gradient runs the plain form again, in which the
sign has a straight-through gradient. Words and packed filters have none.
"""

import tensorflow as tf

from . import plain
from .geometry import Geometry
from .outputs import RealOutput

tf.no_gradient("TfqBitpack")
tf.no_gradient("TfqBmaxpool")
tf.no_gradient("TfqPrelu")


def sign_ste(values, thresholds):
    """Binarize with the straight-through gradient of a window.

    Forward: `y = -1` where `x < t`, else `+1`. Backward: `dy/dx = 1` where `|x - t| <= 1`, else 0;
    `dy/dt = -dy/dx`.

    Args:
        values: float32 (..., channels).
        thresholds: float32, () or (channels,).

    Returns:
        float32 of the shape of `values`.

    Example:
        >>> x = tf.constant([-2.0, -0.5, 1.0])
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = sign_ste(x, 0.0)
        >>> tape.gradient(y, x).numpy()
        array([0., 1., 1.], dtype=float32)

    References:
        Hubara et al., "Binarized Neural Networks", NeurIPS 2016, https://arxiv.org/abs/1602.02830
    """
    return _replace_inside(values - thresholds, plain.signs(values, thresholds))


@tf.custom_gradient
def _replace_inside(distance, signs):
    """Return `signs`; the gradient goes to `distance` where it is at most 1."""
    inside = tf.cast(tf.abs(distance) <= 1.0, tf.float32)
    return tf.identity(signs), lambda upstream: (upstream * inside, tf.zeros_like(signs))


@tf.RegisterGradient("TfqBconv2d")
def _bconv2d_gradient(op, upstream):
    return _product_gradients(op, upstream, Geometry.of_convolution(op.get_attr))


@tf.RegisterGradient("TfqBdense")
def _bdense_gradient(op, upstream):
    return _product_gradients(op, upstream, Geometry.of_dense(op.get_attr))


def _product_gradients(op, upstream, geometry):
    """Return the gradient of every input; None where there is none."""
    x, thresholds, filter_bits, *parameters = op.inputs
    if tf.as_dtype(op.get_attr("output_type")) != tf.float32:
        return [None] * len(op.inputs)
    is_sign = x.dtype == tf.float32
    differentiable = [
        None if p.dtype != tf.float32 or p.shape.num_elements() == 0 else p for p in parameters
    ]
    sources = [x if is_sign else None, thresholds if is_sign else None, None, *differentiable]
    multiplier, second, lower, upper, sum_multiplier = (
        None if p.shape.num_elements() == 0 else p for p in parameters
    )
    biases = {"bias" if parameters[1].dtype == tf.float32 else "integer_bias": second}
    output = RealOutput(
        multiplier, lower=lower, upper=upper, sum_multiplier=sum_multiplier, **biases
    )
    watched = [source for source in sources if source is not None]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        values = sign_ste(x, thresholds) if is_sign else geometry.unpack(x)
        y = geometry.multiply(values, geometry.unpack_filter(filter_bits), output)
    gradients = iter(tape.gradient(y, watched, upstream))
    return [None if source is None else next(gradients) for source in sources]
