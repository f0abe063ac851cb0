"""TfqPrelu: a parametric ReLU by channel, from int8 to int8."""

from dataclasses import dataclass

import numpy as np

from tfq_lowbit.export.operators.elementwise import UnaryOperator
from tfq_lowbit.export.program import CUSTOM_OPTIONS, Constant
from tfq_lowbit.ops import plain


@dataclass(eq=False)
class Prelu(UnaryOperator):
    """`clip(rint(x * m + b), low, high)`, with the pair "above" where a code exceeds the knee.

    Attributes:
        knee: int32 of shape (channels,).
        above: multiplier and bias, float32 of shape (channels,), zero points included.
        below: likewise.
        low: smallest code.
        high: largest code.
    """

    knee: np.ndarray
    above: tuple
    below: tuple
    low: int
    high: int

    code = "TfqPrelu"

    @property
    def inputs(self):
        """The tensor, and the parameters by channel."""
        labels = ("above_multiplier", "above_bias", "below_multiplier", "below_bias")
        values = (*self.above, *self.below)
        return [
            self.source,
            Constant(f"{self.output.name}/knee", self.knee, "INT32"),
            *(
                Constant(f"{self.output.name}/{label}", value, "FLOAT32")
                for label, value in zip(labels, values, strict=True)
            ),
        ]

    def compute(self, codes):
        """Return the output codes."""
        (above, above_bias), (below, below_bias) = self.above, self.below
        return plain.prelu(
            codes, self.knee, above, above_bias, below, below_bias, self.low, self.high
        )

    def options(self):
        """Return the custom options."""
        return CUSTOM_OPTIONS, {"low": self.low, "high": self.high}
