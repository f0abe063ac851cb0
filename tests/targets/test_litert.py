"""The tables of LiteRT: containers of weights and versions of operators."""

import pytest

from tfq_lowbit.targets import TARGETS, litert

LIMITS = {bits: 2 ** (bits - 1) - 1 for bits in range(2, 9)}
DENSE, CONV, DEPTHWISE = "FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"

# Operator, width of narrow codes, inputs of each output, preference: stored type.
CHOICES = [
    *[(DENSE, 2, 8, "size", "INT2"), (DENSE, 2, 8, "speed", "INT4")],
    *[(DENSE, bits, 8, "size", "INT4") for bits in (3, 4)],
    *[(DENSE, bits, 8, "size", "INT8") for bits in (5, 6, 7, 8)],
    # Rows that are no whole bytes.
    *[(DENSE, 2, 6, "size", "INT4"), (DENSE, 2, 7, "size", "INT8")],
    *[(DENSE, 4, 6, "size", "INT4"), (DENSE, 4, 7, "size", "INT8")],
    *[(DENSE, 4, 7, "speed", "INT8"), (DENSE, 8, 7, "speed", "INT8")],
    *[(name, bits, 8, "size", "INT8") for name in (CONV, DEPTHWISE) for bits in LIMITS],
]


@pytest.mark.parametrize(("operator", "num_bits", "depth", "prefer", "expected"), CHOICES)
def test_the_narrowest_container_that_the_kernels_take_is_chosen(
    operator, num_bits, depth, prefer, expected
):
    limit = LIMITS[num_bits]
    assert litert.choose_container(operator, -limit, limit, depth, prefer) == expected


def test_a_container_is_chosen_by_the_codes_that_occur():
    assert litert.choose_container(DENSE, -2, 1, 4, "size") == "INT2"
    assert litert.choose_container(DENSE, -2, 2, 4, "size") == "INT4"
    assert litert.choose_container(DENSE, -9, 0, 4, "size") == "INT8"


def test_sums_that_would_overflow_take_a_wider_container():
    limit = litert.ACCUMULATOR_LIMITS["INT4"]
    assert litert.choose_container(DENSE, -7, 7, 8, "size", limit - 1) == "INT4"
    assert litert.choose_container(DENSE, -7, 7, 8, "size", limit) == "INT8"


def test_every_container_has_a_version_of_its_operator():
    for table in (litert.CONTAINERS, litert.FAST_CONTAINERS):
        for operator, containers in table.items():
            for container in containers:
                version, runtime = litert.find_version(operator, container)
                assert version > 0
                assert all(part.isdigit() for part in runtime.split("."))


def test_fast_containers_are_containers():
    for operator, containers in litert.FAST_CONTAINERS.items():
        assert set(containers) <= set(litert.CONTAINERS[operator])


def test_targets_are_named():
    assert TARGETS == {"litert": litert}
