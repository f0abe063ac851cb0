"""What becomes of accumulators: real values, int8 codes or packed signs.

An output says what it computes in plain TensorFlow, and which inputs and attributes the compiled
ops need for it. The formulas are those of `custom_ops/README.md`.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from . import plain, words


@dataclasses.dataclass(frozen=True)
class RealOutput:
    """float32: `y = clamp(float(acc + integer_bias), lower, upper) * multiplier + bias`.

    With a sum multiplier, `float(window_sum) * sum_multiplier` is added to that; the window sum is
    that of the (padded) input values, without weights. Every operation is rounded on its own.

    Args:
        multiplier: float32, () or (channels_out,), as are all that follow.
        bias: float32. At most one of the two biases is given.
        integer_bias: int32, in units of the accumulator.
        lower: float32, in units of the accumulator.
        upper: float32, in units of the accumulator.
        sum_multiplier: float32.

    Raises:
        ValueError: for two biases.

    Example:
        >>> RealOutput(0.5, bias=1.0).plain(tf.constant([[3.0, -5.0]]), None).numpy()
        array([[ 2.5, -1.5]], dtype=float32)
    """

    multiplier: Any
    bias: Any = None
    integer_bias: Any = None
    lower: Any = None
    upper: Any = None
    sum_multiplier: Any = None

    def __post_init__(self):
        if self.bias is not None and self.integer_bias is not None:
            raise ValueError(
                "At most one of the arguments `bias` and `integer_bias` must be given. Received: "
                f"bias={self.bias}, integer_bias={self.integer_bias}"
            )

    @property
    def needs_window_sum(self):
        """Whether window sums enter."""
        return self.sum_multiplier is not None

    def plain(self, accumulator, window_sum):
        """Compute the output from accumulators (..., channels) and window sums (..., groups)."""
        return plain.transform(
            accumulator,
            tf.cast(self.multiplier, tf.float32),
            bias=self.bias,
            integer_bias=self.integer_bias,
            lower=self.lower,
            upper=self.upper,
            window_sum=window_sum,
            sum_multiplier=self.sum_multiplier,
        )

    def inputs(self, channels_out):
        """Return the inputs of the compiled ops behind the filter."""
        by_channel = _by_channel(channels_out)
        second = by_channel(self.bias, tf.float32)
        if self.integer_bias is not None:
            second = by_channel(self.integer_bias, tf.int32)
        optional = (self.lower, self.upper, self.sum_multiplier)
        first = by_channel(self.multiplier, tf.float32)
        return first, second, *(by_channel(value, tf.float32) for value in optional)

    def attributes(self):
        """Return the attributes of the compiled ops that say what the output is."""
        return {"output_type": tf.float32}


@dataclasses.dataclass(frozen=True)
class Int8Output(RealOutput):
    """int8: the real output in units of its scale, rounded half to even, shifted and clamped.

    `min(max(rint(y), low - zero_point), high - zero_point) + zero_point`; a NaN becomes `low`.

    Args:
        multiplier: as in `RealOutput`, as are all up to the sum multiplier.
        bias: see there.
        integer_bias: see there.
        lower: see there.
        upper: see there.
        sum_multiplier: see there.
        zero_point: -128 to 127.
        low: smallest code, -128 to 127.
        high: largest code, `low` to 127.

    Raises:
        ValueError: for two biases, or what is not within int8.

    Example:
        >>> Int8Output(0.5, zero_point=3, high=4).plain(tf.constant([3.0, -5.0]), None).numpy()
        array([4, 1], dtype=int8)
    """

    zero_point: int = 0
    low: int = -128
    high: int = 127

    def __post_init__(self):
        super().__post_init__()
        if not (-128 <= self.low <= self.high <= 127 and -128 <= self.zero_point <= 127):
            raise ValueError(
                "Arguments `low`, `high` and `zero_point` must lie within int8, `low` not above "
                f"`high`. Received: {self.low}, {self.high} and {self.zero_point}"
            )

    def plain(self, accumulator, window_sum):
        """Compute the output from accumulators (..., channels) and window sums (..., groups)."""
        y = super().plain(accumulator, window_sum)
        return tf.cast(plain.to_int8(y, self.zero_point, self.low, self.high), tf.int8)

    def attributes(self):
        """Return the attributes of the compiled ops that say what the output is."""
        codes = {"zero_point": self.zero_point, "low": self.low, "high": self.high}
        return {"output_type": tf.int8, **codes}


@dataclasses.dataclass(frozen=True)
class SignOutput:
    """Packed words: `-1` where `(acc < threshold) ^ flip`, else `+1`.

    Args:
        thresholds: int32, () or (channels_out,).
        flips: bool, () or (channels_out,).

    Example:
        >>> SignOutput([2, 2], [False, True]).plain(tf.constant([[1.0, 3.0]]), None).numpy()
        array([[3]], dtype=int32)
    """

    thresholds: Any
    flips: Any = False

    needs_window_sum = False

    def plain(self, accumulator, window_sum):
        """Compute the output from accumulators (..., channels)."""
        return words.pack_signs(plain.to_signs(accumulator, self.thresholds, self.flips))

    def inputs(self, channels_out):
        """Return the inputs of the compiled ops behind the filter."""
        by_channel = _by_channel(channels_out)
        flips = by_channel(self.flips, tf.bool)
        packed = words.pack_signs(plain.to_signs(0.0, tf.zeros_like(flips, tf.int32), flips))
        nothing = tf.zeros((0,), tf.float32)
        return by_channel(self.thresholds, tf.int32), packed, nothing, nothing, nothing

    def attributes(self):
        """Return the attributes of the compiled ops that say what the output is."""
        return {"output_type": tf.int32}


def _by_channel(channels_out):
    """Return a function that makes a value (channels_out,), or empty if there is none."""

    def by_channel(value, dtype):
        if value is None:
            return tf.zeros((0,), dtype)
        return tf.broadcast_to(tf.cast(value, dtype), (channels_out,))

    return by_channel
