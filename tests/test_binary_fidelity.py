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
from tests.networks import bi_real as bi_real_net
from tests.networks import images, pooled_before_norm, resnet, vgg
from tests.promise import check_promise
from tfq_lowbit import Recipe, quantize_model
from tfq_lowbit.export import KERAS_LITERT, lower
from tfq_lowbit.export.operators import BitKernelOperator
from tfq_lowbit.export.pending_binary import BinaryWeights
from tfq_lowbit.quantizers import BINARY_SCHEMES
from tfq_lowbit.wrappers import BinaryWrapper

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
    "levels with offsets": (
        lambda: chain(conv(scheme="ada_bin"), relu, quantized, conv(33, scheme="ada_bin"), norm),
        [PACK, CONV, PACK, CONV],
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
    fidelity = check_promise(model, data, has_ties=True)
    codes = [operator.code for operator in lower(model).operators]
    first, last = (
        next(index for index, code in ends if code in BITS)
        for ends in (enumerate(codes), reversed(list(enumerate(codes))))
    )
    on_bits = [code for code in codes[first : last + 1] if code in (*operators, *BITS)]
    assert on_bits == operators
    assert any(pairs.get(KERAS_LITERT) for pairs in fidelity.layers.values())


FLOAT_NETS = {
    "plain": lambda: vgg(size=16, width=10),
    "pooled before norm": pooled_before_norm,
    "residual": bi_real_net,
    "residual with RPReLU": lambda: bi_real_net(has_prelu=True),
    "residual, activations last": lambda: resnet(size=16, width=10, blocks=1),
}


@pytest.mark.parametrize("net", FLOAT_NETS)
@pytest.mark.parametrize("scheme", BINARY_SCHEMES)
def test_a_network_made_binary_ships_what_was_trained(net, scheme):
    model = FLOAT_NETS[net]()
    model = quantize_model(model, Recipe.binary(scheme), images(model, 64))
    model, data = unkind(model, keeps_weights=True)
    check_promise(model, data, has_ties=True)
    program = lower(model)
    kernels = [each for each in model.layers if isinstance(each, BinaryWrapper)]
    binary = [each for each in program.weights.values() if isinstance(each, BinaryWeights)]
    assert len(kernels) == len(binary) > 2


def test_no_sign_of_the_first_layer_is_lost_to_rounding():
    model = pooled_before_norm()
    model = quantize_model(model, Recipe.binary(), images(model, 64))
    fidelity = check_promise(model, images(model, 64, seed=1), has_ties=True)
    name = f"{model.layers[2].name}/accumulator/signs"
    # 655,360 signs: of rounded sums several would be 0, and of either sign in Keras.
    assert fidelity.layers[name][KERAS_LITERT].is_exact


LOW_BITS = {
    "W1A2": lambda: Recipe.binary(input_quantizer=None, activation_bits=2),
    "W2A2": lambda: Recipe.lsq(2, 2),
    "ternary A2": lambda: Recipe.ternary(2),
}


@pytest.mark.parametrize("recipe", LOW_BITS)
@pytest.mark.parametrize("net", ["plain", "residual, activations last"])
def test_a_low_bit_network_on_bits_ships_what_was_trained(net, recipe):
    model = FLOAT_NETS[net]()
    model = quantize_model(model, LOW_BITS[recipe](), images(model, 64))
    data = images(model, 64, seed=1)
    check_promise(model, data, has_ties=True, custom_ops="lowbit")
    program = lower(model, custom_ops="lowbit")
    on_bits = [each for each in program.operators if isinstance(each, BitKernelOperator)]
    assert len(on_bits) > 2
    assert len(program.weights) == len(on_bits) + len(program.plain_layers)
