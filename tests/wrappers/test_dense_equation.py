"""Equations of EinsumDense: which are a dense layer over the last axes."""

import keras
import numpy as np
import pytest

from tfq_lowbit.wrappers import bias_reason, parse_equation

# Equation: (input shape, kernel shape).
DENSE = {
    "ab,bc->ac": ((2, 3), (3, 4)),
    "abc,cd->abd": ((2, 3, 4), (4, 5)),
    "abc,cde->abde": ((2, 3, 4), (4, 5, 6)),
    "abcd,cde->abe": ((2, 3, 4, 5), (4, 5, 6)),
    "abcd,edc->abe": ((2, 3, 4, 5), (6, 5, 4)),
    "abcd,cedf->abef": ((2, 3, 4, 5), (4, 6, 5, 7)),
    "...x,xy->...y": ((2, 3, 4), (4, 5)),
    "...xy, yzx -> ...z": ((2, 3, 4), (4, 5, 3)),
}
OTHERS = {
    "ab,ab->a": "kernel",
    "abc,abd->acd": "kernel",
    "abc,acd->abd": "kernel",
    "abc,bd->adc": "last axes",
    "abc,cd->adb": "last axes",
    "abc,cde->abed": "same order",
    "ab,c->abc": "last axes",
    "ab,bc->c": "kernel",
}


@pytest.mark.parametrize("equation", DENSE)
def test_a_dense_equation_is_a_product_with_a_matrix(equation):
    shapes = DENSE[equation]
    random = np.random.default_rng(0)
    inputs, kernel = (random.integers(-9, 10, shape) for shape in shapes)
    parsed = parse_equation(equation)
    matrix = parsed.to_matrix(kernel)
    kept = inputs.shape[: inputs.ndim - parsed.num_inputs]
    expected = keras.ops.convert_to_numpy(
        keras.ops.einsum(equation, inputs.astype(float), kernel.astype(float))
    )
    np.testing.assert_array_equal(
        (inputs.reshape(*kept, -1) @ matrix).reshape(expected.shape), expected
    )
    np.testing.assert_array_equal(parsed.from_matrix(matrix, kernel.shape), kernel)
    channels = [kernel.shape[axis] for axis in parsed.channel_axes]
    assert tuple(channels) == expected.shape[-parsed.num_outputs :]


@pytest.mark.parametrize("equation", OTHERS)
def test_any_other_equation_is_refused_with_the_reason(equation):
    with pytest.raises(ValueError, match=OTHERS[equation]):
        parse_equation(equation)


def test_a_bias_has_new_axes_only():
    assert bias_reason("abc,cde->abde", None) is None
    assert bias_reason("abc,cde->abde", "e") is None
    assert "'be'" in bias_reason("abc,cde->abde", "be")
