"""The demo: a float model, low-bit copies of it, their files, and how they compare."""

from tfq_lowbit.demo.data import ImageData, load_data
from tfq_lowbit.demo.run import SCHEMES, run_demo

__all__ = ["SCHEMES", "ImageData", "load_data", "run_demo"]
