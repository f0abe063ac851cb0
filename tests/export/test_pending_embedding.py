"""Tables of embeddings in integer files: packed where that is smaller, the same codes always."""

import keras
import numpy as np
import pytest

import tfq_lowbit as tfq
from tests.promise import check_promise
from tfq_lowbit.export import lower

layers = keras.layers

ROWS, CHANNELS = 120, 64


def classifier(shape=(6,), channels=CHANNELS):
    ids = keras.Input(shape, dtype="int32")
    x = layers.Embedding(ROWS, channels, "random_normal", name="table")(ids)
    x = layers.Dense(16, activation="relu", name="dense")(x)
    x = layers.GlobalAveragePooling1D()(x) if len(shape) == 1 else x
    return keras.Model(ids, layers.Dense(3, name="last")(x))


def ids(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, ROWS, shape).astype(np.int32)


def lsq(weight_bits, activation_bits):
    return tfq.Recipe.lsq(weight_bits, activation_bits, first_last_bits=None)


# Recipe, shape of the ids: the operator that takes the table, the type that it is stored as.
CASES = {
    "8-bit outputs": (lsq(4, 8), (6,), "GATHER", "INT8"),
    "8-bit table": (lsq(4, 8).override("table", weight_bits=8), (6,), "GATHER", "INT8"),
    "4-bit table": (lsq(4, 8).override("table", weight_bits=4), (6,), "EMBEDDING_LOOKUP", "INT4"),
    "3-bit table": (lsq(4, 8).override("table", weight_bits=3), (6,), "EMBEDDING_LOOKUP", "INT4"),
    "2-bit table": (lsq(4, 8).override("table", weight_bits=2), (6,), "EMBEDDING_LOOKUP", "INT2"),
    "one scale": (
        tfq.Recipe.lsq(4, 8, None, per_channel=False).override("table", weight_bits=4),
        (6,),
        "EMBEDDING_LOOKUP",
        "INT4",
    ),
    "4-bit outputs": (lsq(4, 4), (6,), "EMBEDDING_LOOKUP", "INT4"),
    "3-bit outputs": (lsq(4, 3), (6,), "EMBEDDING_LOOKUP", "INT4"),
    "2-bit outputs": (lsq(4, 2), (6,), "EMBEDDING_LOOKUP", "INT2"),
    "a wider table": (lsq(4, 4).override("table", weight_bits=6), (6,), "GATHER", "INT8"),
    "a narrower table": (
        lsq(4, 4).override("table", weight_bits=2),
        (6,),
        "EMBEDDING_LOOKUP",
        "INT2",
    ),
    "a vector of ids": (
        lsq(4, 8).override("table", weight_bits=4),
        (),
        "EMBEDDING_LOOKUP",
        "INT4",
    ),
}
FAST = ("4-bit table", "2-bit outputs", "a vector of ids", "a narrower table")


def operator_of(program):
    (found,) = (each for each in program.operators if each.code in ("GATHER", "EMBEDDING_LOOKUP"))
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[] if each in FAST else [pytest.mark.slow]) for each in CASES]
)
def test_a_table_ships_as_trained(name):
    recipe, shape, code, stored_as = CASES[name]
    qmodel = tfq.quantize_model(classifier(shape), recipe, ids(64, *shape))
    operator = operator_of(lower(qmodel))
    assert operator.code == code
    assert operator.inputs[code == "EMBEDDING_LOOKUP"].type == stored_as
    check_promise(qmodel, ids(64, *shape, seed=1))
    # The same codes, moved in int8.
    plain = operator_of(lower(qmodel, prefer="speed"))
    assert plain.code == "GATHER"
    check_promise(qmodel, ids(64, *shape, seed=1), prefer="speed")


def test_a_packed_table_is_smaller_and_is_reported(tmp_path):
    recipe = tfq.Recipe.lsq(4, 8).override("table", weight_bits=4)
    qmodel = tfq.quantize_model(classifier(), recipe, ids(64, 6))
    sizes = {}
    for prefer in ("size", "speed"):
        report = tfq.export_tflite(qmodel, tmp_path / "m.tflite", prefer=prefer)
        sizes[prefer] = report.num_bytes
        assert report.fidelity.is_exact
    assert sizes["size"] < sizes["speed"]
    report = tfq.export_tflite(qmodel, tmp_path / "m.tflite")
    table = report.layers[0]
    assert (table.name, table.operator, table.num_bits) == ("table", "EMBEDDING_LOOKUP", 4)
    assert (table.stored_as, table.num_bytes) == ("INT4", ROWS * CHANNELS // 2)
    row = tfq.summary(qmodel).layers[0]
    assert (row.name, row.layer_class, row.weight_bits) == ("table", "Embedding", 4)


@pytest.mark.parametrize("target", ["edgetpu", "ethos-u", "tflm"])
def test_other_targets_move_the_same_codes_in_int8(target):
    recipe = tfq.Recipe.lsq(4, 8).override("table", weight_bits=4)
    qmodel = tfq.quantize_model(classifier(), recipe, ids(64, 6))
    table = operator_of(lower(qmodel, target=target))
    assert table.code == "GATHER" and table.inputs[0].type == "INT8"


def test_a_small_table_stays_in_int8():
    model = classifier(channels=8)
    recipe = tfq.Recipe.lsq(4, 8).override("table", weight_bits=4)
    program = lower(tfq.quantize_model(model, recipe, ids(64, 6)))
    assert operator_of(program).code == "GATHER"


@pytest.mark.slow
def test_a_quantized_table_trains(tmp_path):
    recipe = tfq.Recipe.lsq(4, 8).override("table", weight_bits=2)
    qmodel = tfq.quantize_model(classifier(), recipe, ids(64, 6))
    qmodel.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(True))
    x = ids(128, 6)
    losses = qmodel.fit(x, x[:, 0] % 3, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    qmodel.save(tmp_path / "m.keras")
    restored = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(restored.predict(x, verbose=0), qmodel.predict(x, verbose=0))
    report = tfq.export_tflite(restored, tmp_path / "m.tflite", verify_data=x)
    assert report.fidelity.is_exact


def test_a_table_of_one_bit_is_refused():
    recipe = tfq.Recipe.binary().override("table", weight_bits=1)
    with pytest.raises(ValueError, match="weight_bits of table.*2 to 8"):
        tfq.quantize_model(classifier(), recipe, ids(64, 6))
