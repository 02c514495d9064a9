"""Recipes: settings of whole runs, by name. `cham --settings NAME train` takes them.

A recipe is a TOML file beside this module. Its first lines say what it is, how to run
it, on what, how long it takes and what to expect. `paper/` holds the paper's protocol
(Sec. 3.2), one file a method of its tables.
"""

from pathlib import Path

from cham_keras.runs.settings import RunSettings
from cham_keras.settings import read_settings

__all__ = ["read_recipe", "recipe_description", "recipe_names", "recipe_path"]

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
