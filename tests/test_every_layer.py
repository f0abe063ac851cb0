"""docs/layers.md is true and complete."""

import keras
import numpy as np
import pytest

from tests import every_layer
from tests.promise import MAX_STEP_DIFFERENCE, check_shipped
from tfq_lowbit.export import KERAS_LITERT

PAGE = every_layer.read_page(every_layer.PAGE.read_text())
WRITE = "run `python -m tests.every_layer`, which writes docs/layers.md"
MADE_WITH = every_layer.read_version(every_layer.PAGE.read_text())
same_keras = pytest.mark.skipif(
    keras.__version__ != MADE_WITH, reason=f"docs/layers.md is of Keras {MADE_WITH}"
)
IN_INTEGERS = [name for name, row in PAGE.items() if row.kind in ("quantized", "passed through")]


@same_keras
def test_no_layer_class_is_missing():
    assert set(PAGE) == set(every_layer.classes()), WRITE
    tried = set(every_layer.EXAMPLES) | set(every_layer.NOT_TRIED)
    assert set(every_layer.classes()) == tried


@same_keras
@pytest.mark.parametrize("name", sorted(PAGE))
def test_the_page_says_what_becomes_of_a_layer(name):
    assert every_layer.find_outcome(name) == PAGE[name], WRITE


@same_keras
@pytest.mark.slow
@pytest.mark.parametrize("name", IN_INTEGERS)
def test_a_layer_ships_what_keras_computes(name):
    quantized, _, data = every_layer.make(name)
    data = [np.asarray(each) for each in data] if isinstance(data, list) else data
    fidelity = check_shipped(quantized, data, num_evaluated=2)
    for pairs in fidelity.outputs.values():
        assert pairs[KERAS_LITERT].max_step_difference <= MAX_STEP_DIFFERENCE
