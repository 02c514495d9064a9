"""`cham recipes`: what settings the package brings along."""

from rich.markup import escape
from rich.table import Table

from cham_keras.progress import stdout


def recipes(recipe: str | None = None) -> None:
    """List the recipes, or show one whole.

    Examples:

        cham recipes
        cham recipes paper/cham
        cham --settings paper/cham train shards --out runs/cham

    Parameters
    ----------
    recipe
        The recipe to show as the TOML file that it is.
    """
    from cham_keras.recipes import recipe_description, recipe_names, recipe_path

    if recipe is not None:
        stdout.print(recipe_path(recipe).read_text(), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table("recipe", "what", box=None, padding=(0, 2, 0, 0))
    for known in recipe_names():
        table.add_row(known, escape(recipe_description(known).splitlines()[0]))
    stdout.print(table)
    stdout.print("Use one with: cham --settings RECIPE train SHARDS --out RUN", highlight=False)
