"""The tables of LiteRT: containers of weights and versions of operators."""

import pytest

from tfq_lowbit.targets import TARGETS, litert

LIMITS = {bits: 2 ** (bits - 1) - 1 for bits in range(2, 9)}
VARIANTS = ("", "one scale", "blocks")
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
    for target in TARGETS.values():
        for table in (target.CONTAINERS, target.FAST_CONTAINERS):
            for operator, containers in table.items():
                for container in containers:
                    version, runtime = target.find_version(operator, container)
                    assert version > 0
                    assert all(part.isdigit() for part in runtime.split("."))


def test_every_operator_with_float_activations_has_a_version_that_some_runtime_has():
    kinds = {operator for operator, _, _ in litert.FLOAT_VERSIONS}
    assert {DENSE, CONV, DEPTHWISE, "DEQUANTIZE", "EMBEDDING_LOOKUP"} <= kinds
    for operator, weights, variant in litert.FLOAT_VERSIONS:
        version, runtime = litert.find_version(operator, weights, variant, litert.FLOAT_VERSIONS)
        assert version > 0 and runtime.count(".") == 2
        assert weights in (*litert.CODE_RANGES, "FLOAT16", "") and variant in VARIANTS
    # What unpacks weights for operators that cannot take them.
    for container in litert.CODE_RANGES:
        for variant in ("", "one scale"):
            assert ("DEQUANTIZE", container, variant) in litert.FLOAT_VERSIONS


def test_fast_containers_are_containers():
    for target in TARGETS.values():
        for operator, containers in target.FAST_CONTAINERS.items():
            assert set(containers) <= set(target.CONTAINERS[operator])


def test_targets_are_named():
    assert {name: target.name for name, target in TARGETS.items()} == {
        name: name for name in ("litert", "edgetpu", "ethos-u", "tflm")
    }


def test_a_target_has_the_tables_of_litert_where_it_has_none_of_its_own():
    target = TARGETS["edgetpu"]
    assert target.MAX_MULTIPLIER == litert.MAX_MULTIPLIER
    assert target.IO_TYPES == ("int8",) != litert.IO_TYPES
    assert target.HAS_FIXED_BATCH and not TARGETS["litert"].HAS_FIXED_BATCH
    with pytest.raises(AttributeError, match="choose_containers"):
        target.choose_containers("CONV_2D")


# Target, operator, width of the codes, whether channels have scales of their own: stored type.
TARGET_CHOICES = [
    *[(name, CONV, 4, True, "INT8") for name in ("litert", "edgetpu", "ethos-u")],
    *[(name, DENSE, 4, False, "INT8") for name in ("edgetpu", "ethos-u")],
    *[("tflm", name, 4, True, "INT4") for name in (CONV, DEPTHWISE)],
    *[("tflm", CONV, bits, True, "INT8") for bits in (5, 8)],
    *[("tflm", DENSE, 4, False, "INT4"), ("tflm", DENSE, 4, True, "INT8")],
    *[("tflm", DENSE, 2, False, "INT4"), ("litert", DENSE, 2, True, "INT2")],
]


@pytest.mark.parametrize(
    ("target", "operator", "num_bits", "is_per_channel", "expected"), TARGET_CHOICES
)
def test_a_target_that_cannot_take_a_width_gets_the_next_wider_container(
    target, operator, num_bits, is_per_channel, expected
):
    limit = LIMITS[num_bits]
    facts = dict(depth=8, prefer="size", is_per_channel=is_per_channel)
    assert TARGETS[target].choose_container(operator, -limit, limit, **facts) == expected
