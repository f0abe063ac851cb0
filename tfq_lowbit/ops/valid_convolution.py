"""A convolution without padding that every processor differentiates."""

import tensorflow as tf


def convolve_valid(values, kernel, strides, dilation, groups):
    """Convolve without padding.

    TensorFlow differentiates grouped and dilated convolutions with oneDNN alone, which it takes on
    some processors only. So the gradient is that of a convolution for each group, with zeros
    between the taps of its kernel.

    Args:
        values: float (n, h, w, channels).
        kernel: float (kernel height, kernel width, channels / groups, outputs).
        strides: in height and width.
        dilation: likewise.
        groups: number of groups.

    Returns:
        float (n, h', w', outputs).
    """

    @tf.custom_gradient
    def convolve_once(values, kernel):
        outputs = tf.nn.conv2d(values, kernel, strides, "VALID", dilations=dilation)

        def gradient(upstream):
            with tf.GradientTape() as tape:
                tape.watch([values, kernel])
                spread = _spread(kernel, dilation)
                parts = zip(tf.split(values, groups, -1), tf.split(spread, groups, -1), strict=True)
                made = [tf.nn.conv2d(part, taps, strides, "VALID") for part, taps in parts]
                same = tf.concat(made, -1)
            return tape.gradient(same, [values, kernel], upstream)

        return outputs, gradient

    return convolve_once(values, kernel)


def _spread(kernel, dilation):
    """Put zeros between the taps of a kernel: what dilation does."""
    for axis, rate in enumerate(dilation):
        if rate > 1:
            size = kernel.shape[axis]
            taps = [
                part
                if index == size - 1
                else tf.concat([part] + [tf.zeros_like(part)] * (rate - 1), axis)
                for index, part in enumerate(tf.split(kernel, size, axis))
            ]
            kernel = tf.concat(taps, axis)
    return kernel
