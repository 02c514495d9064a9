"""`cham tune`: shards in, the best settings out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout
from cham_keras.runs.settings import RunSettings
from cham_keras.tuning.search_space import SearchSpace


def tune(
    shards: Location,
    *,
    out: Path,
    max_trials: int = 10,
    space: Annotated[SearchSpace, Parameter(negative_iterable="")] = SearchSpace(),  # noqa: B008
    run: Annotated[RunSettings, Parameter(name="*")] = RunSettings(),  # noqa: B008  frozen
) -> None:
    """Search kernel sizes and channels with keras-tuner.

    Each trial is a training run that the split `validation` scores. Writes best.toml,
    which `cham --settings best.toml train` takes as it is, and trials.md. A search that
    was broken off goes on where it was.

    Examples:

        cham tune shards --out search --epochs 20
        cham tune shards --out search --space.filters 16 --space.filters 32

    Parameters
    ----------
    shards
        Folder that `cham extract` has written, with a split `validation`.
    out
        The folder to write; one with a search goes on with it.
    max_trials
        Number of combinations to try; all, if there are fewer.
    """
    from cham_keras.tuning import tune as tune_on_shards

    search = tune_on_shards(shards, out, run, space, max_trials)
    stdout.print(Markdown(search.to_markdown()))
    best = out / "best.toml"
    stdout.print(f"{best} holds the best settings. Next:", markup=False)
    # Not broken into lines, to be copied.
    command = f"cham --settings {best} train {shards} --out RUN"
    stdout.print(escape(command), soft_wrap=True)
