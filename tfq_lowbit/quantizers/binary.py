"""What every binary quantizer shares: two levels, and where the sign changes."""

import tensorflow as tf

from tfq_lowbit.quantizers.base import Encoded, Quantizer
from tfq_lowbit.ste import sign_ste


class BinaryQuantizer(Quantizer):
    """Base class: maps reals to `step_size * code + offset` with the codes -1 and +1.

    Args:
        num_bits: must be 1.
        signed: must be True.
        narrow_range: must be True: there is no code 0.
        axis: see `Quantizer`.
        init: unused, kept for a uniform signature.

    Raises:
        ValueError: for any other width or range.

    Attributes:
        has_offset: whether `offset` is not 0.
    """

    widths = (1, 1)
    has_offset = False
    needs_data = False

    def __init__(self, num_bits=1, signed=True, narrow_range=True, axis=None, init="lsq", **kwargs):
        if not signed or not narrow_range:
            raise ValueError(
                f"{type(self).__name__} has the codes -1 and +1: `signed` and `narrow_range` must "
                f"be True. Received: signed={signed!r}, narrow_range={narrow_range!r}"
            )
        super().__init__(num_bits, True, True, axis, init, **kwargs)

    def scheme_build(self, step_shape):
        """Create nothing, where levels follow the values or are fixed."""

    def scheme_initialize(self, values):
        """Set nothing, where levels follow the values or are fixed."""

    @property
    def q_min(self):
        """Smallest code, -1."""
        return -1

    @property
    def q_max(self):
        """Largest code, 1."""
        return 1

    def mean(self, values):
        """Return the mean of `values` a channel (or a tensor), float32, broadcastable to them.

        In float64 the order of summation does not matter once it is rounded to float32, so that
        eager mode, graphs and XLA agree on levels that follow the weights.
        """
        channels = self.channel_axes(len(values.shape))
        others = [axis for axis in range(len(values.shape)) if axis not in channels]
        mean = tf.reduce_mean(tf.cast(values, tf.float64), axis=others, keepdims=bool(channels))
        return tf.cast(mean, tf.float32)


class SignFunction(BinaryQuantizer):
    """Base class of binary quantizers whose levels and thresholds do not depend on the values.

    Forward: `q(x) = scale * sign(x - threshold) + offset`, `sign(0) = +1`.
    Backward: `dq/dx = slope(x - threshold)`, the surrogate derivative of a subclass.

    They binarize inputs as well as kernels.

    Attributes:
        has_channel_thresholds: whether each channel may have a threshold of its own.
    """

    has_channel_thresholds = False

    def slope(self, distance):
        """Return the surrogate derivative of the sign at `distance` from the threshold."""
        raise NotImplementedError

    def thresholds(self):
        """Return what values are compared with, float32 of shape () or (channels,).

        A code is -1 where `x < threshold`, else +1.
        """
        return tf.constant(0.0)

    def levels(self):
        """Return `(scale, offset)`, two float32 scalars: the value is `scale * code + offset`."""
        return tf.constant(1.0), tf.constant(0.0)

    def scheme_quantize(self, values):
        """Return -1 and +1 with the surrogate gradient."""
        thresholds = self.thresholds()
        return sign_ste(values - thresholds, values < thresholds, self.slope)

    def scheme_encode(self, values):
        """Return the codes -1 and +1."""
        return Encoded(signs(values < self.thresholds()), self.levels()[0])


def signs(is_below):
    """Return the float32 codes: -1 where `is_below`, else +1."""
    return 1.0 - 2.0 * tf.cast(is_below, tf.float32)
