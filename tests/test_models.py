"""docs/models.md: every model is in it, and its rows are what is measured.

Layers, exactness and size are the same on every machine. Where Keras and LiteRT part is a matter of
rounding ties, which another processor has elsewhere: a row keeps the promise, layer by layer.
"""

import re

import pytest

from benchmarks import zoo
from benchmarks.models import HEADINGS, PAGE, RECIPES, measure, read_page
from tests.promise import MAX_STEP_DIFFERENCE, MIN_EQUAL_FRACTION

FOUND = read_page(PAGE.read_text())
WRITE = "run `python -m benchmarks.models MODEL`, which writes its rows of docs/models.md"
# The small ones; the others take minutes each.
FAST = [("keyword spotting, DS-CNN", "W4A8")]
KEYS = [
    pytest.param(model, recipe, marks=[] if (model, recipe) in FAST else pytest.mark.slow)
    for model in zoo.MODELS
    for recipe in RECIPES
]
SAME = ("layers", "exact", "bytes")


def test_every_model_is_in_the_page():
    assert set(FOUND) == {(model, recipe) for model in zoo.MODELS for recipe in RECIPES}, WRITE
    assert all(each.cells[1] == "yes" for each in FOUND.values() if each.is_measured)


@pytest.mark.parametrize(("model", "recipe"), KEYS)
def test_a_row_is_what_is_measured(model, recipe):
    written = FOUND[model, recipe]
    if not written.is_measured and not written.refused:
        pytest.skip("not measured yet")
    found = measure(model, recipe, repetitions=1)
    assert found.refused == written.refused, WRITE
    if written.is_measured:
        cells, expected = (
            dict(zip(HEADINGS, each.row(), strict=True)) for each in (found, written)
        )
        assert [cells[name] for name in SAME] == [expected[name] for name in SAME], WRITE
        for each in (cells, expected):
            total = float(each["Keras, by layer"].removesuffix(" %"))
            steps = int(re.search(r"(\d+) steps?$", each["worst layer"]).group(1))
            assert total >= 100 * MIN_EQUAL_FRACTION and steps <= MAX_STEP_DIFFERENCE
