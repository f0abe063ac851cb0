"""The proof itself: what it finds when a file was tampered with."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.networks import images, randomize
from tests.promise import as_fed, run_litert
from tfq_lowbit import Recipe, export_tflite, quantize_model, verify
from tfq_lowbit.export import KERAS_LITERT, KERAS_LOWERED, LOWERED_LITERT, lower
from tfq_lowbit.export.fidelity import Agreement, Fidelity
from tfq_lowbit.export.writer import METADATA_NAME, pack_model

layers = keras.layers
NAMES = ["first", "second", "third"]


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((9, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="first")(inputs)
    x = layers.Conv2D(5, 3, activation="relu", name="second")(x)
    scores = layers.Dense(4, name="third")(layers.Flatten()(x))
    model = randomize(keras.Model(inputs, [scores, x]))
    return quantize_model(model, Recipe.lsq(8, 8), images(model, 64))


@pytest.fixture(scope="module")
def data(model):
    return images(model, 40, seed=1)


def tampered(path, tensor_name, change):
    """Rewrites the file with the data of one tensor changed."""
    written = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    for tensor in written.subgraphs[0].tensors:
        if tensor.name.decode() == tensor_name:
            buffer = written.buffers[tensor.buffer]
            buffer.data = change(np.array(buffer.data, np.uint8).view(np.int8)).view(np.uint8)
    path.write_bytes(pack_model(written))


def flip(codes):
    """Negates the weights of the first output channel."""
    codes = codes.copy()
    codes[: len(codes) // 6] *= -1
    return codes


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "model.tflite"
    export_tflite(model, path)
    return path


def test_an_honest_file_is_exact(model, path, data):
    fidelity = verify(model, path, data, per_layer=True)
    assert fidelity.is_exact
    assert fidelity.num_samples == len(data)
    assert fidelity.first_difference(LOWERED_LITERT) is None
    assert list(fidelity.outputs) == ["output_0", "output_1"]
    pairs = {KERAS_LITERT, KERAS_LOWERED, LOWERED_LITERT}
    assert all(set(found) == pairs for found in fidelity.outputs.values())
    assert fidelity.outputs["output_0"][LOWERED_LITERT].count == len(data) * 4
    assert fidelity.outputs["output_1"][LOWERED_LITERT].count == len(data) * 5 * 4 * 5


@pytest.mark.parametrize("name", NAMES)
def test_the_layer_with_other_weights_is_named(model, path, data, name):
    tampered(path, f"{name}/filter", flip)
    fidelity = verify(model, path, data, per_layer=True)
    assert not fidelity.is_exact
    parted = [
        layer
        for layer, pairs in fidelity.layers.items()
        if LOWERED_LITERT in pairs and not pairs[LOWERED_LITERT].is_exact
    ]
    # Each layer is fed what the runtime computed: the ones behind do not part.
    assert parted == [name]
    assert fidelity.first_difference(LOWERED_LITERT) == name
    assert fidelity.first_difference() == name
    assert name in str(fidelity)


def test_the_numbers_are_those_of_the_outputs(model, path, data):
    honest = path.read_bytes()
    program = lower(model)
    tampered(path, "third/filter", flip)
    fidelity = verify(model, path, data)
    assert not fidelity.layers
    runs = [run_litert(content, as_fed(program, data)) for content in (honest, path.read_bytes())]
    grid = program.operators[-1].source.grid
    for operator in program.operators:
        if operator.output is program.outputs[0]:
            grid = operator.source.grid
    before, after = (grid.encode(run[0]).astype(int) for run in runs)
    agreement = fidelity.outputs["output_0"][LOWERED_LITERT]
    assert agreement.equal == np.count_nonzero(before == after) < before.size
    assert agreement.count == before.size
    assert agreement.max_step_difference == np.abs(before - after).max()
    same = np.count_nonzero(before.argmax(1) == after.argmax(1))
    assert agreement.same_top1 == same < len(data)
    assert agreement.top1_agreement == same / len(data)
    assert fidelity.outputs["output_1"][LOWERED_LITERT].is_exact


def test_one_wrong_code_is_found(model, path, data):
    def nudge(codes):
        codes = codes.copy()
        codes[40] += 1 if codes[40] < 127 else -1
        return codes

    tampered(path, "second/filter", nudge)
    fidelity = verify(model, path, data, per_layer=True)
    assert fidelity.first_difference(LOWERED_LITERT) == "second"


@pytest.mark.parametrize("output_type", ["int8", "float32"])
@pytest.mark.parametrize("input_type", ["int8", "float32"])
def test_files_fed_with_codes_are_verified(model, tmp_path, data, input_type, output_type):
    path = tmp_path / "model.tflite"
    export_tflite(model, path, input_type=input_type, output_type=output_type)
    assert verify(model, path, data, per_layer=True).is_exact


@pytest.mark.parametrize("count", [1, 32, 33])
def test_any_number_of_samples_is_verified(model, path, data, count):
    assert verify(model, path, data[:count]).num_samples == count


def test_data_may_come_in_batches(model, path, data):
    fidelity = verify(model, path, iter([(data[:5], np.zeros(5)), (data[5:12], np.zeros(7))]))
    assert fidelity.num_samples == 12


def test_a_file_of_someone_else_is_refused(model, path, data):
    written = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    written.metadata = [m for m in written.metadata if m.name.decode() != METADATA_NAME]
    path.write_bytes(pack_model(written))
    with pytest.raises(ValueError, match="holds no metadata of this library"):
        verify(model, path, data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:0], "empty|at least one sample"),
        (lambda data: data[:, 1:], "must have the shape"),
        (lambda data: np.where(np.arange(3) == 1, np.nan, data), "finite"),
        (lambda data: [data, data], "one array for each input"),
    ],
)
def test_data_that_do_not_fit_are_refused(model, path, data, change, message):
    with pytest.raises(ValueError, match=message):
        verify(model, path, change(data))


# The numbers.


def test_an_agreement_counts_over_batches():
    agreement = Agreement()
    agreement.update([[1, 5, 2], [9, 0, 0]], [[1, 4, 5], [9, 0, 0]])
    agreement.update([[1, 2, 3]], [[1, 2, 3]])
    assert (agreement.equal, agreement.count) == (7, 9)
    assert agreement.max_step_difference == 3
    assert agreement.top1_agreement == 2 / 3
    assert not agreement.is_exact
    assert str(agreement) == "77.7778 % equal, largest difference 3, top-1 66.67 %"


def test_an_agreement_counts_ties():
    agreement = Agreement()
    agreement.update(np.int8([1, 2, 7]), np.int8([1, 3, 8]), np.array([True, False, True]))
    agreement.update(np.int8([7]), np.int8([8]))
    assert (agreement.count, agreement.equal, agreement.ties) == (4, 1, 1)
    assert "1 of 3 at ties" in str(agreement)


def test_codes_are_subtracted_without_overflow():
    agreement = Agreement()
    agreement.update(np.array([-128], np.int8), np.array([127], np.int8))
    assert agreement.max_step_difference == 255


def test_an_image_has_no_top1():
    agreement = Agreement()
    agreement.update(np.zeros((2, 3, 3, 4)), np.zeros((2, 3, 3, 4)))
    assert agreement.is_exact and agreement.top1_agreement is None


def test_a_fidelity_reports_its_worst_output():
    good, bad = Agreement(), Agreement()
    good.update([[1, 2]], [[1, 2]])
    bad.update([[1, 2]], [[4, 2]])
    fidelity = Fidelity({"a": {KERAS_LITERT: good}, "b": {KERAS_LITERT: bad}})
    assert fidelity.equal_fraction == 0.5
    assert fidelity.max_step_difference == 3
    assert fidelity.top1_agreement == 0.0
    assert fidelity.is_exact  # nothing was compared to the lowered graph
