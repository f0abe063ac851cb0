"""The wrappers of the papers."""

import keras
import numpy as np
import pytest

from tfq_lowbit import quantizers, wrappers


@pytest.mark.parametrize("bits", [2, 5, 8])
def test_lsq_learns_a_step_for_each_channel_and_the_input(bits):
    wrapper = wrappers.LSQ(keras.layers.Conv2D(4, 3), weight_bits=bits, activation_bits=bits)
    kernel, inputs = wrapper.kernel_quantizer, wrapper.input_quantizer
    assert type(kernel) is quantizers.LSQ and type(inputs) is quantizers.LSQ
    assert (kernel.num_bits, inputs.num_bits) == (bits, bits)
    assert kernel.axis == (3,) and kernel.narrow_range
    assert inputs.axis is None and inputs.is_activation and inputs.signed is None
    assert wrapper.output_quantizer is None


def test_lsq_can_have_one_step_a_kernel():
    wrapper = wrappers.LSQ(keras.layers.Dense(4), per_channel=False, signed=False)
    assert wrapper.kernel_quantizer.axis is None
    assert wrapper.input_quantizer.signed is False


def test_a_depthwise_kernel_has_two_channel_axes():
    wrapper = wrappers.LSQ(keras.layers.DepthwiseConv2D(3, depth_multiplier=2))
    wrapper(np.ones((1, 4, 4, 3), np.float32))
    assert wrapper.kernel_quantizer.step_size.shape == (1, 1, 3, 2)


def test_pact_learns_a_clipping_value_beside_dorefa_weights():
    wrapper = wrappers.PACT(keras.layers.Dense(4), weight_bits=3, activation_bits=5)
    kernel, inputs = wrapper.kernel_quantizer, wrapper.input_quantizer
    assert type(kernel) is quantizers.DoReFaWeights and type(inputs) is quantizers.PACT
    assert (kernel.num_bits, inputs.num_bits) == (3, 5)
    assert kernel.narrow_range and kernel.keep_scale


# Scheme: quantizers of kernel and input.
BINARY = {
    "ste_sign": (quantizers.SteSign, quantizers.SteSign),
    "xnor": (quantizers.XNOR, quantizers.SteSign),
    "bi_real": (quantizers.XNOR, quantizers.ApproxSign),
    "ir_net": (quantizers.IRNet, quantizers.IRNetSign),
    "ada_bin": (quantizers.AdaBin, quantizers.AdaBinSign),
    "react_net": (quantizers.XNOR, quantizers.RSign),
}


@pytest.mark.parametrize("scheme", quantizers.BINARY_SCHEMES)
def test_binarize_takes_the_quantizers_of_a_paper(scheme):
    wrapper = wrappers.Binarize(keras.layers.Conv2D(4, 3), scheme)
    found = type(wrapper.kernel_quantizer), type(wrapper.input_quantizer)
    assert found == BINARY[scheme]
    assert wrapper.kernel_quantizer.axis == (3,) and wrapper.pad_values == 1
    wrapper = wrappers.Binarize(keras.layers.Dense(4), scheme, per_channel=False, pad_values=0)
    assert wrapper.kernel_quantizer.axis is None and wrapper.pad_values == 0


def test_the_scale_of_magnitude_aware_weights_is_no_path_for_gradients():
    fixed = {
        scheme: wrappers.Binarize(keras.layers.Dense(2), scheme).kernel_quantizer.has_fixed_scale
        for scheme in ("xnor", "bi_real", "react_net")
    }
    assert fixed == {"xnor": False, "bi_real": True, "react_net": True}


@pytest.mark.parametrize("wrap", [wrappers.LSQ, wrappers.PACT])
@pytest.mark.parametrize("argument", ["weight_bits", "activation_bits"])
@pytest.mark.parametrize("bits", [1, 9, 4.0, True, "4"])
def test_a_bad_width_is_refused_by_name_and_value(wrap, argument, bits):
    with pytest.raises(ValueError, match=f"`{argument}` must be an integer") as error:
        wrap(keras.layers.Dense(4), **{argument: bits})
    assert f"{argument}={bits!r}" in str(error.value)


@pytest.mark.parametrize("wrap", [wrappers.LSQ, wrappers.PACT])
def test_the_first_batch_decides_whether_the_input_is_signed(wrap):
    for low, q_min in [(0.0, 0), (-1.0, -8)]:
        wrapper = wrap(keras.layers.Dense(4))
        wrapper(np.linspace(low, 1.0, 10, dtype=np.float32).reshape(2, 5), training=True)
        assert int(wrapper.input_quantizer.q_min) == q_min


@pytest.mark.parametrize("wrap", [wrappers.LSQ, wrappers.PACT, wrappers.Binarize])
def test_the_wrapper_takes_the_name_of_its_layer(wrap):
    assert wrap(keras.layers.Dense(4, name="head")).name == "head"
    assert wrap(keras.layers.Dense(4, name="head"), name="other").name == "other"
