"""How each Keras layer becomes integer operators."""

from tfq_lowbit.export.layers.table import LOWERINGS

__all__ = ["LOWERINGS"]
