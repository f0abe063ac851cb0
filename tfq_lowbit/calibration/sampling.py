"""A bounded sample of the values that flow through a tensor."""

import numpy as np

MAX_VALUES = 1 << 20


class ValueSample:
    """Collects values batch by batch and keeps a uniform sample with the true extremes.

    Args:
        max_values: how many values are kept at the most (4 bytes each).
        seed: seed of the sampling.
    """

    def __init__(self, max_values=MAX_VALUES, seed=0):
        self._random = np.random.default_rng(seed)
        self._max_values = max_values
        self._kept = []
        self._fraction = 1.0
        self._minimum, self._maximum = np.inf, -np.inf

    def update(self, values):
        """Add the values of one batch, of any shape."""
        values = np.asarray(values, np.float32).reshape(-1)
        if not values.size:
            return
        # Not `min`: a NaN must reach the extremes, where no sampling drops it.
        self._minimum = np.minimum(self._minimum, values.min())
        self._maximum = np.maximum(self._maximum, values.max())
        self._kept.append(self._thin(values, self._fraction))
        while sum(kept.size for kept in self._kept) > self._max_values:
            self._kept = [self._thin(kept, 0.5) for kept in self._kept]
            self._fraction *= 0.5

    def values(self):
        """Return the sample as a float32 vector, the extremes appended."""
        if not self._kept:
            raise ValueError("No values were collected: give at least one batch of data.")
        extremes = np.array([self._minimum, self._maximum], np.float32)
        return np.concatenate([*self._kept, extremes])

    def _thin(self, values, fraction):
        if fraction == 1.0:
            return values
        return values[self._random.random(values.size) < fraction]
