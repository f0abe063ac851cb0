"""Shipped equals trained for binary networks: delegate, lowered graph, evaluator and Keras.

The delegate equals the lowered graph bit for bit, whole networks through and layer by layer; the
signs of Keras equal them but where a value lies within a rounding error of its threshold.
"""

import pytest

from tests.binary_networks import (
    bi_real,
    chain,
    conv,
    dense,
    layers,
    norm,
    pool,
    preactivation,
    quantized,
    relu,
    unkind,
)
from tests.promise import check_promise
from tfq_lowbit.export import KERAS_LITERT, lower

# By name: the net, and the operators that its binary layers and what is between them become.
PACK, CONV, DENSE, POOL, FLIP = (
    "TfqBitpack",
    "TfqBconv2d",
    "TfqBdense",
    "TfqBmaxpool",
    "BITWISE_XOR",
)
NETS = {
    "conv, norm": (lambda: chain(conv(), norm, conv(), norm), [PACK, CONV, CONV]),
    "conv, norm, relu": (
        lambda: chain(relu, conv(), norm, relu, conv(), norm, relu),
        [PACK, CONV, CONV],
    ),
    "conv, relu, norm": (
        lambda: chain(conv(), relu, norm, conv(activation="relu"), norm),
        [PACK, CONV, CONV],
    ),
    "relu and norm again": (
        lambda: chain(conv(), relu, norm, relu, norm, conv(), norm, relu, norm, relu),
        [PACK, CONV, CONV],
    ),
    "biases": (
        lambda: chain(conv(use_bias=True), conv(use_bias=True, activation="relu6"), norm),
        [PACK, CONV, CONV],
    ),
    "pooling": (
        lambda: chain(pool, conv(), norm, pool, conv(), pool, norm, conv(), norm),
        [PACK, POOL, CONV, POOL, CONV, POOL, FLIP, CONV],
    ),
    "overlapping pooling": (
        lambda: chain(conv(), norm, lambda x: pool(x, 3, strides=2, padding="same"), conv()),
        [PACK, CONV, POOL, CONV],
    ),
    "codes pooled": (lambda: chain(conv(), norm, pool), [PACK, CONV]),
    "grouped": (lambda: chain(conv(groups=5), norm, conv(80, groups=8), norm), [PACK, CONV, CONV]),
    "strided": (
        lambda: chain(conv(strides=2), norm, conv(36, (2, 3), strides=(1, 2)), norm),
        [PACK, CONV, CONV],
    ),
    "dilated": (
        lambda: chain(conv(dilation_rate=2), norm, conv(33, dilation_rate=(1, 3)), norm),
        [PACK, CONV, CONV],
    ),
    "without padding": (
        lambda: chain(conv(padding="valid"), norm, conv(33, (1, 4), padding="valid"), norm),
        [PACK, CONV, CONV],
    ),
    "padded with zeros": (
        lambda: chain(conv(pad_values=0), norm, conv(33, 2, pad_values=0, strides=2), norm),
        [PACK, CONV, CONV],
    ),
    "levels of one": (
        lambda: chain(conv(scheme="ste_sign"), conv(scheme="ste_sign"), norm),
        [PACK, CONV, CONV],
    ),
    "dense": (
        lambda: chain(
            conv(), norm, pool, layers.Flatten(), dense(50), norm, dense(36), norm, quantized
        ),
        [PACK, CONV, POOL, CONV, "RESHAPE", DENSE],
    ),
    "dense of whole words": (
        lambda: chain(conv(64), norm, pool, layers.Flatten(), dense(50), norm, relu, quantized),
        [PACK, CONV, POOL, "RESHAPE", DENSE],
    ),
    "dense of codes": (
        lambda: chain(quantized, layers.Flatten(), dense(50), norm, quantized),
        [PACK, DENSE],
    ),
    "sequence": (
        lambda: chain(
            conv(), norm, layers.Reshape((-1, 40)), dense(33), norm, quantized, layers.Flatten()
        ),
        [PACK, CONV, "RESHAPE", DENSE],
    ),
    "residual": (bi_real, [PACK, CONV] * 3),
    "residual with thresholds": (lambda: bi_real("react_net"), [PACK, CONV] * 3),
    "norm before the sign": (preactivation, [PACK, FLIP, CONV] * 3),
}
BITS = {PACK, CONV, DENSE, POOL, FLIP}


@pytest.mark.parametrize("name", NETS)
def test_a_binary_network_ships_what_was_trained(name):
    build, operators = NETS[name]
    model, data = unkind(build())
    fidelity = check_promise(model, data)
    codes = [operator.code for operator in lower(model).operators]
    first, last = (
        next(index for index, code in ends if code in BITS)
        for ends in (enumerate(codes), reversed(list(enumerate(codes))))
    )
    on_bits = [code for code in codes[first : last + 1] if code in (*operators, *BITS)]
    assert on_bits == operators
    assert any(pairs.get(KERAS_LITERT) for pairs in fidelity.layers.values())
