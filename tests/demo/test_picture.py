import dataclasses
import sys

import pytest

from tfq_lowbit.demo import picture
from tfq_lowbit.demo.results import Results, Row


def row(scheme, accuracy, num_bytes):
    return Row(
        scheme=scheme,
        file=f"{scheme}.tflite",
        recipe=None,
        float_accuracy=accuracy,
        keras_accuracy=accuracy,
        litert_accuracy=accuracy,
        equal_fraction=1.0,
        max_step_difference=0,
        equals_lowered=True,
        num_bytes=num_bytes,
        median_ms=1.0,
        p10_ms=1.0,
        p90_ms=1.0,
        training_seconds=1.0,
    )


@pytest.fixture
def results():
    rows = (
        row("float", 0.918, 119_000),
        row("LSQ W8A8", 0.918, 35_976),
        row("LSQ W4A4", 0.915, 24_400),
        row("PACT W4A4", 0.915, 24_400),  # the same place
        row("LSQ W2A2", 0.9149, 24_000),
    )
    return Results("made-up", False, 100, 100, 1, 0, rows, 1.0)


def test_labels_do_not_overlap(results, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.text import Text

    figures = []
    original = picture._label

    def spy(canvas, axes, points):
        original(canvas, axes, points)
        figures.append((canvas, axes))

    monkeypatch.setattr(picture, "_label", spy)
    assert picture.draw_picture(results, tmp_path / "a.png")
    ((canvas, axes),) = figures
    canvas.draw()
    boxes = [Text.get_window_extent(label) for label in axes.texts]
    assert len(boxes) == len(results.rows)
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_without_matplotlib_one_line_says_so(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    lines = []
    assert not picture.draw_picture(results, tmp_path / "a.png", lines.append)
    (line,) = lines
    assert "matplotlib" in line and "\n" not in line
    assert not list(tmp_path.iterdir())


def test_one_model_alone_is_drawn(results, tmp_path):
    pytest.importorskip("matplotlib")
    alone = dataclasses.replace(results, rows=results.rows[:1])
    assert picture.draw_picture(alone, tmp_path / "a.png")
