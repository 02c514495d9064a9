"""Recipes: every file is valid, says what it is, and holds the paper's protocol."""

import dataclasses

import pytest

from cham_keras.recipes import (
    changed_recipe,
    read_recipe,
    recipe_description,
    recipe_names,
    recipe_path,
)
from cham_keras.runs import OptimizerSettings
from cham_keras.runs.model_building import builder_arguments

PAPER_RECIPES = [name for name in recipe_names() if name.startswith("paper/")]


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_opens_with_what_it_is_and_the_command_that_runs_it(name):
    lines = recipe_description(name).splitlines()
    assert lines[0].endswith((".", ":")) and len(lines[0]) <= 100
    assert any(f"cham --settings {name} train" in line for line in lines)


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_fits_the_builder_of_its_model(name):
    assert builder_arguments(read_recipe(name).model) is not None


@pytest.mark.parametrize("name", PAPER_RECIPES)
def test_recipes_of_the_paper_hold_its_protocol(name):
    recipe = read_recipe(name)
    assert recipe.data.batch_size == 64
    assert recipe.optimizer.learning_rate == 1e-4
    assert recipe.optimizer.decay_iteration == 10_000
    assert recipe.optimizer.decay_factor == pytest.approx(0.1)
    assert recipe.loss_over_time == "sum"
    frames = {"paper/spatial_convnet": 25}
    sixty = recipe.model.name == "cham" or name.endswith("60_frames")
    assert recipe.num_frames == frames.get(name, 60 if sixty else 30)


def test_methods_of_the_papers_tables_have_recipes():
    models = {read_recipe(name).model.name for name in PAPER_RECIPES}
    assert models >= {"fc_attention", "conv_attention", "cham", "softmax_regression"}
    assert models >= {"average_pooled_lstm", "conv_alstm", "spatial_convnet"}


def test_controls_differ_from_cham_in_one_setting_only():
    cham = read_recipe("paper/cham")
    for skip in (1, 3):
        model = read_recipe(f"paper/cham_skip_{skip}").model
        assert model.skip == skip
        assert {**vars(model), "skip": 2} == vars(cham.model)


def test_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no recipe 'paper/chm'\. Known: .*paper/cham,"):
        recipe_path("paper/chm")


def test_iterations_take_the_place_of_a_recipes_epochs():
    recipe = dataclasses.replace(
        read_recipe("small_data/cham"), optimizer=OptimizerSettings(decay_epoch=3)
    )
    assert recipe.epochs
    changed = changed_recipe(recipe, {"iterations": 7, "model": {"filters": 3}}, "a test")
    assert (changed.epochs, changed.iterations, changed.optimizer.decay_epoch) == (None, 7, 3)
    assert (changed.model.filters, changed.model.skip) == (3, recipe.model.skip)
    changed = changed_recipe(recipe, {"optimizer": {"decay_iteration": 9}}, "a test")
    assert (changed.optimizer.decay_epoch, changed.epochs) == (None, recipe.epochs)
    with pytest.raises(ValueError, match="a test: .*filtres"):
        changed_recipe(recipe, {"model": {"filtres": 3}}, "a test")
