"""What can be lowered, and the errors that name what cannot."""

import keras
import numpy as np
import pytest

from tests.networks import images, randomize
from tests.promise import check_promise, check_shipped
from tfq_lowbit import (
    LSQ,
    PACT,
    QuantizeActivation,
    QuantizeWrapper,
    Recipe,
    calibrate,
    quantize_model,
    quantizers,
)
from tfq_lowbit.export import lower
from tfq_lowbit.export.layers.table import LOWERINGS
from tfq_lowbit.model.rules import RULES, Role
from tfq_lowbit.wrappers import FAMILIES

layers = keras.layers
SHAPE = (8, 7, 3)


def activation_quantizer(bits=4, name=None):
    return QuantizeActivation(quantizers.LSQ(bits, signed=True, is_activation=True), name=name)


def calibrated(model):
    randomize(model)
    for layer in model.layers:
        if isinstance(layer, QuantizeWrapper):
            layer.kernel_quantizer.initialize(layer.layer.kernel)
    calibrate(model, images(model, 64))
    return model


def sequential(*stages):
    return calibrated(keras.Sequential([keras.Input(SHAPE), *stages]))


def output():
    return activation_quantizer(8)


HAND_WRAPPED = {
    "LSQ": lambda: sequential(
        LSQ(layers.Conv2D(6, 3, activation="relu"), 4, 4),
        LSQ(layers.Conv2D(5, 3, padding="same", strides=2), 3, 4),
        layers.ReLU(),
        layers.Flatten(),
        LSQ(layers.Dense(4), 2, 4),
        output(),
    ),
    "PACT": lambda: sequential(
        PACT(layers.Conv2D(6, 3, activation="relu6"), 4, 4),
        PACT(layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"), 4, 5),
        layers.Flatten(),
        PACT(layers.Dense(4), 8, 3),
        output(),
    ),
    "batch normalization and pooling": lambda: sequential(
        LSQ(layers.Conv2D(6, 3, padding="same", use_bias=False), 4, 8),
        layers.MaxPooling2D(),
        layers.ReLU(),
        LSQ(layers.Conv2D(4, 1), 4, 4),
        output(),
        layers.Dropout(0.5),
    ),
    "output quantizer": lambda: sequential(
        LSQ(layers.Conv2D(6, 3), 4, 8, output_quantizer=quantizers.LSQ(5, is_activation=True)),
        layers.ReLU(),
        QuantizeWrapper(
            layers.Conv2D(4, 3),
            kernel_quantizer=quantizers.LSQ(4, narrow_range=True, axis=3),
            output_quantizer=quantizers.UniformAffine(8),
        ),
    ),
}


@pytest.mark.parametrize("name", HAND_WRAPPED)
def test_a_hand_wrapped_model_ships_what_was_trained(name):
    model = HAND_WRAPPED[name]()
    check_promise(model, images(model, 32, seed=1))


def test_plain_average_pooling_rounds_only_in_the_file():
    model = sequential(LSQ(layers.Conv2D(4, 3), 4, 8), output(), layers.AveragePooling2D(2))
    fidelity = check_shipped(model, images(model, 32, seed=1))
    # Keras has the average itself: half of a step away at the most, which may round either way.
    assert fidelity.max_step_difference <= 1


def hand_wrapped(build):
    inputs = keras.Input(SHAPE, name="image")
    return calibrated(keras.Model(inputs, build(inputs)))


def test_consumers_that_share_a_grid_read_one_tensor():
    shared = quantizers.LSQ(4, signed=True, is_activation=True)

    def conv(size):
        return QuantizeWrapper(
            layers.Conv2D(4, size, padding="same"),
            kernel_quantizer=quantizers.LSQ(4, narrow_range=True, axis=3),
            input_quantizer=shared,
        )

    def build(inputs):
        x = LSQ(layers.Conv2D(6, 3))(inputs)
        ways = [output()(conv(size)(x)) for size in (1, 3)]
        return output()(layers.Add()(ways))

    check_promise(hand_wrapped(build), images(hand_wrapped(build), 16, seed=1))


def test_consumers_that_disagree_are_refused_by_the_producers_name():
    def build(inputs):
        x = LSQ(layers.Conv2D(6, 3, name="trunk"))(inputs)
        ways = [
            output()(LSQ(layers.Conv2D(4, 1), activation_bits=bits, signed=True)(x))
            for bits in (4, 8)
        ]
        return output()(layers.Add()(ways))

    message = "consumers of layer 'trunk' quantize its output on different grids .*[Ss]hare"
    with pytest.raises(ValueError, match=message):
        lower(hand_wrapped(build))


def test_a_consumer_of_the_unquantized_tensor_is_refused():
    def build(inputs):
        x = LSQ(layers.Conv2D(3, 3, padding="same", name="trunk"))(inputs)
        y = output()(LSQ(layers.Conv2D(3, 1))(x))
        return output()(layers.Add(name="sum")([x, y]))

    with pytest.raises(ValueError, match="layer 'trunk' is not quantized, but layer 'sum' reads"):
        lower(hand_wrapped(build))


def test_an_activation_that_one_of_several_consumers_is_named():
    def build(inputs):
        x = LSQ(layers.Conv2D(3, 3, padding="same", name="trunk"))(inputs)
        y = output()(layers.ReLU(name="rectifier")(x))
        return output()(layers.Add()([y, output()(x)]))

    message = "'trunk' has several consumers, and layer 'rectifier' reads it before"
    with pytest.raises(ValueError, match=message):
        lower(hand_wrapped(build))


def test_an_unquantized_output_is_named():
    with pytest.raises(ValueError, match="layer 'head' is not quantized, but the model output"):
        lower(sequential(layers.Flatten(), LSQ(layers.Dense(4, name="head"))))


def test_an_unquantized_input_of_a_kernel_is_named():
    kernel = quantizers.LSQ(4, narrow_range=True)
    wrapper = QuantizeWrapper(layers.Conv2D(4, 3, name="bare"), kernel_quantizer=kernel)
    with pytest.raises(ValueError, match="is not quantized, but layer 'bare' reads it in integers"):
        lower(sequential(wrapper, output()))


def test_an_activation_before_the_first_quantizer_is_refused():
    with pytest.raises(ValueError, match="Input .* goes through an activation"):
        lower(sequential(layers.ReLU(), LSQ(layers.Conv2D(4, 3)), output()))


def test_a_rescaling_inside_is_refused():
    stages = LSQ(layers.Conv2D(4, 3)), layers.Rescaling(0.5, name="halved"), output()
    with pytest.raises(ValueError, match="'halved' reads it in integers.*QuantizeActivation"):
        lower(sequential(*stages))


def test_an_unknown_layer_is_named_with_its_class():
    stages = LSQ(layers.Conv2D(4, 3)), output(), layers.Solarization(name="inverted")
    with pytest.raises(ValueError, match=r"'inverted' \(Solarization\) cannot be exported"):
        lower(sequential(*stages))


def test_an_unwrapped_kernel_is_named_with_its_class():
    stages = output(), layers.Conv2D(4, 3, name="float"), output()
    with pytest.raises(ValueError, match=r"'float' \(Conv2D\) cannot be exported"):
        lower(sequential(*stages))


def test_an_uncalibrated_model_is_refused():
    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3, name="conv")])
    with pytest.raises(ValueError, match="not calibrated: 2 quantizers .* first at layer"):
        lower(quantize_model(model, Recipe.lsq()))


def test_an_input_of_unknown_size_is_refused():
    model = keras.Sequential([keras.Input((None, None, 3), name="image"), layers.Conv2D(4, 3)])
    quantized = quantize_model(model, Recipe.lsq(), np.ones((2, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="Input 'image' must have a known shape"):
        lower(quantized)


def test_an_input_that_nothing_reads_is_refused():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    out = output()(LSQ(layers.Dense(2))(left))
    model = keras.Model([left, right], out)
    with pytest.raises(ValueError, match="inputs right do not reach a quantizer"):
        lower(calibrated(model))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("target", "toaster"),
        ("prefer", "beauty"),
        ("input_type", "uint8"),
        ("output_type", "int32"),
    ],
)
def test_an_unknown_argument_is_refused(argument, value):
    model = sequential(LSQ(layers.Conv2D(4, 3)), output())
    with pytest.raises(ValueError, match=f"Argument `{argument}` must be .*{value}"):
        lower(model, **{argument: value})


def test_every_layer_that_can_be_quantized_can_be_lowered():
    kernels = {family.layer_class for family in FAMILIES}  # as QuantizeWrapper
    known = {rule.layer_class for rule in RULES if rule.role is not Role.DECOMPOSED}
    assert known - kernels <= set(LOWERINGS)


def test_a_program_names_edges_inputs_outputs_and_weights():
    model = keras.Sequential(
        [keras.Input(SHAPE, name="image"), layers.Conv2D(4, 3, name="conv"), layers.ReLU()]
    )
    program = lower(quantize_model(model, Recipe.lsq(), images(model, 8)), output_type="int8")
    assert program.input_names == ["image"]
    assert program.output_names == ["output_0"]
    assert list(program.weights) == ["conv"]
    assert program.weights["conv"].codes.shape == (3, 3, 3, 4)
    assert [tensor.name for tensor in program.inputs] == ["image"]
    assert program.outputs[0] in program.edges.values()


def test_outputs_of_a_dict_keep_their_names():
    inputs = keras.Input((4,))
    heads = {name: layers.Dense(3)(inputs) for name in ("boxes", "scores")}
    model = keras.Model(inputs, heads)
    assert lower(quantize_model(model, Recipe.lsq(), images(model, 8))).output_names == [
        "boxes",
        "scores",
    ]
