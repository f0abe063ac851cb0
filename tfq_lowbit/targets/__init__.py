"""What each runtime accepts, as tables, read by the exporter and by `check`."""

from tfq_lowbit.targets.check import check, check_view
from tfq_lowbit.targets.findings import CheckReport, Finding
from tfq_lowbit.targets.table import TARGETS
from tfq_lowbit.targets.target import Target
from tfq_lowbit.targets.vela import VelaResult, compile_with_vela

__all__ = [
    "CheckReport",
    "Finding",
    "TARGETS",
    "Target",
    "VelaResult",
    "check",
    "check_view",
    "compile_with_vela",
]
