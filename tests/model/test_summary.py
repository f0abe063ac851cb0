import keras
import numpy as np
import pytest

import tfq_lowbit as tfq

layers = keras.layers

# Ends are like all other layers, so that each row shows the recipe's widths.
RECIPE = tfq.Recipe.lsq(3, 5, first_last_bits=None)

# Layer: (input shape, kernel values, biases, channels, multiplications), by hand.
COSTS = {
    "conv": (
        lambda: layers.Conv2D(6, 3, name="layer"),
        (8, 10, 4),
        3 * 3 * 4 * 6,
        6,
        6,
        (6 * 8) * 3 * 3 * 4 * 6,
    ),
    "conv strided": (
        lambda: layers.Conv2D(6, (2, 3), strides=2, padding="same", use_bias=False, name="layer"),
        (8, 10, 4),
        2 * 3 * 4 * 6,
        0,
        6,
        (4 * 5) * 2 * 3 * 4 * 6,
    ),
    "conv in groups": (
        lambda: layers.Conv2D(6, 3, groups=2, name="layer"),
        (8, 10, 4),
        3 * 3 * 2 * 6,
        6,
        6,
        (6 * 8) * 3 * 3 * 2 * 6,
    ),
    "depthwise": (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="layer"),
        (8, 10, 4),
        3 * 3 * 4 * 2,
        8,
        8,
        (6 * 8) * 3 * 3 * 4 * 2,
    ),
    "dense": (lambda: layers.Dense(7, name="layer"), (5,), 5 * 7, 7, 7, 5 * 7),
    "dense of rank 3": (lambda: layers.Dense(7, name="layer"), (4, 5), 5 * 7, 7, 7, 4 * 5 * 7),
}


def bytes_of(values, bits, channels):
    """Kernel at its width in whole bytes, an int32 bias and a float32 scale a channel."""
    return -(-values * bits // 8) + 4 * channels + 4 * channels


@pytest.mark.parametrize("name", COSTS)
def test_the_cost_of_a_layer_is_what_one_counts_by_hand(name):
    make, shape, values, biases, channels, macs = COSTS[name]
    model = keras.Sequential([keras.Input(shape), make()])
    found = tfq.summary(tfq.quantize_model(model, RECIPE))
    (row,) = found.layers
    assert (row.name, row.layer_class) == ("layer", type(make()).__name__)
    assert row.output_shape == model.output_shape
    assert (row.weight_bits, row.input_bits) == (3, 8)
    assert row.num_parameters == values + biases == found.num_parameters
    assert row.num_bytes == bytes_of(values, 3, channels) == found.num_bytes
    assert row.macs == macs == found.macs
    assert found.float_bytes == 4 * (values + biases)


def residual():
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="a")(inputs)
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same", name="b")(x)])
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(3, name="c")(x), name="net")


def test_totals_are_the_sums_of_the_layers():
    found = tfq.summary(tfq.quantize_model(residual(), RECIPE))
    assert [row.name for row in found.layers] == ["a", "b", "c"]
    for name in ("num_parameters", "num_bytes", "macs"):
        assert getattr(found, name) == sum(getattr(row, name) for row in found.layers)
    assert found.macs == 64 * 9 * 2 * 4 + 64 * 9 * 4 * 4 + 64 * 3


def test_widths_are_those_of_kernel_and_input():
    recipe = tfq.Recipe.lsq(3, 5, first_last_bits=6).override("b", weight_bits=2)
    found = tfq.summary(tfq.quantize_model(residual(), recipe))
    assert [(row.weight_bits, row.input_bits) for row in found.layers] == [(6, 8), (2, 5), (6, 6)]


@pytest.mark.parametrize(
    ("name", "packed"),
    [("conv", 6 * -(-3 * 3 * 4 // 8)), ("conv in groups", 6 * -(-3 * 3 * 2 // 8)), ("dense", 7)],
)
def test_a_binary_kernel_costs_a_bit_a_weight_in_whole_bytes_a_channel(name, packed):
    make, shape, values, biases, channels, macs = COSTS[name]
    model = keras.Sequential([keras.Input(shape), make()])
    for scheme, floats in (("xnor", 2), ("ada_bin", 3)):
        recipe = tfq.Recipe.binary(scheme, first_last_bits=None)
        (row,) = tfq.summary(tfq.quantize_model(model, recipe)).layers
        assert (row.weight_bits, row.input_bits, row.macs) == (1, 1, macs)
        assert row.num_bytes == packed + 4 * floats * channels
        assert row.num_parameters == values + biases
    assert str(tfq.summary(tfq.quantize_model(model, recipe))).count(" 1 bit ") == 2


def test_a_shared_layer_is_stored_once_and_computed_at_each_call():
    inputs = keras.Input((5,))
    dense = layers.Dense(5, name="shared")
    model = keras.Model(inputs, dense(layers.ReLU()(dense(inputs))))
    found = tfq.summary(tfq.quantize_model(model, RECIPE))
    assert [row.name for row in found.layers] == ["shared", "shared_1"]
    assert found.macs == 2 * 25
    assert found.num_parameters == 30
    assert found.num_bytes == bytes_of(25, 3, 5)
    assert found.float_bytes == 4 * 30


def test_wrapped_layers_count_with_their_own_input_quantizer_and_others_as_float():
    dense = tfq.QuantizeWrapper(
        layers.Dense(4, name="weights_only"), tfq.quantizers.LSQ(4, narrow_range=True)
    )
    wrapped = tfq.LSQ(layers.Dense(3, name="wrapped"), weight_bits=2, activation_bits=6)
    found = tfq.summary(keras.Sequential([keras.Input((4,)), dense, wrapped]))
    assert [(row.weight_bits, row.input_bits) for row in found.layers] == [(4, None), (2, 6)]
    assert "float" in str(found)


def test_a_float_model_costs_nothing_quantized():
    found = tfq.summary(residual())
    assert found.layers == () and found.num_bytes == 0 and found.macs == 0
    assert "total" in str(found)


def test_the_table_shows_every_number():
    found = tfq.summary(tfq.quantize_model(residual(), RECIPE))
    lines = str(found).splitlines()
    assert lines[0] == "net"
    assert lines[1].split() == "layer class output weights input parameters bytes MACs".split()
    row = found.layers[1]
    assert lines[4].split() == [
        *("b", "Conv2D", "8x8x4", "3", "bits", "5", "bits"),
        *(f"{row.num_parameters:,}", f"{row.num_bytes:,}", f"{row.macs:,}"),
    ]
    assert lines[-2].split() == [
        "total",
        *(f"{found.num_parameters:,}", f"{found.num_bytes:,}", f"{found.macs:,}"),
    ]
    ratio = found.float_bytes / found.num_bytes
    assert lines[-1].endswith(f"in float32: {ratio:.1f} times")
    assert len(set(map(len, lines[1:3]))) == 1


def test_summing_up_leaves_the_model_as_it_is():
    qmodel = tfq.quantize_model(residual(), RECIPE)
    before = qmodel.get_weights()
    tfq.summary(qmodel)
    for one, other in zip(qmodel.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not qmodel.get_layer("a_quantizer").quantizer.is_calibrated


def test_what_has_no_graph_is_refused():
    with pytest.raises(TypeError, match="`model`"):
        tfq.summary(layers.Dense(2))
    with pytest.raises(ValueError, match="not built"):
        tfq.summary(keras.Sequential([layers.Dense(2)]))


def test_the_table_of_an_embedding_counts_once():
    ids = keras.Input((6,), dtype="int32")
    embedding = keras.layers.Embedding(50, 8, name="table")
    x = keras.layers.Add()([embedding(ids), embedding(ids)])
    qmodel = tfq.quantize_model(keras.Model(ids, keras.layers.Dense(3)(x)), tfq.Recipe.lsq())
    found = tfq.summary(qmodel)
    assert [layer.name for layer in found.layers][0] == "table"
    table, dense = found.layers[0], found.layers[-1]
    assert (table.weight_bits, table.num_parameters, table.num_bytes) == (8, 400, 400)
    assert table.macs == 0 and found.num_parameters == 400 + dense.num_parameters


def test_multiplications_of_other_geometries_are_counted():
    inputs = keras.Input((5, 6, 3))
    x = keras.layers.Conv2DTranspose(4, 2, strides=2, name="transposed")(inputs)
    x = keras.layers.EinsumDense("abcd,def->abcef", (10, 12, 2, 7), name="einsum")(x)
    found = tfq.summary(tfq.quantize_model(keras.Model(inputs, x), tfq.Recipe.lsq()))
    macs = {layer.name: layer.macs for layer in found.layers}
    assert macs == {"transposed": 5 * 6 * 2 * 2 * 3 * 4, "einsum": 10 * 12 * 4 * 2 * 7}
