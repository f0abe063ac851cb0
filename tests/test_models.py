"""docs/models.md: every model is in it, and its rows are what is measured, times aside."""

import pytest

from benchmarks import zoo
from benchmarks.models import PAGE, RECIPES, TIMED, measure, read_page

FOUND = read_page(PAGE.read_text())
WRITE = "run `python -m benchmarks.models MODEL`, which writes its rows of docs/models.md"
KEYS = [(model, recipe) for model in zoo.MODELS for recipe in RECIPES]


def test_every_model_is_in_the_page():
    assert set(FOUND) == set(KEYS), WRITE
    assert all(each.cells[1] == "yes" for each in FOUND.values() if each.is_measured)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "recipe"), KEYS)
def test_a_row_is_what_is_measured(model, recipe):
    written = FOUND[model, recipe]
    if not written.is_measured and not written.refused:
        pytest.skip("not measured yet")
    found = measure(model, recipe, repetitions=1)
    assert found.refused == written.refused, WRITE
    assert found.row()[:TIMED] == written.row()[:TIMED], WRITE
