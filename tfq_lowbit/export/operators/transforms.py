"""What becomes of the accumulator of a kernel on bits: int8 codes, or bits again."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfq_lowbit.export.program import Constant
from tfq_lowbit.ops import plain
from tfq_lowbit.packing import pack_signs


@dataclass(eq=False)
class ToCodes:
    """`clip(rint(clamp(acc + integer_bias, lower, upper) * multiplier + bias) + z, low, high)`.

    The result, before it is rounded, is in units of the output's scale. A window sum times
    `sum_multiplier` is added to it where that is given.

    Attributes:
        multiplier: float32 of shape (channels,), as are all but the last two.
        bias: float32, None where there is an integer bias.
        integer_bias: int32, None where there is a bias.
        lower: float32 in units of the accumulator, or None.
        upper: likewise.
        sum_multiplier: float32, or None.
        low: smallest code.
        high: largest code.
    """

    multiplier: np.ndarray
    bias: Any = None
    integer_bias: Any = None
    lower: Any = None
    upper: Any = None
    sum_multiplier: Any = None
    low: int = -128
    high: int = 127

    @property
    def has_window_sum(self):
        """Whether it takes the sum of the inputs of each window."""
        return self.sum_multiplier is not None

    def constants(self, name):
        """Return the inputs of the operator behind its filter, None for one that is left out."""
        second = ("bias", self.bias, "FLOAT32")
        if self.integer_bias is not None:
            second = ("integer_bias", self.integer_bias, "INT32")
        rows = (
            ("multiplier", self.multiplier, "FLOAT32"),
            second,
            ("lower", self.lower, "FLOAT32"),
            ("upper", self.upper, "FLOAT32"),
            ("sum_multiplier", self.sum_multiplier, "FLOAT32"),
        )
        made = [
            None if values is None else Constant(f"{name}/{label}", values, stored_as)
            for label, values, stored_as in rows
        ]
        while made[-1] is None:
            made.pop()
        return made

    def options(self, output):
        """Return the options that it adds to the operator's."""
        return {"zero_point": output.grid.zero_point, "low": self.low, "high": self.high}

    def compute(self, accumulator, window_sum, output):
        """Return the codes."""
        y = plain.transform(
            accumulator,
            self.multiplier,
            self.bias,
            self.integer_bias,
            self.lower,
            self.upper,
            window_sum,
            self.sum_multiplier,
        )
        return plain.to_int8(y, output.grid.zero_point, self.low, self.high)


@dataclass(eq=False)
class ToSigns:
    """-1 where `(acc < threshold) ^ flip`.

    Attributes:
        thresholds: int32 of shape (channels,).
        flips: bool of shape (channels,).
    """

    thresholds: np.ndarray
    flips: np.ndarray

    has_window_sum = False

    def constants(self, name):
        """Return the inputs of the operator behind its filter."""
        flips = pack_signs(np.where(self.flips, -1, 1))
        return [
            Constant(f"{name}/thresholds", self.thresholds, "INT32"),
            Constant(f"{name}/flips", flips, "INT32"),
        ]

    def options(self, output):
        """Return the options that it adds to the operator's."""
        del output
        return {"zero_point": 0, "low": 0, "high": 0}

    def compute(self, accumulator, window_sum, output):
        """Return the signs."""
        del window_sum, output
        return plain.to_signs(accumulator, self.thresholds, self.flips)
