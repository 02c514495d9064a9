"""`cham ablate`: what each choice in a recipe is worth, by nested cross-validation."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout


def ablate(
    shards: Location,
    /,
    *,
    lines: Path,
    out: Path,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Tell what each choice in a recipe is worth, a line a choice.

    The clips are cut into folds by whole groups. Each line, the recipe with something changed, is
    trained without every two folds and scored on both. So for each fold a line can be chosen by
    the other folds alone; what that gives is written as the results of a method, which `cham
    paired` takes. The same command goes on where it was interrupted, and lines may be added.

    LINES is a TOML file:

        recipe = "small_data/cham"
        folds = 5
        seeds = [0]

        [[lines]]
        name = "not mirrored"
        changes = {data = {mirror = false}}

    Examples:

        cham ablate shards --lines lines.toml --out ablation
        cham paired ablation --against table/results/pooled/folds

    Parameters
    ----------
    shards
        Folder that `cham extract` wrote, with all clips, in whatever splits.
    lines
        TOML file: the recipe and what each line changes in it.
    out
        Folder for everything this makes.
    overwrite
        Begin the ablation that is already there anew.
    """
    from cham_keras.ablation import AblationSettings, run_ablation
    from cham_keras.ablation.run_ablation import TABLE_FILE
    from cham_keras.settings import read_settings

    run_ablation(shards, out, read_settings(AblationSettings, lines), overwrite=overwrite)
    stdout.print(Markdown((out / TABLE_FILE).read_text()))
    stdout.print(escape(f"Written to {out / TABLE_FILE}."), soft_wrap=True)
