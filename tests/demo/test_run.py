import dataclasses
import json

import numpy as np
import pytest

from tfq_lowbit.demo import SCHEMES, ImageData, run_demo
from tfq_lowbit.demo import run as demo_run
from tfq_lowbit.runtime import run

NUM_TRAIN, NUM_TEST = 256, 100
CHOSEN = {name: SCHEMES[name] for name in ("LSQ W4A4", "PACT W4A4")}
FILES = {
    "float.tflite",
    "lsq_w4a4.tflite",
    "pact_w4a4.tflite",
    "results.json",
    "accuracy_vs_size.png",
}


def made_up_images(count, random):
    """Ten classes that differ in which rows are bright."""
    labels = random.integers(0, 10, count)
    images = random.uniform(0, 0.5, (count, 28, 28, 1)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 4] += 0.5
    return images, labels


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    train, test = made_up_images(NUM_TRAIN, random), made_up_images(NUM_TEST, random)
    return ImageData(*train, *test, source="made-up stripes")


@pytest.fixture(scope="module")
def demo(data, tmp_path_factory):
    output, lines = tmp_path_factory.mktemp("demo") / "new" / "folder", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_run, "REPETITIONS", 10)
        results = run_demo(data, output, epochs=1, schemes=CHOSEN, say=lines.append)
    return output, results, "\n".join(lines)


def test_the_files_are_there_and_no_others(demo):
    output, _, _ = demo
    assert {path.name for path in output.iterdir()} == FILES
    assert (output / "accuracy_vs_size.png").read_bytes().startswith(b"\x89PNG")


def test_the_json_holds_what_was_measured(demo):
    output, results, _ = demo
    stored = json.loads((output / "results.json").read_text())
    assert [row["scheme"] for row in stored["rows"]] == ["float", *CHOSEN]
    assert (stored["epochs"], stored["num_test"]) == (1, NUM_TEST)
    assert stored["source"] == "made-up stripes"
    assert stored["versions"]["keras"]
    for row, kept in zip(results.rows, stored["rows"], strict=True):
        assert kept["litert_accuracy"] == row.litert_accuracy
        assert kept["num_bytes"] == (output / kept["file"]).stat().st_size
        assert 0 < kept["p10_ms"] <= kept["median_ms"] <= kept["p90_ms"]
        assert kept["float_accuracy"] == stored["rows"][0]["keras_accuracy"]


def test_accuracies_are_those_of_the_files(demo, data):
    output, _, _ = demo
    for row in json.loads((output / "results.json").read_text())["rows"]:
        scores = run(output / row["file"], data.test_images, batch_size=7)
        assert row["litert_accuracy"] == np.mean(scores.argmax(-1) == data.test_labels)


def test_the_files_equal_the_lowered_graph_and_keras_but_for_ties(demo):
    _, results, _ = demo
    for row in results.rows[1:]:
        assert row.equals_lowered
        assert row.equal_fraction >= 0.999
        assert row.max_step_difference <= 1
        assert abs(row.litert_accuracy - row.keras_accuracy) <= 1 / NUM_TEST


def test_the_table_and_the_progress_are_shown(demo):
    _, results, text = demo
    table = str(results).splitlines()
    (heading,) = [index for index, line in enumerate(table) if line.startswith("scheme")]
    assert [line.split("  ")[0].strip() for line in table[heading + 2 :]] == ["float", *CHOSEN]
    for row in results.rows:
        (line,) = [line for line in table if line.startswith(row.scheme)]
        assert f"{100 * row.litert_accuracy:.2f}" in line
        assert f"{row.num_bytes:,}" in line
    assert str(results) in text
    assert "epoch 1/1" in text
    for step in range(1, 5):
        assert f"[{step}/4]" in text


def test_equal_codes_are_never_rounded_up_to_all(demo):
    _, results, _ = demo
    row = results.rows[1]
    for fraction, shown in ((1.0, " 100 %"), (0.9999999, " 99.999 %")):
        changed = dataclasses.replace(row, equal_fraction=fraction)
        assert shown in str(dataclasses.replace(results, rows=(results.rows[0], changed)))


def test_an_output_that_cannot_be_written_is_found_before_training(data, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setattr(demo_run, "train", lambda *args: pytest.fail("trained"))
    for output in (blocked, blocked / "below"):
        with pytest.raises(OSError, match="output folder must be one that can be written.*file"):
            run_demo(data, output, epochs=1)
    assert blocked.read_text() == "in the way"


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True])
def test_epochs_out_of_range_are_refused(data, tmp_path, epochs):
    with pytest.raises(ValueError, match="`epochs`"):
        run_demo(data, tmp_path, epochs=epochs)


def test_substitute_data_are_announced_loudly(data):
    lines = []
    substitute = dataclasses.replace(data, source="NOT it", is_substitute=True)
    demo_run._say_source(substitute, lines.append)
    assert "!!!" in lines[0] and "NOT it" in lines[0]
