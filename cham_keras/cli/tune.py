"""`cham tune`: shards in, the best settings out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.progress import stdout
from cham_keras.runs.settings import RunSettings
from cham_keras.tuning.search_space import SearchSpace


def tune(
    shards: Path,
    *,
    out: Path,
    max_trials: int = 10,
    space: SearchSpace = SearchSpace(),  # noqa: B008  frozen
    run: Annotated[RunSettings, Parameter(name="*")] = RunSettings(),  # noqa: B008  frozen
) -> None:
    """Search kernel sizes and channels with keras-tuner.

    Writes best.toml, which `cham --settings best.toml train` takes as it is, and
    trials.md. A search that was broken off goes on where it was.

    Examples:

        cham tune shards --out search --epochs 20
        cham tune shards --out search --space.filters 16 --space.filters 32 --max-trials 6

    Parameters
    ----------
    shards
        Folder that `cham extract` has written, with a split `validation`.
    out
        The folder to write.
    max_trials
        Number of combinations to try.
    """
    from cham_keras.tuning import tune as tune_on_shards

    search = tune_on_shards(shards, out, run, space, max_trials)
    stdout.print(Markdown(search.to_markdown()))
    best = out / "best.toml"
    stdout.print(
        escape(f"Written to {best}. Next: cham --settings {best} train {shards} --out RUN")
    )
