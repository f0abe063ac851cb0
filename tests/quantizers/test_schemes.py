"""Quantizers by name."""

import numpy as np
import pytest

from tfq_lowbit.quantizers import (
    ACTIVATION_SCHEMES,
    BINARY_SCHEMES,
    INPUT_SCHEMES,
    KERNEL_SCHEMES,
    LSQ,
    BinaryQuantizer,
    LSQPlus,
    SignFunction,
    activation_quantizer,
    binary_scheme,
    input_quantizer,
    kernel_quantizer,
)


@pytest.mark.parametrize("scheme", KERNEL_SCHEMES)
@pytest.mark.parametrize("num_bits", [2, 3, 8])
@pytest.mark.parametrize("axis", [None, 3, (2, 3)])
def test_every_kernel_scheme_gives_narrow_codes_at_every_width(scheme, num_bits, axis):
    quantizer = kernel_quantizer(scheme, num_bits, axis)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)
    quantizer.initialize(kernel)
    top = 2 ** (num_bits - 1) - 1
    assert (quantizer.q_min, quantizer.q_max) == (-top, top)
    codes = quantizer.encode(kernel).codes.numpy()
    assert -top <= codes.min() < 0 < codes.max() <= top
    assert quantizer.axis == (axis if KERNEL_SCHEMES[scheme].per_channel else None)


@pytest.mark.parametrize("scheme", ACTIVATION_SCHEMES)
@pytest.mark.parametrize("num_bits", [2, 3, 8])
@pytest.mark.parametrize("signed", [True, False, None])
def test_every_activation_scheme_has_one_step_at_every_width(scheme, num_bits, signed):
    quantizer = activation_quantizer(scheme, num_bits, signed)
    values = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    quantizer.initialize(values if signed is not False else np.abs(values))
    assert quantizer.encode(values).step_size.shape == ()
    assert float(quantizer.q_max) <= 2**num_bits - 1
    if ACTIVATION_SCHEMES[scheme].quantizer is not LSQPlus:
        assert quantizer.signed is signed


@pytest.mark.parametrize("schemes", [KERNEL_SCHEMES, ACTIVATION_SCHEMES])
def test_every_scheme_takes_another_rule(schemes):
    build = kernel_quantizer if schemes is KERNEL_SCHEMES else activation_quantizer
    for scheme, row in schemes.items():
        quantizer = build(scheme, row.num_bits or 4, init="min_max")
        assert quantizer.init == "min_max"
        assert build(scheme, row.num_bits or 4).init == row.init


@pytest.mark.parametrize("scheme", [n for n, row in KERNEL_SCHEMES.items() if row.num_bits])
def test_a_scheme_of_one_width_becomes_lsq_at_any_other(scheme):
    row = KERNEL_SCHEMES[scheme]
    quantizer = kernel_quantizer(scheme, row.num_bits, 3)
    assert (type(quantizer), quantizer.num_bits) == (row.quantizer, row.num_bits)
    assert type(kernel_quantizer(scheme, 8, 3)) is LSQ


def test_a_binary_scheme_names_quantizers_of_one_bit():
    for scheme in BINARY_SCHEMES:
        row = binary_scheme(scheme)
        assert isinstance(kernel_quantizer(row.weight_quantizer, 1), BinaryQuantizer)
        assert isinstance(input_quantizer(row.input_quantizer), SignFunction)
    assert {row.input_quantizer for row in BINARY_SCHEMES.values()} <= set(INPUT_SCHEMES)


@pytest.mark.parametrize("scheme", [n for n, row in KERNEL_SCHEMES.items() if row.num_bits != 1])
def test_one_bit_needs_a_binary_scheme(scheme):
    with pytest.raises(
        ValueError, match=f"`weight_bits` .* 2 to 8 .*{scheme}.*xnor.*weight_bits=1"
    ):
        kernel_quantizer(scheme, 1)


def test_the_trained_ternary_scheme_can_be_exported():
    assert kernel_quantizer("ttq", 2).symmetric


def test_unknown_binary_schemes_are_refused_by_name():
    with pytest.raises(ValueError, match="`input_quantizer` must be one of.*'r_sign'.*'lsq'"):
        input_quantizer("lsq")
    with pytest.raises(ValueError, match="`scheme` must be one of.*'bi_real'.*'lsq'"):
        binary_scheme("lsq")


@pytest.mark.parametrize(
    ("build", "argument"),
    [(kernel_quantizer, "weight"), (activation_quantizer, "activation")],
)
def test_bad_arguments_are_refused_by_name(build, argument):
    with pytest.raises(ValueError, match=rf"`{argument}_quantizer` must be one of.*'lqs'"):
        build("lqs", 4)
    for scheme in KERNEL_SCHEMES if argument == "weight" else ACTIVATION_SCHEMES:
        with pytest.raises(ValueError, match=rf"`{argument}_bits` must be an integer.*=9"):
            build(scheme, 9)
