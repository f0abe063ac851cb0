"""Exports for each target: what it runs on, what it changes, and that it is the model still."""

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tests.absent import skip_without
from tests.networks import images, mobilenet, randomize, resnet
from tests.promise import check_promise, run_litert
from tfq_lowbit import Recipe, export_tflite, quantize_model
from tfq_lowbit.export import lower, write_tflite
from tfq_lowbit.targets import TARGETS, check
from tfq_lowbit.targets.micro import has_micro, run_micro
from tfq_lowbit.targets.vela import has_vela

layers = keras.layers
OTHERS = ("edgetpu", "ethos-u", "tflm")
# Kernels other than XNNPACK's round twice: a step a layer, which later layers carry on.
NEAR_FRACTION, MOST_STEPS = 0.9, 3


def small_resnet():
    return resnet(size=16, width=8, blocks=1)


def sequence():
    """A dense layer of several vectors, one behind batch normalization, and a softmax."""
    inputs = keras.Input((6, 5))
    x = layers.Dense(8, activation="relu")(inputs)
    x = layers.Dense(7)(layers.Flatten()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return randomize(keras.Model(inputs, layers.Dense(4, activation="softmax")(x)))


def steps():
    """A convolution step by step: the batch takes the steps."""
    inputs = keras.Input((4, 6, 7, 3))
    x = layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"))(inputs)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))


def volumes():
    """Convolutions and poolings of volumes, whose depth the batch takes."""
    inputs = keras.Input((4, 6, 7, 3))
    x = layers.Conv3D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling3D((2, 2, 1))(x)
    x = layers.GlobalAveragePooling3D()(layers.Conv3D(6, 2, activation="relu")(x))
    return randomize(keras.Model(inputs, layers.Dense(4, activation="softmax")(x)))


NETWORKS = {
    "resnet": small_resnet,
    "mobilenet": lambda: mobilenet(size=32, alpha=0.35),
    "sequence": sequence,
    "steps": steps,
    "volumes": volumes,
}


@pytest.fixture(scope="module")
def quantized():
    """Returns `(network, weight_bits, **recipe) -> model`, each made once."""
    made = {}

    def make(name, weight_bits, **recipe):
        key = name, weight_bits, *recipe.items()
        if key not in made:
            keras.utils.set_random_seed(0)
            model = NETWORKS[name]()
            recipe = Recipe.lsq(weight_bits, 8, first_last_bits=None, **recipe)
            made[key] = quantize_model(model, recipe, images(model, 8))
        return made[key]

    return make


@pytest.mark.parametrize("target", OTHERS)
@pytest.mark.parametrize(("name", "weight_bits"), [("resnet", 4), ("sequence", 4)])
def test_an_export_is_taken_whole_and_computes_what_was_trained(
    quantized, name, weight_bits, target
):
    model = quantized(name, weight_bits)
    check_promise(model, images(model, 8, seed=1), num_evaluated=1, target=target)
    content = write_tflite(lower(model, target), TARGETS[target])
    report = check(content, target, run_tools=False)
    assert report.findings == (), str(report)


@pytest.mark.parametrize(
    ("name", "widths"),
    [("mobilenet", [4]), ("resnet", [8, 4, 2]), ("sequence", [8, 4, 2]), ("steps", [8])]
    + [("volumes", [8, 4])],
)
def test_vela_places_an_export_on_the_npu_whole(quantized, name, widths):
    if not has_vela():
        skip_without("Vela: pip install ethos-u-vela")
    encoded = []
    for weight_bits in widths:
        program = lower(quantized(name, weight_bits), "ethos-u")
        result = tfq.compile_with_vela(write_tflite(program, TARGETS["ethos-u"]))
        assert result.operators == ("ethos-u",)
        encoded.append(result.encoded_weight_bytes)
    assert encoded == sorted(encoded, reverse=True)


@pytest.mark.parametrize(
    ("name", "weight_bits"),
    [("mobilenet", 4), ("resnet", 8), ("resnet", 4), ("sequence", 8), ("steps", 8)]
    + [("volumes", 8), ("volumes", 4)],
)
def test_microcontrollers_run_an_export_but_for_their_rounding(quantized, name, weight_bits):
    if not has_micro():
        skip_without("tflite-micro: pip install tflite-micro --pre")
    model = quantized(name, weight_bits)
    program = lower(model, "tflm")
    data = program.inputs[0].grid.encode(images(model, 4, seed=1))
    content = write_tflite(program, TARGETS["tflm"])
    (found,), (expected,) = run_micro(content, [data]), run_litert(content, [data])
    steps = np.abs(found.astype(int) - expected)
    assert steps.max() <= MOST_STEPS and (steps <= 1).mean() >= NEAR_FRACTION, steps
    if weight_bits == 4:
        assert "INT4" in {weights.stored_as for weights in program.weights.values()}


@pytest.mark.parametrize("weight_bits", [8, 4, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_litert_without_xnnpack_runs_an_export_but_for_its_rounding(quantized, name, weight_bits):
    model = quantized(name, weight_bits)
    program, data = lower(model), images(model, 16, seed=1)
    content = write_tflite(program, TARGETS["litert"])
    resolver = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    (found,), (expected,) = (run_litert(content, [data], each) for each in (resolver, "AUTO"))
    step_size = float(model.layers[-1].grid(expected)[0])
    steps = np.rint(np.abs(found - expected) / step_size)
    assert steps.max() <= MOST_STEPS and (steps <= 1).mean() >= NEAR_FRACTION, steps


def test_the_report_says_what_a_target_changed(quantized, tmp_path):
    model, path = quantized("sequence", 4), tmp_path / "m.tflite"
    report = export_tflite(model, path, target="edgetpu")
    assert all("a 1x1 convolution" in layer.note for layer in report.layers)
    report = export_tflite(model, path, target="ethos-u")
    assert all("ethos-u takes no packed weights" in layer.note for layer in report.layers)
    report = export_tflite(model, path, target="tflm")
    assert all("Recipe(per_channel_dense=False)" in layer.note for layer in report.layers)
    assert report.layers[0].note in str(report)
    fidelity = tfq.verify(model, path, images(model, 4))
    assert fidelity.is_exact


def test_a_filter_that_litert_rounds_twice_is_verified_unpacked(quantized, tmp_path):
    model, path = quantized("resnet", 4, per_channel_dense=False), tmp_path / "m.tflite"
    report = export_tflite(model, path, target="tflm", verify_data=images(model, 8))
    assert {layer.stored_as for layer in report.layers} == {"INT4"}
    assert report.fidelity.is_exact
    assert tfq.verify(model, path, images(model, 8), per_layer=True).is_exact


def test_dense_layers_of_one_scale_stay_dense_layers():
    inputs = keras.Input((6,))
    model = randomize(keras.Model(inputs, layers.Dense(4)(layers.Dense(8)(inputs))))
    recipe = Recipe.lsq(8, 8, per_channel_dense=False)
    quantized = quantize_model(model, recipe, images(model, 16))
    program = lower(quantized, "edgetpu")
    assert [operator.code for operator in program.operators] == ["FULLY_CONNECTED"] * 2
    assert all(operator.filter.scales.size == 1 for operator in program.operators)
    check_promise(quantized, images(model, 16), target="edgetpu")
    # An override that says so is stronger.
    names = "|".join(layer.name for layer in model.layers[1:])
    recipe = recipe.override(names, per_channel=True)
    program = lower(quantize_model(model, recipe, images(model, 16)), "edgetpu")
    assert "CONV_2D" in [operator.code for operator in program.operators]


@pytest.mark.parametrize("target", OTHERS)
def test_inputs_and_outputs_are_codes_where_nothing_else_is_asked_for(quantized, target):
    program = lower(quantized("sequence", 8), target)
    assert all(each.grid for each in (*program.inputs, *program.outputs))


@pytest.mark.parametrize("target", ["edgetpu", "ethos-u"])
def test_floats_at_the_border_are_refused_where_a_processor_has_none(quantized, target):
    with pytest.raises(
        ValueError, match=f"`input_type`.*'int8'.* for target '{target}'.*'float32'"
    ):
        lower(quantized("sequence", 8), target, input_type="float32")


@pytest.mark.parametrize("target", OTHERS)
def test_a_layer_on_bits_is_refused_by_name(target):
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, name="first")(inputs)
    x = layers.Conv2D(4, 3, name="binary")(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    quantized = quantize_model(randomize(model), Recipe.binary(), images(model, 8))
    with pytest.raises(ValueError, match=f"on bits.*'{target}'.*weight_bits=2.*'litert'"):
        lower(quantized, target)


@pytest.mark.slow
@pytest.mark.parametrize("target", OTHERS)
@pytest.mark.parametrize("weight_bits", [8, 4, 2])
@pytest.mark.parametrize("build", [lambda: mobilenet(), lambda: resnet()])
def test_whole_networks_are_taken_whole(build, weight_bits, target):
    model = build()
    recipe = Recipe.lsq(weight_bits, 8)
    quantized = quantize_model(model, recipe, images(model, 16))
    check_promise(quantized, images(model, 8, seed=1), num_evaluated=1, target=target)
    report = check(write_tflite(lower(quantized, target), TARGETS[target]), target)
    assert report.is_clean, str(report)
