"""The bounded sample keeps what matters of the values it saw."""

import numpy as np
import pytest

from tfq_lowbit.calibration import ValueSample


def test_few_values_are_all_kept():
    sample = ValueSample()
    sample.update(np.array([[1.0, 2.0], [3.0, 4.0]]))
    sample.update(np.zeros((0, 2)))
    sample.update([-5.0])
    values = sample.values()
    assert values.dtype == np.float32
    assert sorted(set(values.tolist())) == [-5.0, 1.0, 2.0, 3.0, 4.0]


def test_many_values_stay_bounded_and_keep_their_extremes():
    random = np.random.default_rng(0)
    sample = ValueSample(max_values=1000)
    batches = random.normal(size=(200, 300)).astype(np.float32)
    batches[3, 5], batches[150, 7] = -77.0, 88.0
    for batch in batches:
        sample.update(batch)
    values = sample.values()
    assert 400 <= values.size <= 1002
    assert (values.min(), values.max()) == (-77.0, 88.0)


def test_early_and_late_batches_are_kept_alike():
    sample = ValueSample(max_values=4000)
    for batch in range(40):
        sample.update(np.full(1000, batch, np.float32))
    first = np.mean(sample.values() < 20)
    # A uniform sample of 2,000 to 4,000 values: four standard deviations are below 0.05.
    assert abs(first - 0.5) < 0.05


def test_one_large_batch_is_thinned_as_well():
    sample = ValueSample(max_values=100)
    sample.update(np.arange(10_000, dtype=np.float32))
    assert sample.values().size <= 102


def test_equal_seeds_give_equal_samples():
    batches = np.random.default_rng(0).normal(size=(10, 500))
    samples = [ValueSample(max_values=1000, seed=3) for _ in range(2)]
    for sample in samples:
        for batch in batches:
            sample.update(batch)
    np.testing.assert_array_equal(samples[0].values(), samples[1].values())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_single_bad_value_is_never_thinned_away(bad):
    sample = ValueSample(max_values=100)
    for batch in range(50):
        values = np.ones(100, np.float32)
        values[0] = bad if batch == 20 else 1.0
        sample.update(values)
    assert not np.all(np.isfinite(sample.values()))


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        ValueSample().values()
