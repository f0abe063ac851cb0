import keras
import pytest

from tfq_lowbit import quantizers
from tfq_lowbit.model import Recipe, read_graph
from tfq_lowbit.model.placement import Placement

layers = keras.layers

IMAGE = (8, 8, 4)
# W3A4, ends at 8 and 6 bits apart from that, outputs at 7: every number says where it is from.
RECIPE = Recipe.lsq(3, 4, first_last_bits=6, output_bits=7)


def conv(name, filters=4, **options):
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


def image():
    return keras.Input(IMAGE, name="image")


def plain():
    x = inputs = image()
    for name in ("first", "middle", "last"):
        x = conv(name)(x)
    return keras.Model(inputs, x)


def norm_and_relu():
    inputs = image()
    x = layers.BatchNormalization(name="norm")(conv("first")(inputs))
    x = layers.ReLU(name="relu")(x)
    return keras.Model(inputs, conv("last", activation="relu")(x))


def norm_behind_an_activation():
    inputs = image()
    x = layers.BatchNormalization(name="norm")(conv("first", activation="relu")(inputs))
    return keras.Model(inputs, conv("last")(x))


def norm_with_a_second_consumer():
    inputs = image()
    x = conv("first")(inputs)
    x = layers.Add(name="add")([layers.BatchNormalization(name="norm")(x), x])
    return keras.Model(inputs, conv("last")(x))


def residual():
    inputs = image()
    x = conv("first", activation="relu")(inputs)
    y = conv("middle")(x)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([x, y]))
    return keras.Model(inputs, conv("last")(x))


def three_summands():
    inputs = image()
    parts = [conv(name)(inputs) for name in ("a", "b", "c")]
    return keras.Model(inputs, conv("last")(layers.Add(name="add")(parts)))


def concatenate():
    inputs = image()
    x = conv("first", activation="relu")(inputs)
    parts = [conv("a", activation="relu")(x), conv("b")(x)]
    return keras.Model(inputs, conv("last")(layers.Concatenate(name="join")(parts)))


def concatenate_of_a_shared_tensor():
    inputs = image()
    x = conv("first", activation="relu")(inputs)
    y = conv("a", activation="relu")(x)
    return keras.Model(inputs, conv("last")(layers.Concatenate(name="join")([x, y])))


def max_pool():
    inputs = image()
    x = layers.MaxPooling2D(name="pool")(conv("first", activation="relu")(inputs))
    return keras.Model(inputs, conv("last")(x))


def max_pool_of_a_shared_tensor():
    inputs = image()
    x = conv("first", activation="relu")(inputs)
    pooled = layers.MaxPooling2D(name="pool")(x)
    return keras.Model(inputs, [conv("a")(pooled), conv("b")(x)])


def average_pool():
    inputs = image()
    x = layers.AveragePooling2D(2, name="pool")(conv("first", activation="relu")(inputs))
    x = layers.Flatten(name="flatten")(layers.Dropout(0.5, name="dropout")(x))
    return keras.Model(inputs, layers.Dense(3, name="last")(x))


def mean():
    inputs = image()
    x = layers.GlobalAveragePooling2D(name="mean")(conv("first", activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(3, name="last")(x))


def softmax_in_a_layer():
    inputs = keras.Input((4,), name="image")
    x = layers.Dense(4, activation="relu", name="first")(inputs)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="last")(x))


def softmax_as_a_layer():
    inputs = keras.Input((4,), name="image")
    x = layers.Dense(4, activation="relu", name="first")(inputs)
    return keras.Model(inputs, layers.Softmax(name="softmax")(layers.Dense(3, name="last")(x)))


def relu_of_a_shared_tensor():
    inputs = image()
    x = conv("first")(inputs)
    return keras.Model(inputs, [conv("a")(layers.ReLU(name="relu")(x)), conv("b")(x)])


def hidden_output():
    inputs = image()
    x = conv("first", activation="relu")(inputs)
    return keras.Model(inputs, [x, conv("last")(x)])


def rescaled():
    inputs = image()
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    return keras.Model(inputs, conv("last")(conv("first", activation="relu")(x)))


def padded():
    inputs = image()
    x = layers.ZeroPadding2D(name="pad")(inputs)
    x = layers.ZeroPadding2D(name="pad_again")(conv("first", activation="relu")(x))
    return keras.Model(inputs, conv("last")(x))


def gated():
    inputs = image()
    x = layers.Activation("silu", name="silu")(conv("first")(inputs))
    gate = conv("gate", activation="sigmoid")(x)
    return keras.Model(inputs, conv("last")(layers.Multiply(name="times")([x, gate])))


def functions_of_kernels():
    inputs = image()
    x = conv("first", activation="tanh")(inputs)
    x = layers.LeakyReLU(name="leaky")(conv("middle")(x))
    x = layers.Activation("relu", name="relu")(layers.ELU(name="elu")(x))
    return keras.Model(inputs, conv("last")(layers.Rescaling(0.5, name="half")(x)))


def rescaling_of_a_shared_input():
    inputs = image()
    x = layers.Rescaling(0.5, name="half")(inputs)
    return keras.Model(inputs, [conv("a")(x), conv("b")(inputs)])


def extrema():
    inputs = image()
    x = conv("first", activation="relu")(inputs)
    x = layers.Maximum(name="max")([x, conv("a")(x)])
    y = layers.Subtract(name="minus")([x, conv("b", activation="relu")(x)])
    return keras.Model(inputs, conv("last")(y))


# Model: the edges with a quantizer (None: the data decide on the sign), and those that keep a grid.
TABLE = {
    plain: (
        {"image": (8, None), "first": (4, True), "middle": (6, True), "last": (7, True)},
        set(),
    ),
    norm_and_relu: ({"image": (8, None), "relu": (6, False), "last": (7, False)}, set()),
    norm_behind_an_activation: (
        {"image": (8, None), "first": (4, False), "norm": (6, True), "last": (7, True)},
        set(),
    ),
    norm_with_a_second_consumer: (
        {
            "image": (8, None),
            "first": (4, True),
            "norm": (4, True),
            "add": (6, True),
            "last": (7, True),
        },
        set(),
    ),
    residual: (
        {
            "image": (8, None),
            "first": (4, False),
            "middle": (4, True),
            "relu": (6, False),
            "last": (7, True),
        },
        set(),
    ),
    three_summands: (
        {
            "image": (8, None),
            "a": (4, True),
            "b": (4, True),
            "c": (4, True),
            "add_part_1": (4, True),
            "add": (6, True),
            "last": (7, True),
        },
        set(),
    ),
    concatenate: (
        {"image": (8, None), "first": (4, False), "join": (6, True), "last": (7, True)},
        set(),
    ),
    concatenate_of_a_shared_tensor: (
        # `first` meets `a` at 4 bits, and the concatenation, whose input is requantized.
        {"image": (8, None), "first": (4, False), "join": (6, False), "last": (7, True)},
        set(),
    ),
    max_pool: ({"image": (8, None), "pool": (6, False), "last": (7, True)}, set()),
    max_pool_of_a_shared_tensor: (
        {"image": (8, None), "first": (6, False), "a": (7, True), "b": (7, True)},
        {"pool"},
    ),
    average_pool: (
        {"image": (8, None), "first": (6, False), "last": (7, True)},
        {"pool", "dropout", "flatten"},
    ),
    mean: (
        {"image": (8, None), "first": (4, False), "mean": (6, False), "last": (7, True)},
        set(),
    ),
    softmax_in_a_layer: (
        {"image": (8, None), "first": (6, False), "last": (7, True), "last_softmax": (8, False)},
        set(),
    ),
    softmax_as_a_layer: (
        {"image": (8, None), "first": (6, False), "last": (7, True), "softmax": (8, False)},
        set(),
    ),
    relu_of_a_shared_tensor: (
        {"image": (8, None), "first": (6, True), "a": (7, True), "b": (7, True)},
        {"relu"},
    ),
    hidden_output: ({"image": (8, None), "first": (7, False), "last": (7, True)}, set()),
    rescaled: ({"rescaling": (8, None), "first": (6, False), "last": (7, True)}, set()),
    gated: (
        {
            "image": (8, None),
            "first": (7, True),
            "silu_sigmoid": (8, False),
            "silu": (4, False),  # its zero point is trained
            "gate": (7, True),
            "gate_sigmoid": (8, False),
            "times": (6, True),
            "last": (7, True),
        },
        set(),
    ),
    functions_of_kernels: (
        {
            "image": (8, None),
            "first": (7, True),
            "first_tanh": (8, True),
            "middle": (7, True),
            "leaky": (7, False),
            "relu": (7, False),
            "half": (6, False),
            "last": (7, True),
        },
        set(),
    ),
    rescaling_of_a_shared_input: (
        {"image": (8, None), "half": (6, False), "a": (7, True), "b": (7, True)},
        set(),
    ),
    extrema: (
        {
            "image": (8, None),
            "first": (4, False),
            "max": (4, True),
            "b": (4, False),
            "minus": (6, True),
            "last": (7, True),
        },
        set(),
    ),
    padded: (
        {"image": (8, None), "first": (6, False), "last": (7, True)},
        {"pad", "pad_again"},
    ),
}


def place(model, recipe=RECIPE):
    return Placement(read_graph(model), recipe)


def placed(placement):
    found = {}
    for edge in placement.quantized:
        quantizer = placement.quantizer(edge)
        found[edge.name] = (quantizer.num_bits, quantizer.signed)
    return found


@pytest.mark.parametrize("build", TABLE, ids=lambda build: build.__name__)
def test_each_edge_has_one_quantizer_or_the_grid_of_the_one_before(build):
    expected, on_grid = TABLE[build]
    placement = place(build())
    assert placed(placement) == expected
    assert {edge.name for edge in placement.on_grid} == on_grid
    assert not placement.quantized & placement.on_grid


@pytest.mark.parametrize("build", TABLE, ids=lambda build: build.__name__)
def test_whatever_an_integer_kernel_reads_is_on_a_grid(build):
    placement = place(build())
    known = placement.quantized | placement.on_grid
    kernels = [node for node in placement.graph.nodes if node in placement.settings]
    for node in kernels:
        if placement.roles[node].name in ("KERNEL", "COMBINE", "MEAN", "SOFTMAX", "AVERAGE_POOL"):
            assert known.issuperset(node.data_inputs), node.name
    assert known.issuperset(placement.graph.output_edges)


@pytest.mark.parametrize(
    ("build", "folds"),
    [
        (norm_and_relu, True),
        (norm_behind_an_activation, False),
        (norm_with_a_second_consumer, False),
    ],
)
def test_batch_normalization_folds_only_into_the_kernel_right_before_it(build, folds):
    placement = place(build())
    (node,) = [node for node in placement.graph.nodes if node.name == "norm"]
    assert placement.folds(node) == folds


def settings_of(model, recipe=RECIPE):
    placement = place(model, recipe)
    return {
        node.name: (placement.settings[node].weight_bits, placement.settings[node].activation_bits)
        for node in placement.graph.nodes
        if placement.roles[node].name == "KERNEL"
    }


def test_first_and_last_layers_are_those_with_no_kernel_before_or_behind():
    assert settings_of(plain()) == {"first": (6, 6), "middle": (3, 4), "last": (6, 6)}
    # All three summands read the input; none but `last` is read by no kernel.
    assert set(settings_of(three_summands()).values()) == {(6, 6)}
    found = settings_of(concatenate())
    assert found == {"first": (6, 6), "a": (3, 4), "b": (3, 4), "last": (6, 6)}
    assert set(settings_of(max_pool_of_a_shared_tensor()).values()) == {(6, 6)}


def test_a_shared_layer_is_an_end_where_any_of_its_calls_is():
    inputs = image()
    shared = conv("shared")
    x = conv("first")(inputs)
    model = keras.Model(inputs, shared(conv("middle")(shared(x))))
    assert settings_of(model) == {
        "first": (6, 6),
        "shared": (6, 6),
        "middle": (3, 4),
        "shared_1": (6, 6),
    }


def test_an_edge_has_the_bits_of_its_widest_consumer():
    recipe = Recipe.lsq(4, 2, first_last_bits=None)
    for widths, expected in (((3, 5), 5), ((5, 3), 5), ((2, 2), 2)):
        inputs = image()
        x = conv("first")(inputs)
        model = keras.Model(inputs, [conv("a")(x), conv("b")(x)])
        changed = recipe.override("a", activation_bits=widths[0])
        changed = changed.override("b", activation_bits=widths[1])
        assert placed(place(model, changed))["first"][0] == expected


def test_bits_reach_through_layers_that_keep_the_grid():
    recipe = Recipe.lsq(4, 4, first_last_bits=None).override("last", activation_bits=2)
    assert placed(place(average_pool(), recipe))["first"] == (2, False)


def test_bits_of_an_add_reach_its_inputs():
    recipe = Recipe.lsq(4, 4, first_last_bits=None).override("add", activation_bits=7)
    found = placed(place(residual(), recipe))
    assert (found["first"], found["middle"]) == ((7, False), (7, True))


def test_an_input_is_at_least_as_wide_as_the_recipe_says():
    narrow = Recipe.lsq(4, 4, first_last_bits=None, input_bits=3)
    assert placed(place(plain(), narrow))["image"][0] == 4
    wide = Recipe.lsq(4, 4, first_last_bits=None, input_bits=6)
    assert placed(place(plain(), wide))["image"][0] == 6


def test_an_edge_takes_the_scheme_of_the_layer_that_reads_it():
    recipe = Recipe.lsq(4, 4).override("middle", activation_quantizer="pact", activation_init="mse")
    placement = place(plain(), recipe)
    found = {edge.name: placement.quantizer(edge) for edge in placement.quantized}
    assert type(found["image"]) is quantizers.UniformAffine
    assert type(found["first"]) is quantizers.PACT and found["first"].init == "mse"
    assert type(found["middle"]) is quantizers.LSQ


def test_the_first_layers_input_is_set_by_minimum_and_maximum():
    placement = place(rescaled())
    (edge,) = [edge for edge in placement.quantized if edge.name == "rescaling"]
    quantizer = placement.quantizer(edge)
    assert type(quantizer) is quantizers.UniformAffine and quantizer.init == "min_max"
    assert quantizer.unit is None


def test_a_shift_of_the_input_keeps_its_zero_on_the_grid():
    inputs = image()
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    placement = place(keras.Model(inputs, conv("last")(x)))
    (edge,) = [edge for edge in placement.quantized if edge.name == "rescaling"]
    assert placement.quantizer(edge).unit == -1.0


def refused_input():
    inputs = keras.Input((4,), dtype="int32", name="image")
    return keras.Model(inputs, layers.Dense(2)(inputs))


def refused_training():
    inputs = keras.Input((4,), name="image")
    return keras.Model(inputs, layers.Dropout(0.5, name="always")(inputs, training=True))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (refused_input, "'image' must be of a float type.*'int32'.*Cast"),
        (refused_training, r"'always' \(Dropout\).*training=True.*Leave"),
    ],
)
def test_what_has_no_integer_form_is_refused_by_name(build, words):
    with pytest.raises(ValueError, match=words):
        place(build())


def test_overrides_are_checked_against_the_layers():
    with pytest.raises(ValueError, match="'conv1' matches no layer.*first, middle, last"):
        place(plain(), RECIPE.override("conv1", weight_bits=4))


def test_values_that_lie_to_one_side_of_0_get_a_trained_zero_point():
    placement = place(gated())
    (edge,) = [edge for edge in placement.quantized if edge.name == "silu"]
    assert type(placement.quantizer(edge)) is quantizers.LSQPlus
    placement = place(gated(), Recipe(3, 4, 6, "affine", "affine"))
    (edge,) = [edge for edge in placement.quantized if edge.name == "silu"]
    assert placement.quantizer(edge).asymmetric


def test_the_runtimes_functions_have_fixed_steps():
    placement = place(functions_of_kernels())
    steps = {edge.name: placement.fixed_step(edge) for edge in placement.quantized}
    assert steps.pop("first_tanh") == 1 / 128
    assert set(steps.values()) == {None}
