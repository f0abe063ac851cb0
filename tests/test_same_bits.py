"""The same bits in eager mode, in a graph and under XLA."""

import numpy as np
import pytest
import tensorflow as tf

from tfq_lowbit import quantizers, same_bits

COUNT = 100_000
STEPS = np.random.default_rng(1).uniform(0.001, 2.0, COUNT).astype(np.float32)
# As near to the middle between two codes as float32 can be.
TIES = (np.random.default_rng(0).integers(-127, 127, COUNT) + 0.5).astype(np.float32) * STEPS

compilers = pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])


def check_same(function, *arguments, jit_compile):
    arguments = [tf.Variable(argument) for argument in arguments]  # no constants to be folded
    eager = function(*arguments)
    compiled = tf.function(lambda: function(*arguments), jit_compile=jit_compile)()
    np.testing.assert_array_equal(compiled, eager)
    return np.asarray(eager)


@compilers
def test_a_product_with_a_reciprocal_is_no_division(jit_compile):
    found = check_same(
        lambda x, s: x * same_bits.reciprocal(s), TIES, STEPS, jit_compile=jit_compile
    )
    np.testing.assert_array_equal(found, TIES * (np.float32(1) / STEPS))
    assert np.mean(found != TIES / STEPS) > 0.1


@compilers
@pytest.mark.parametrize("num_steps", [7, 15, 255])
def test_a_range_step(num_steps, jit_compile):
    found = check_same(lambda c: same_bits.range_step(c, num_steps), STEPS, jit_compile=jit_compile)
    np.testing.assert_allclose(found, STEPS / num_steps, rtol=2e-7)


@compilers
@pytest.mark.parametrize(
    "make",
    [
        lambda: quantizers.LSQ(8, axis=-1, narrow_range=True),
        lambda: quantizers.UniformAffine(8, axis=-1, narrow_range=True),
        lambda: quantizers.UniformAffine(8, asymmetric=True),
        lambda: quantizers.LSQPlus(8),
        lambda: quantizers.PACT(8),
        lambda: quantizers.DoReFaActivations(8),
    ],
    ids=["LSQ", "UniformAffine", "asymmetric", "LSQPlus", "PACT", "DoReFa"],
)
def test_codes_of_ties(make, jit_compile):
    quantizer = make()
    values = np.random.default_rng(2).normal(size=(2000, 100)).astype(np.float32)
    quantizer.build(values.shape)
    quantizer.initialize(values)
    steps = np.asarray(quantizer.encode(values).step_size)
    ties = (np.floor(values / steps) + np.float32(0.5)) * steps
    check_same(lambda x: quantizer.encode(x).codes, ties, jit_compile=jit_compile)
    check_same(quantizer, ties, jit_compile=jit_compile)
