"""Time a .tflite file on this machine."""

import dataclasses
import time

import numpy as np

from tfq_lowbit.runtime.interpreter import Interpreter

SEED = 0


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """How long one inference takes.

    Attributes:
        median_ms: median time of an invocation, in milliseconds.
        p10_ms: a tenth of the invocations is faster.
        p90_ms: a tenth of the invocations is slower. Far above the median means that something
            else was running: measure again.
        num_threads: threads of the kernels.
        repetitions: number of timed invocations.
        batch_size: samples in an invocation.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    num_threads: int
    repetitions: int
    batch_size: int

    def __str__(self):
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        return (
            f"{self.median_ms:.3f} ms (10 % below {self.p10_ms:.3f}, 10 % above "
            f"{self.p90_ms:.3f}; {threads}, batch {self.batch_size}, {self.repetitions} runs)"
        )


def benchmark(path_or_bytes, num_threads=1, repetitions=200, warmup=20) -> Benchmark:
    """Time a .tflite file in LiteRT, one inference after the other.

    The file runs at its own batch size (1 where that is open) on random inputs; only `invoke` is
    timed.

    Args:
        path_or_bytes: path of a .tflite file, or its content.
        num_threads: threads of the kernels.
        repetitions: number of timed invocations, at least 1.
        warmup: number of invocations before, at least 0.

    Returns:
        A `Benchmark`, which prints as one line.

    Raises:
        ValueError: if the file cannot be read or an argument is out of range.

    Example:
        >>> print(benchmark("model.tflite"))  # doctest: +SKIP
        0.041 ms (10 % below 0.040, 10 % above 0.046; 1 thread, batch 1, 200 runs)
    """
    for name, value, least in (("repetitions", repetitions, 1), ("warmup", warmup, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(
                f"Argument `{name}` must be an integer of at least {least}. Received: {value!r}"
            )
    interpreter = Interpreter(path_or_bytes, num_threads)
    interpreter.allocate_tensors()
    generator = np.random.default_rng(SEED)
    details = interpreter.get_input_details()
    for each in details:
        interpreter.set_tensor(each["index"], _random(generator, each["shape"], each["dtype"]))
    for _ in range(warmup):
        interpreter.invoke()
    times = np.empty(repetitions)
    for index in range(repetitions):
        start = time.perf_counter()
        interpreter.invoke()
        times[index] = time.perf_counter() - start
    p10, median, p90 = (float(each) for each in np.percentile(times * 1e3, (10, 50, 90)))
    batch_size = int(next((each["shape"][0] for each in details if len(each["shape"])), 1))
    return Benchmark(median, p10, p90, num_threads, repetitions, batch_size)


def _random(generator, shape, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, size=shape, dtype=dtype, endpoint=True)
    if dtype.kind == "f":
        return generator.uniform(size=shape).astype(dtype)
    return np.zeros(shape, dtype)  # indices and sizes: 0 is always allowed
