"""How layers are taken apart: one file a family."""

from tfq_lowbit.model.decompositions.table import decomposition_of

__all__ = ["decomposition_of"]
