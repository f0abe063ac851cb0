"""docs/models.md: every model is in it, and its rows are what is measured."""

import pytest

from benchmarks import zoo
from benchmarks.models import HEADINGS, PAGE, RECIPES, measure, read_page

FOUND = read_page(PAGE.read_text())
WRITE = "run `python -m benchmarks.models MODEL`, which writes its rows of docs/models.md"
# The small ones; the others take minutes each.
FAST = [("keyword spotting, DS-CNN", "W4A8")]
KEYS = [
    pytest.param(model, recipe, marks=[] if (model, recipe) in FAST else pytest.mark.slow)
    for model in zoo.MODELS
    for recipe in RECIPES
]
EXACT = ("yes", "100.000 %", "100.00 %, 0 steps")
SAME = [name for name in HEADINGS if name != "ms"]


def test_every_model_is_in_the_page():
    assert set(FOUND) == {(model, recipe) for model in zoo.MODELS for recipe in RECIPES}, WRITE
    assert all(each.refused or each.cells[1:4] == EXACT for each in FOUND.values())


@pytest.mark.parametrize(("model", "recipe"), KEYS)
def test_a_row_is_what_is_measured(model, recipe):
    written = FOUND[model, recipe]
    found = measure(model, recipe, repetitions=1)
    assert found.refused == written.refused, WRITE
    if written.is_measured:
        cells, expected = (
            dict(zip(HEADINGS, each.row(), strict=True)) for each in (found, written)
        )
        assert [cells[name] for name in SAME] == [expected[name] for name in SAME], WRITE
