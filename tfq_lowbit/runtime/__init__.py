"""Running, timing and reading .tflite files."""

from tfq_lowbit.runtime.benchmark import Benchmark, benchmark
from tfq_lowbit.runtime.contents import Contents, read_contents
from tfq_lowbit.runtime.interpreter import Interpreter, run

__all__ = ["Benchmark", "Contents", "Interpreter", "benchmark", "read_contents", "run"]
