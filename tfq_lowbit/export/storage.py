"""The integer types of activations: the range of their codes and how the runtime computes in them.

An operator's inputs and output have one storage, except those that change it (`Convert`). What
depends on it is here or in the module that it names, so that operators and pending values ask the
grid of a tensor, and nobody else needs to know the types there are.
"""

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from tfq_lowbit.export import arithmetic_int8, arithmetic_int16


@dataclass(frozen=True)
class Storage:
    """An integer type of activations.

    Attributes:
        name: in the schema, "INT8".
        dtype: of arrays of codes.
        arithmetic: the module with the runtime's arithmetic.
        has_zero_point: whether a code other than 0 may stand for the real 0.
    """

    name: str
    dtype: type
    arithmetic: ModuleType
    has_zero_point: bool

    @property
    def low(self):
        """Smallest code."""
        return self.arithmetic.LOW

    @property
    def high(self):
        """Largest code."""
        return self.arithmetic.HIGH

    @property
    def argument(self):
        """As arguments have it, "int8"."""
        return self.name.lower()

    @property
    def all_codes(self):
        """All codes, ascending."""
        return np.arange(self.low, self.high + 1)


INT8 = Storage("INT8", np.int8, arithmetic_int8, True)
INT16 = Storage("INT16", np.int16, arithmetic_int16, False)
