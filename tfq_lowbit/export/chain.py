"""Functions of one integer by channel: what stands between an accumulator and the next quantizer.

Scale, bias, batch normalization and activations are monotone in float32, rounding included. So a
sign behind them is one integer threshold a channel, found by asking the very arithmetic of the
float32 layers where it changes; and codes behind them are one product, one sum and two bounds.
"""

from dataclasses import dataclass

import numpy as np

from tfq_lowbit.model import Clamp

INT32_MIN = -(2**31)


@dataclass(frozen=True)
class Affine:
    """`clamp(n, lower, upper) * multiplier + bias`, then the bounds `last`; float64 by channel."""

    lower: np.ndarray
    upper: np.ndarray
    multiplier: np.ndarray
    bias: np.ndarray
    last: Clamp


class Chain:
    """A monotone float32 function of an integer by channel, step after step.

    Args:
        channels: how many.
    """

    def __init__(self, channels):
        self.channels = channels
        self._steps = []

    @property
    def ends_in_clamp(self):
        """Whether the last step is a clamp."""
        return bool(self._steps) and isinstance(self._steps[-1], Clamp)

    def scale(self, multiplier, shift):
        """Append `y * multiplier + shift`, each rounded to float32.

        Args:
            multiplier: float32, scalar or of shape (channels,).
            shift: likewise.
        """
        self._steps.append((np.asarray(multiplier, np.float32), np.asarray(shift, np.float32)))

    def clamp(self, clamp):
        """Append the bounds of an activation."""
        if clamp != Clamp(None, None):
            self._steps.append(clamp)

    def __call__(self, integers):
        """Return the float32 values at integers of shape (..., channels)."""
        y = np.asarray(integers).astype(np.float32)
        for step in self._steps:
            if isinstance(step, Clamp):
                y = np.clip(y, step.lower, step.upper)
            else:
                y = y * step[0] + step[1]
        return y

    def fold(self) -> Affine:
        """Return the chain as one affine function between bounds, in float64."""
        lower, upper = np.full(self.channels, -np.inf), np.full(self.channels, np.inf)
        multiplier, bias = np.ones(self.channels), np.zeros(self.channels)
        steps = list(self._steps)
        last = steps.pop() if self.ends_in_clamp else Clamp(None, None)
        for step in steps:
            if isinstance(step, Clamp):
                lower, upper, multiplier, bias = _bounded(lower, upper, multiplier, bias, step)
            else:
                factor, shift = (part.astype(np.float64) for part in step)
                multiplier, bias = multiplier * factor, bias * factor + shift
        return Affine(lower, upper, multiplier, bias, last)


def _bounded(lower, upper, multiplier, bias, clamp):
    """Fold bounds on `clamp(n, lower, upper) * multiplier + bias` into bounds on n."""
    floor = -np.inf if clamp.lower is None else clamp.lower
    ceiling = np.inf if clamp.upper is None else clamp.upper
    is_constant = multiplier == 0
    safe = np.where(is_constant, 1.0, multiplier)
    ends = np.sort([(floor - bias) / safe, (ceiling - bias) / safe], axis=0)
    # Both bounds of n are moved into the new ones: where the ranges do not meet, n is a constant.
    inside = [np.where(is_constant, end, np.clip(end, *ends)) for end in (lower, upper)]
    bias = np.where(is_constant, np.clip(bias, floor, ceiling), bias)
    return *inside, multiplier, bias


def find_thresholds(function, lowest, highest, thresholds):
    """Find where a monotone function of an integer crosses a threshold, by channel.

    Args:
        function: from int64 of shape (channels,) to float32 of that shape, monotone by channel.
        lowest: int64 of shape (channels,), the smallest integer that occurs.
        highest: likewise, the largest.
        thresholds: float32, scalar or of shape (channels,).

    Returns:
        `(integers, flips)`, int64 and bool of shape (channels,): for every n that occurs,
        `function(n) < threshold` equals `(n < integer) ^ flip`. The integer of a channel that never
        crosses is the smallest int32.
    """
    at_lowest = function(lowest) < thresholds
    changes = at_lowest != (function(highest) < thresholds)
    # The first integer that compares as `highest` does lies in (below, above].
    below, above = lowest.copy(), highest.copy()
    while np.any(changes & (above - below > 1)):
        middle = (below + above) // 2
        is_past = (function(middle) < thresholds) != at_lowest
        below, above = np.where(is_past, below, middle), np.where(is_past, middle, above)
    # A bit that is set at first is what `n < integer` gives; one that is set later is flipped, and
    # so is one that always is.
    return np.where(changes, above, INT32_MIN), at_lowest ^ changes
