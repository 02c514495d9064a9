"""Recipes: settings of whole runs, by name. `cham --settings NAME train` takes them.

A recipe is a TOML file beside this module. Its first lines say what it is, how to run
it, on what, how long it takes and what to expect. `paper/` holds the paper's protocol
(Sec. 3.2), one file a method of its tables.
"""

from pathlib import Path
from typing import Any

from cham_keras.runs.settings import RunSettings
from cham_keras.settings import read_settings, settings_from_dict, settings_to_dict

__all__ = ["changed_recipe", "read_recipe", "recipe_description", "recipe_names", "recipe_path"]

_FOLDER = Path(__file__).parent


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes, sorted.

    Example:

    >>> "paper/cham" in recipe_names()
    True
    """
    files = _FOLDER.rglob("*.toml")
    return tuple(sorted(file.relative_to(_FOLDER).with_suffix("").as_posix() for file in files))


def recipe_path(name: str) -> Path:
    """The file of a recipe.

    Args:
        name: for example `paper/cham`.

    Raises:
        ValueError: there is no recipe of that name.
    """
    if name not in recipe_names():
        raise ValueError(f"There is no recipe {name!r}. Known: {', '.join(recipe_names())}.")
    return _FOLDER / f"{name}.toml"


def read_recipe(name: str) -> RunSettings:
    """The settings of a recipe.

    Args:
        name: for example `paper/cham`.

    Raises:
        ValueError: there is no recipe of that name.

    Example:

    >>> read_recipe("paper/cham").num_frames
    60
    """
    return read_settings(RunSettings, recipe_path(name))


def recipe_description(name: str) -> str:
    """The comment at the top of a recipe, without the number signs."""
    lines = []
    for line in recipe_path(name).read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def changed_recipe(recipe: RunSettings, changes: dict[str, Any], source: str) -> RunSettings:
    """A recipe with settings laid over it.

    A number of iterations takes the place of the recipe's epochs, in its length and where the
    learning rate falls.

    Args:
        recipe: the settings.
        changes: nested as in a recipe's file; what is left out stays as it is.
        source: where the changes come from, for the error's text.

    Raises:
        ValueError: a change is no setting, or breaks its rule.

    Example:

    >>> recipe = read_recipe("paper/cham")
    >>> changed_recipe(recipe, {"model": {"filters": 16}}, "an example").model.filters
    16
    """
    values = settings_to_dict(recipe)
    if "iterations" in changes:
        values.pop("epochs", None)
    if "decay_iteration" in changes.get("optimizer", {}):
        values["optimizer"].pop("decay_epoch", None)
    return settings_from_dict(RunSettings, _laid_over(values, changes), source)


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries, one over the other."""
    both = dict(below)
    for name, value in above.items():
        inner = both.get(name)
        if isinstance(value, dict) and isinstance(inner, dict):
            value = _laid_over(inner, value)
        both[name] = value
    return both
