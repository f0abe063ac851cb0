"""The targets by name: one row each."""

from types import ModuleType

from tfq_lowbit.targets import litert

TARGETS: dict[str, ModuleType] = {"litert": litert}
