"""How step sizes are initialised from data."""

from tfq_lowbit.calibration.rules import RULES, get_rule
from tfq_lowbit.calibration.sampling import ValueSample

__all__ = ["RULES", "ValueSample", "get_rule"]
