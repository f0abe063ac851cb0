import dataclasses

import keras
import pytest

from tfq_lowbit.runtime import benchmark


@pytest.fixture(scope="module")
def content(convert):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    return convert(model)


def test_times_are_positive_and_in_order(content):
    timing = benchmark(content, num_threads=2, repetitions=30, warmup=0)
    assert 0 < timing.p10_ms <= timing.median_ms <= timing.p90_ms
    assert (timing.num_threads, timing.repetitions, timing.batch_size) == (2, 30, 1)


def test_it_prints_as_one_line(content):
    timing = benchmark(content, repetitions=1)
    text = str(dataclasses.replace(timing, median_ms=1.5, p10_ms=1.25, p90_ms=2.0))
    assert text == "1.500 ms (10 % below 1.250, 10 % above 2.000; 1 thread, batch 1, 1 runs)"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"repetitions": 0}, "repetitions"),
        ({"repetitions": 1.5}, "repetitions"),
        ({"warmup": -1}, "warmup"),
        ({"num_threads": 0}, "num_threads"),
    ],
)
def test_counts_out_of_range_are_refused(content, arguments, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        benchmark(content, **arguments)
