"""What each runtime accepts, as tables."""

from tfq_lowbit.targets import litert

TARGETS = {"litert": litert}

__all__ = ["TARGETS", "litert"]
