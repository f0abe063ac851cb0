"""Where quantizers go around binary layers, and where a sign makes them needless."""

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tfq_lowbit.model import read_graph
from tfq_lowbit.model.placement import Placement

layers = keras.layers
# The stream between layers at 7 bits, ends at 8: every number says where it is from.
OPTIONS = {"activation_bits": 7, "output_bits": 6}


def conv(name, **options):
    return layers.Conv2D(4, 3, **{"padding": "same", "name": name, **options})


def norm(name):
    return layers.BatchNormalization(name=name)


def pool(name):
    return layers.MaxPooling2D(name=name)


def relu(name):
    return layers.ReLU(name=name)


def flatten(name="flatten"):
    return layers.Flatten(name=name)


def chain(*between, middle=()):
    """Builds a stem and two binary layers: `between` stem and first, `middle` between the two."""
    flat = any(isinstance(layer, layers.Flatten) for layer in middle)
    second = layers.Dense(4, name="second") if flat else conv("second")
    end = [] if flat else [flatten("end")]
    rows = [conv("stem"), *between, conv("first"), *middle, second, *end]
    return keras.Sequential(
        [keras.Input((8, 8, 4), name="image"), *rows, layers.Dense(3, name="last")]
    )


def chain_with(middle):
    return chain(norm("n0"), middle=middle)


# Layers between two binary layers: the edges with a quantizer, by scheme where they differ.
BETWEEN_BINARY = {
    "nothing": (lambda: [], []),
    "norm": (lambda: [norm("n")], []),
    "norm, relu": (lambda: [norm("n"), relu("r")], []),
    "relu, norm": (lambda: [relu("r"), norm("n")], []),
    "norm, pool": (lambda: [norm("n"), pool("p")], []),
    "pool, norm": (lambda: [pool("p"), norm("n")], []),
    "norm, dropout, norm": (lambda: [norm("n"), layers.Dropout(0.1, name="d"), norm("m")], []),
    "mean of windows": (lambda: [norm("n"), layers.AveragePooling2D(2, name="a")], ["n"]),
    "mean of windows, norm": (lambda: [layers.AveragePooling2D(2, name="a"), norm("n")], ["first"]),
    "mean of windows, norm, relu": (
        lambda: [layers.AveragePooling2D(2, name="a"), norm("n"), relu("r")],
        ["first", "r"],
    ),
    "zeros around": (lambda: [norm("n"), layers.ZeroPadding2D(1, name="z")], ["n"]),
    "rprelu": (lambda: [norm("n"), tfq.RPReLU(name="rp")], ["n", "rp"]),
    "flatten": (lambda: [norm("n"), flatten()], []),
    "flatten, relu": (lambda: [norm("n"), flatten(), relu("r")], []),
    "flatten, norm": (lambda: [flatten(), norm("n")], ["first"]),
}


def placed(model, recipe):
    placement = Placement(read_graph(model), recipe)
    return {edge.name: placement.quantizer(edge).num_bits for edge in placement.quantized}


def between(model, recipe):
    """Returns the quantized edges but for the image and what is behind the second layer."""
    skipped = ("image", "second", "end", "last")
    return [name for name in sorted(placed(model, recipe)) if name not in skipped]


@pytest.mark.parametrize("name", BETWEEN_BINARY)
@pytest.mark.parametrize("scheme", ["xnor", "ste_sign", "ir_net", "bi_real"])
def test_the_sign_of_a_binary_layers_accumulator_needs_no_grid(name, scheme):
    make, expected = BETWEEN_BINARY[name]
    model, recipe = chain_with(make()), tfq.Recipe.binary(scheme, **OPTIONS)
    assert between(model, recipe) == sorted(expected)
    assert all(bits == 7 for edge, bits in placed(model, recipe).items() if edge in expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flatten", ["n"]),
        ("flatten, relu", ["n"]),
        ("norm, pool", []),
        ("flatten, norm", ["first"]),
    ],
)
def test_thresholds_of_channels_do_not_reach_through_a_flattening(name, expected):
    model = chain_with(BETWEEN_BINARY[name][0]())
    assert between(model, tfq.Recipe.binary("react_net", **OPTIONS)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nothing", ["first"]),
        ("norm", ["n"]),
        ("norm, relu", ["r"]),
        ("relu, norm", ["r"]),
        ("norm, pool", ["p"]),
        ("pool, norm", ["p"]),
    ],
)
def test_weights_with_an_offset_need_a_grid_behind_them(name, expected):
    model = chain_with(BETWEEN_BINARY[name][0]())
    assert between(model, tfq.Recipe.binary("ada_bin", **OPTIONS)) == expected


# Layers between the stem and a binary layer: the edges with a quantizer.
BEHIND_STEM = {
    "nothing": (lambda: [], ["stem"]),
    "norm": (lambda: [norm("n")], []),
    "norm, relu": (lambda: [norm("n"), relu("r")], []),
    "norm, pool, relu": (lambda: [norm("n"), pool("p"), relu("r")], []),
    "relu, norm": (lambda: [relu("r"), norm("n")], ["r"]),
    "pool, norm": (lambda: [pool("p"), norm("n")], ["p"]),
    "norm, dropout, norm": (
        lambda: [norm("n"), layers.Dropout(0.1, name="d"), norm("m")],
        ["n"],
    ),
}


@pytest.mark.parametrize("name", BEHIND_STEM)
@pytest.mark.parametrize("scheme", ["xnor", "react_net", "ada_bin"])
def test_behind_an_integer_layer_a_sign_needs_its_normalization(name, scheme):
    make, expected = BEHIND_STEM[name]
    found = between(chain(*make(), middle=[norm("m2")]), tfq.Recipe.binary(scheme, **OPTIONS))
    assert [edge for edge in found if edge != "m2"] == expected


def test_an_activation_in_the_stem_keeps_the_normalization_apart():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4), name="image"),
            conv("stem", activation="relu"),
            norm("n"),
            conv("first"),
            conv("last"),
        ]
    )
    # The sign of a normalized integer is a threshold on the integer.
    assert placed(model, tfq.Recipe.binary(**OPTIONS)) == {
        "image": 8,
        "stem": 7,
        "first": 8,
        "last": 6,
    }


def residual(block):
    inputs = keras.Input((8, 8, 4), name="image")
    x = norm("stem_norm")(conv("stem")(inputs))
    x = layers.Add(name="add")([x, norm("norm")(block(x))])
    x = norm("norm_2")(conv("conv_2")(x))
    return keras.Model(inputs, layers.Dense(3, name="last")(flatten()(x)))


def test_a_shortcut_is_wide_and_its_reader_takes_signs_of_it():
    found = placed(residual(conv("conv")), tfq.Recipe.binary(**OPTIONS))
    assert found == {"image": 8, "stem_norm": 7, "norm": 7, "add": 7, "norm_2": 8, "last": 6}


def test_a_layer_with_a_wider_kernel_is_an_ordinary_one():
    recipe = tfq.Recipe.binary(**OPTIONS).override("conv", weight_bits=8, activation_bits=5)
    qmodel = tfq.quantize_model(residual(conv("conv")), recipe)
    kernel = qmodel.get_layer("conv").kernel_quantizer
    assert isinstance(qmodel.get_layer("conv"), tfq.QuantizeWrapper)
    assert (type(kernel), kernel.num_bits) == (tfq.quantizers.LSQ, 8)
    assert isinstance(qmodel.get_layer("conv_2"), tfq.BinaryWrapper)


def test_a_depthwise_layer_has_eight_bits():
    block = layers.DepthwiseConv2D(3, padding="same", name="conv")
    qmodel = tfq.quantize_model(residual(block), tfq.Recipe.binary(**OPTIONS))
    rows = {row.name: (row.weight_bits, row.input_bits) for row in tfq.summary(qmodel).layers}
    assert rows == {"stem": (8, 8), "conv": (8, 7), "conv_2": (1, 1), "last": (8, 8)}


def test_binary_weights_can_have_inputs_of_two_bits():
    recipe = tfq.Recipe.binary("xnor", activation_bits=2, input_quantizer=None)
    found = placed(residual(conv("conv")), recipe)
    assert found == {"image": 8, "stem_norm": 2, "norm": 2, "add": 2, "norm_2": 8, "last": 8}
    qmodel = tfq.quantize_model(residual(conv("conv")), recipe)
    for name in ("conv", "conv_2"):
        wrapper = qmodel.get_layer(name)
        assert isinstance(wrapper, tfq.QuantizeWrapper)
        assert type(wrapper.kernel_quantizer) is tfq.quantizers.XNOR


def test_an_edge_with_two_readers_keeps_its_grid():
    inputs = keras.Input((8, 8, 4), name="image")
    x = norm("n")(conv("stem")(inputs))
    outputs = [conv("a")(x), conv("b")(x), x]
    for count in (2, 3):
        model = keras.Model(inputs, outputs[1 : 1 + count] if count == 2 else outputs)
        recipe = tfq.Recipe.binary(first_last_bits=None, **OPTIONS)
        assert "n" in placed(model, recipe)


def test_a_relu_before_a_normalization_folds_only_behind_a_binary_layer():
    def build(activation, *between):
        rows = [conv("stem"), conv("first", activation=activation), *between, norm("n")]
        end = [conv("wide"), conv("last")]
        return keras.Sequential([keras.Input((8, 8, 4), name="image"), *rows, *end])

    def found(scheme, *arguments, **override):
        recipe = tfq.Recipe.binary(scheme, **OPTIONS).override("wide", weight_bits=8)
        if override:
            recipe = recipe.override("first", **override)
        return set(placed(build(*arguments), recipe)) - {"image", "stem", "wide", "last"}

    for arguments in ((None,), ("relu",), (None, relu("r"))):
        assert found("xnor", *arguments) == {"n"}
    assert found("ada_bin", None) == {"n"}
    assert found("ada_bin", "relu") == {"first", "n"}
    assert found("ada_bin", None, relu("r")) == {"r", "n"}
    assert found("xnor", "relu", weight_bits=8) == {"first", "n"}


@pytest.mark.parametrize("scheme", tfq.quantizers.BINARY_SCHEMES)
def test_a_quantized_model_trains_and_evaluates_on_packed_bits(scheme):
    random = np.random.default_rng(0)
    values = random.normal(size=(32, 8, 8, 4)).astype(np.float32)
    inputs = keras.Input((8, 8, 4), name="image")
    x = norm("stem_norm")(conv("stem")(inputs))
    x = tfq.RPReLU(name="prelu")(layers.Add(name="add")([x, norm("norm")(conv("conv")(x))]))
    x = pool("pool")(norm("norm_2")(conv("conv_2", activation="relu")(x)))
    x = norm("norm_3")(layers.Dense(8, name="dense")(flatten()(x)))
    model = keras.Model(inputs, layers.Dense(3, name="last")(x))
    qmodel = tfq.quantize_model(model, tfq.Recipe.binary(scheme, **OPTIONS), values)
    for name in ("conv", "conv_2", "dense"):
        wrapper = qmodel.get_layer(name)
        np.testing.assert_array_equal(wrapper.layer.kernel, model.get_layer(name).kernel)
        assert wrapper.input_quantizer.is_calibrated and wrapper.pad_values == 1
    qmodel.compile(keras.optimizers.Adam(0.01), "mse")
    targets = values[:, :4, :4, :3].sum(axis=(1, 2))
    losses = qmodel.fit(values, targets, batch_size=8, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    outputs = qmodel(values)
    tfq.use_packed_kernels(qmodel)
    np.testing.assert_array_equal(qmodel(values), outputs)
