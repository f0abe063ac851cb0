"""Models and recipes drawn at random: each is quantized, exported and computes what it trained."""

import keras
import pytest

from tests.networks import images
from tests.promise import check_promise
from tests.random_models import STEPS, random_model, random_recipe
from tfq_lowbit import quantize_model
from tfq_lowbit.export import lower, write_tflite
from tfq_lowbit.targets import TARGETS, check

FAST, SLOW = range(30), range(30, 530)
NUM_CALIBRATED, NUM_COMPARED = 16, 8


def check_random(seed):
    model = random_model(seed)
    recipe, options = random_recipe(seed)
    quantized = quantize_model(model, recipe, images(model, NUM_CALIBRATED, seed))
    data = images(model, NUM_COMPARED, seed + 1)
    check_promise(quantized, data, num_evaluated=1, **options)
    target = options["target"]
    content = write_tflite(lower(quantized, **options), TARGETS[target])
    notes = [each for each in check(content, "litert").findings if "unpacks" not in each.rule]
    assert notes == [], (target, notes)


@pytest.mark.parametrize("seed", FAST)
def test_a_random_model_ships_what_was_trained(seed):
    check_random(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
def test_another_random_model_ships_what_was_trained(seed):
    check_random(seed)


def test_the_drawn_models_are_of_all_layers_and_differ():
    models = [random_model(seed) for seed in FAST]
    drawn = {type(layer) for model in models for layer in model.layers}
    wanted = {"Conv2D", "DepthwiseConv2D", "Dense", "Add", "Concatenate", "BatchNormalization"}
    assert wanted <= {each.__name__ for each in drawn}
    assert len({model.count_params() for model in models}) > len(models) / 2
    assert any(len(model.outputs) > 1 for model in models)
    assert any(len(model.inputs) > 1 for model in models)
    assert sum(map(len, STEPS.values())) > 20
    assert isinstance(random_model(0), keras.Model)
    first, second = (random_model(3).get_config() for _ in range(2))
    assert len(first["layers"]) == len(second["layers"])
