import dataclasses
import json

import numpy as np
import pytest

from tfq_lowbit import quantizers
from tfq_lowbit.model import LayerSettings, Recipe

# Constructor: (weight scheme, activation scheme, arguments, widths of weights and activations).
CONSTRUCTORS = {
    "lsq": ("lsq", "lsq", {"weight_bits": 3, "activation_bits": 5}, (3, 5)),
    "pact": ("dorefa", "pact", {"weight_bits": 3, "activation_bits": 5}, (3, 5)),
    "dorefa": ("dorefa", "dorefa", {"weight_bits": 3, "activation_bits": 5}, (3, 5)),
    "ternary": ("ternary", "lsq", {"activation_bits": 5}, (2, 5)),
}
RECIPES = {
    "plain": Recipe(),
    "lsq": Recipe.lsq(),
    "pact": Recipe.pact(weight_bits=2, first_last_bits=None),
    "ternary": Recipe.ternary(per_channel=False),
    "binary": Recipe.binary("react_net", pad_values=0).override("a", input_quantizer="ada_bin"),
    "binary weights": Recipe.binary("xnor", activation_bits=2, input_quantizer=None),
    "wide": Recipe.lsq(activation_bits=16, input_bits=16, output_bits=16),
    "rules": Recipe.dorefa(weight_init="mse", activation_init="min_max", input_bits=7),
    "overrides": Recipe.lsq()
    .override("conv.*", weight_bits=8)
    .override("dense", activation_quantizer="pact", weight_init=None),
}

each_constructor = pytest.mark.parametrize("name", CONSTRUCTORS)
each_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@each_constructor
def test_a_constructor_sets_schemes_and_widths(name):
    weights, activations, arguments, widths = CONSTRUCTORS[name]
    recipe = getattr(Recipe, name)(**arguments)
    assert (recipe.weight_quantizer, recipe.activation_quantizer) == (weights, activations)
    assert (recipe.weight_bits, recipe.activation_bits) == widths
    assert (recipe.first_last_bits, recipe.input_bits, recipe.output_bits) == (8, 8, 8)
    assert recipe.overrides == ()


@each_constructor
def test_a_constructor_takes_every_attribute_of_a_recipe(name):
    recipe = getattr(Recipe, name)(per_channel=False, output_bits=6, weight_init="mse")
    assert (recipe.per_channel, recipe.output_bits, recipe.weight_init) == (False, 6, "mse")


@each_constructor
def test_a_constructor_refuses_unknown_keys_by_name(name):
    with pytest.raises(ValueError, match="weight_quantizer.*Received: weight_bit$"):
        getattr(Recipe, name)(weight_bit=4)


def test_16_bit_activations_reach_the_ends_whose_weights_have_their_own_width():
    recipe = Recipe(weight_bits=4, activation_bits=16).override("b", activation_bits=8)
    ends, other = recipe.settings("a", is_end=True), recipe.settings("b")
    assert (ends.weight_bits, ends.activation_bits) == (8, 16)
    assert (other.weight_bits, other.activation_bits) == (4, 8)


@each_recipe
def test_json_round_trips(recipe):
    restored = Recipe.from_json(recipe.to_json())
    assert restored == recipe
    assert restored.to_json() == recipe.to_json()
    assert Recipe.from_dict(json.loads(recipe.to_json(indent=2))) == recipe


@each_recipe
def test_printing_shows_what_builds_it_again(recipe):
    assert eval(repr(recipe)) == recipe


def test_recipes_differ_where_an_attribute_does():
    assert Recipe.lsq() == Recipe.lsq(weight_bits=4)
    assert Recipe.lsq() != Recipe.lsq(weight_bits=3)
    assert Recipe.lsq() != Recipe.pact()
    assert Recipe.lsq() != Recipe.lsq().override("a", weight_bits=4)


def test_a_recipe_does_not_change():
    recipe = Recipe.lsq()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.weight_bits = 2
    changed = recipe.override("a", weight_bits=2)
    assert recipe.overrides == () and changed.overrides == (("a", {"weight_bits": 2}),)


def test_widths_of_numpy_become_plain_integers():
    recipe = Recipe.lsq(weight_bits=np.int64(3), first_last_bits=np.int32(6))
    recipe = recipe.override("a", activation_bits=np.int64(2))
    assert type(recipe.weight_bits) is type(recipe.first_last_bits) is int
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_settings_are_those_of_the_recipe():
    assert Recipe.pact(3, 5, weight_init="mse").settings("any") == LayerSettings(
        weight_bits=3,
        activation_bits=5,
        weight_quantizer="dorefa",
        activation_quantizer="pact",
        per_channel=True,
        weight_init="mse",
        activation_init=None,
        input_quantizer=None,
        pad_values=1,
        block_size=None,
    )


@pytest.mark.parametrize("scheme", quantizers.BINARY_SCHEMES)
def test_binary_takes_the_quantizers_of_a_paper(scheme):
    recipe = Recipe.binary(scheme)
    row = quantizers.BINARY_SCHEMES[scheme]
    assert (recipe.weight_quantizer, recipe.input_quantizer) == row
    assert (recipe.weight_bits, recipe.activation_bits, recipe.first_last_bits) == (1, 8, 8)
    assert (recipe.activation_quantizer, recipe.pad_values) == ("lsq", 1)
    assert recipe.settings("a").is_binary
    assert not recipe.settings("a", is_end=True).is_binary


def test_binary_takes_every_attribute_of_a_recipe():
    recipe = Recipe.binary("xnor", 6, 7, 0, per_channel=False, output_bits=5)
    assert (recipe.activation_bits, recipe.first_last_bits, recipe.pad_values) == (6, 7, 0)
    assert (recipe.per_channel, recipe.output_bits) == (False, 5)
    with pytest.raises(ValueError, match="input_quantizer.*Received: input_quantiser$"):
        Recipe.binary(input_quantiser=None)


def test_a_layer_is_binary_with_one_bit_and_a_sign_function():
    recipe = Recipe.binary("xnor")
    assert not recipe.override("a", weight_bits=8).settings("a").is_binary
    assert not recipe.override("a", input_quantizer=None).settings("a").is_binary
    recipe = Recipe.lsq().override(
        "a", weight_bits=1, weight_quantizer="xnor", input_quantizer="ste_sign", pad_values=0
    )
    assert recipe.settings("a").is_binary and recipe.settings("a").pad_values == 0
    assert not recipe.settings("b").is_binary


def test_ternary_can_train_its_scale():
    recipe = Recipe.ternary(weight_quantizer="ttq")
    assert (recipe.weight_quantizer, recipe.weight_bits) == ("ttq", 2)


def widths(recipe, path, is_end=False):
    settings = recipe.settings(path, is_end)
    return settings.weight_bits, settings.activation_bits


def test_first_and_last_layers_have_their_own_width():
    assert widths(Recipe.lsq(2, 3, first_last_bits=6), "a", is_end=True) == (6, 6)
    assert widths(Recipe.lsq(2, 3, first_last_bits=6), "a") == (2, 3)
    assert widths(Recipe.lsq(2, 3, first_last_bits=None), "a", is_end=True) == (2, 3)


def test_later_overrides_win_and_win_over_first_and_last():
    recipe = Recipe.lsq(4, 4).override("conv_.*", weight_bits=5, activation_bits=5)
    recipe = recipe.override("conv_2", weight_bits=6)
    assert widths(recipe, "conv_1") == (5, 5)
    assert widths(recipe, "conv_2") == (6, 5)
    assert widths(recipe, "conv_2", is_end=True) == (6, 5)
    assert widths(recipe, "dense", is_end=True) == (8, 8)


@pytest.mark.parametrize("path", ["conv_10", "my_conv_1", "conv_1/part"])
def test_an_override_must_match_the_whole_path(path):
    assert widths(Recipe.lsq(4, 4).override("conv_1", weight_bits=2), path) == (4, 4)


def test_paths_with_folders_match_as_text():
    recipe = Recipe.lsq(4, 4).override(r"block_3/.*", weight_bits=8)
    assert widths(recipe, "block_3/conv") == (8, 4)
    assert widths(recipe, "block_30/conv") == (4, 4)


def test_an_override_that_matches_nothing_is_an_error_that_shows_the_layers():
    recipe = Recipe.lsq().override("conv_1", weight_bits=2).override("dense_9", weight_bits=2)
    recipe.check_overrides(["conv_1", "dense_9"])
    with pytest.raises(ValueError, match="'dense_9' matches no layer.*whole.*conv_1, dense$"):
        recipe.check_overrides(["conv_1", "dense"])
    with pytest.raises(ValueError, match=r"l7 \.\.\.$"):
        recipe.check_overrides([f"l{index}" for index in range(20)])


# Call: words of the error.
REFUSED = {
    "weights too narrow": (lambda: Recipe.lsq(1), "`weight_bits` .* 2 to 8.*weight_bits=1"),
    "weights too wide": (lambda: Recipe.pact(9), "weight_bits=9"),
    "activations too wide": (lambda: Recipe.ternary(12), "`activation_bits`.* or 16.*=12"),
    "signs of int16": (
        lambda: Recipe.binary().override("a", activation_bits=16),
        "at most 8 in a recipe of binary layers.*: 16",
    ),
    "first and last": (lambda: Recipe.lsq(first_last_bits=32), "`first_last_bits`.*=32"),
    "inputs": (lambda: Recipe.lsq(input_bits=0), "`input_bits`.*=0"),
    "no width": (lambda: Recipe.lsq(output_bits=None), "`output_bits`.*=None"),
    "a float": (lambda: Recipe.lsq(4.0), "an integer .*=4.0"),
    "a truth value": (lambda: Recipe.lsq(True), "an integer .*=True"),
    "scheme": (lambda: Recipe(weight_quantizer="lsp"), "`weight_quantizer`.*'ternary'.*'lsp'"),
    "weights' scheme": (
        lambda: Recipe(activation_quantizer="ternary"),
        "`activation_quantizer`.*'pact'.*'ternary'",
    ),
    "rule": (lambda: Recipe.lsq(weight_init="max"), "'percentile'.*'max'"),
    "per channel": (lambda: Recipe.lsq(per_channel="yes"), "`per_channel`.*'yes'"),
    "override: key": (
        lambda: Recipe.lsq().override("a", weight_bit=2),
        "activation_bits.*Received: weight_bit",
    ),
    "override: only of a recipe": (
        lambda: Recipe.lsq().override("a", first_last_bits=2),
        "Received: first_last_bits",
    ),
    "override: nothing": (lambda: Recipe.lsq().override("a"), "Received: none"),
    "override: width": (lambda: Recipe.lsq().override("a", weight_bits=1), "weight_bits=1"),
    "one bit of a scheme that has it not": (
        lambda: Recipe.binary(weight_quantizer="lsq"),
        "`weight_bits` .* 2 to 8 .*'lsq'.*xnor.*weight_bits=1",
    ),
    "override: a scheme that has not the recipe's width": (
        lambda: Recipe.binary().override("a", weight_quantizer="lsq"),
        "weight_bits=1",
    ),
    "binary scheme": (lambda: Recipe.binary("birreal"), "`scheme`.*'bi_real'.*'birreal'"),
    "input scheme": (
        lambda: Recipe.binary(input_quantizer="xnor"),
        "`input_quantizer`.*'r_sign'.*'xnor'",
    ),
    "padding": (lambda: Recipe.binary(pad_values=2), "`pad_values` must be 0 or 1.*2"),
    "override: padding": (lambda: Recipe.binary().override("a", pad_values=-1), "`pad_values`"),
    "override: rule": (lambda: Recipe.lsq().override("a", weight_init="x"), "'mse'.*'x'"),
    "override: expression": (
        lambda: Recipe.lsq().override("conv(", weight_bits=2),
        r"`pattern` must be a regular expression \(.*'conv\('",
    ),
    "override: no string": (lambda: Recipe.lsq().override(b"a", weight_bits=2), "`pattern`.*b'a'"),
    "override: number": (lambda: Recipe.lsq().override(3, weight_bits=2), "`pattern`.*=3"),
    "overrides: key": (lambda: Recipe(overrides=(("a", {"bits": 4}),)), "Received: bits"),
    "overrides: form": (lambda: Recipe(overrides=("a",)), "`overrides` must hold pairs"),
    "overrides in JSON": (lambda: Recipe.from_json('{"overrides": [["("]]}'), "`overrides`"),
    "JSON: key": (lambda: Recipe.from_json('{"bits": 4}'), "weight_bits.*Received: bits"),
    "JSON: form": (lambda: Recipe.from_json("[4]"), r"a dict .*Received: \[4\]"),
    "JSON: text": (lambda: Recipe.from_json("{weight_bits"), "`text` must be JSON"),
    "JSON: value": (lambda: Recipe.from_json('{"weight_bits": 1}'), "weight_bits=1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mistake_is_named(name):
    call, words = REFUSED[name]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()
