"""What each runtime accepts, as tables."""

from tfq_lowbit.targets.table import TARGETS

__all__ = ["TARGETS"]
