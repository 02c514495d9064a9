"""`cham paired`: evaluated runs of two methods in, which is better and how sure that is out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import short_names
from cham_keras.progress import stdout


def paired(
    runs: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    against: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    split: str = "test",
    name: str | None = None,
    against_name: str | None = None,
    out: Path | None = None,
) -> None:
    r"""Compare two methods on the same clips, from what `cham evaluate` wrote.

    Several runs of one side on the same clips are taken for its seeds, runs on other clips for the
    folds of a cross-validation. The interval comes from drawing groups of clips, and seeds where
    there are several, with replacement.

    Examples:

        cham paired runs/cham --against runs/fc
        cham paired runs/cham-0 runs/cham-1 --against runs/fc-0 runs/fc-1 \
            --name CHAM --against-name FC-Attention --out comparison

    Parameters
    ----------
    runs
        Evaluated run folders of the first method, or other folders with results.
    against
        Those of the second.
    split
        Name of the split.
    name
        What the first method is called; of one run, its folder's name by default.
    against_name
        What the second is called; the same.
    out
        Folder for SPLIT-paired.json and .md.
    """
    from cham_keras.evaluation import compare_folders

    is_one_each = len(runs) == len(against) == 1
    first, second = short_names([*runs, *against]) if is_one_each else ("A", "B")
    comparison = compare_folders(runs, against, split, (name or first, against_name or second))
    stdout.print(Markdown(comparison.to_markdown()))
    if out is not None:
        comparison.write(out)
        stdout.print(escape(f"Written to {out}."), soft_wrap=True)
