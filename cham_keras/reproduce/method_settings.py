"""The settings that a method is trained with: its recipe, and what the table changes in it."""

import dataclasses

from cham_keras.finetuning import FinetuningSettings
from cham_keras.recipes import changed_recipe, read_recipe, recipe_names
from cham_keras.reproduce.methods import METHODS, Method, methods_named
from cham_keras.reproduce.settings import TableSettings
from cham_keras.runs.model_building import settings_of_model
from cham_keras.runs.settings import RunSettings
from cham_keras.settings import settings_from_dict


def methods_of(settings: TableSettings) -> tuple[Method, ...]:
    """The methods of a table: those named, or all on features that the recipes' folder has.

    Raises:
        ValueError: a name is not known.

    Example:

    >>> methods_of(TableSettings(methods=("cham",)))[0].label
    'CHAM'
    """
    if settings.methods is not None:
        return methods_named(settings.methods)
    known = recipe_names()
    return tuple(
        method
        for method in METHODS
        if method.kind == "pooled"
        or (method.kind == "features" and f"{settings.recipes}/{method.name}" in known)
    )


def recipe_of(method: Method, settings: TableSettings, seed: int) -> RunSettings | None:
    """The settings of a method's runs; None for a method that is not trained by `train`.

    Changes of the model that a method's model does not have are passed over, so that one
    set of changes serves all methods.

    Args:
        method: the method.
        settings: of the table: where the recipes are, and what is changed in all of them.
        seed: seed of the run.

    Raises:
        ValueError: there is no such recipe, or a change breaks its rule.
    """
    if method.kind in ("pooled", "trajectories"):
        return None
    recipe = read_recipe(f"{settings.recipes}/{method.name}")
    settings_from_dict(RunSettings, settings.changes, source="`changes`")  # a typing error
    known = settings_of_model(recipe.model)
    of_model = settings.changes.get("model", {})
    changes = settings.changes | {"model": {n: v for n, v in of_model.items() if n in known}}
    return changed_recipe(recipe, {**changes, "seed": seed}, f"recipe of {method.name}")


def finetuning_of(settings: TableSettings, seed: int) -> FinetuningSettings:
    """The settings with which the spatial ConvNet is fine-tuned: frames times ten crops ([2])."""
    scored = dataclasses.replace(settings.finetuning.evaluation, split="test", crops=10)
    return dataclasses.replace(settings.finetuning, seed=seed, evaluation=scored)
