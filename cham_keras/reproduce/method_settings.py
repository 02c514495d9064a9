"""The settings that a method is trained with: its recipe, and what the table changes in it."""

from typing import Any

from cham_keras.recipes import read_recipe
from cham_keras.reproduce.methods import Method
from cham_keras.reproduce.settings import TableSettings
from cham_keras.runs.settings import RunSettings
from cham_keras.settings import settings_from_dict, settings_to_dict


def recipe_of(method: Method, settings: TableSettings, seed: int) -> RunSettings | None:
    """The settings of a method's runs; None for a method that is not trained by `train`.

    Args:
        method: the method.
        settings: of the table: where the recipes are, and what is changed in all of them.
        seed: seed of the run.

    Raises:
        ValueError: there is no such recipe, or a change breaks its rule.
    """
    if method.kind in ("pooled", "trajectories"):
        return None
    recipe = settings_to_dict(read_recipe(f"{settings.recipes}/{method.name}"))
    values = _laid_over(recipe, settings.changes) | {"seed": seed}
    return settings_from_dict(RunSettings, values, source=f"recipe of {method.name}")


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries, one over the other."""
    both = dict(below)
    for name, value in above.items():
        inner = both.get(name)
        if isinstance(value, dict) and isinstance(inner, dict):
            value = _laid_over(inner, value)
        both[name] = value
    return both
