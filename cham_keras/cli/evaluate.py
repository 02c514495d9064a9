"""`cham evaluate`: runs and shards in, scores out."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.paths import AnyPath
from cham_keras.progress import stdout


def evaluate(
    runs: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    shards: Location,
    split: str = "test",
    batch_size: int | None = None,
    windows: int | Literal["all"] = 1,
    out: Path | None = None,
    baselines: bool = True,
) -> None:
    """Evaluate one run or several on a split of shards.

    Writes evaluation/SPLIT.json, .csv (a row a clip), .md and pictures into each run folder. Of
    several runs, which should differ in their seed only, it also gives mean and deviation and the
    scores of their ensemble.

    Below the tables stands how linear classifiers on pooled features do on the same clips, where
    the shards also hold the split train. They are fitted once for each run and split, which takes
    seconds for hundreds of clips and minutes for thousands.

    Examples:

        cham evaluate runs/cham --shards shards
        cham evaluate runs/cham --shards shards --split validation --windows all
        cham evaluate runs/cham-0 runs/cham-1 --shards shards --out runs/cham-seeds

    Parameters
    ----------
    runs
        Run folders that `cham train` has written.
    shards
        Folder of shards with the same classes and features.
    split
        Name of the split.
    batch_size
        Windows of the run's number of frames at once; the run's own number of clips by default.
    windows
        How many such windows a clip's score is the mean of; all: as many as hold every frame.
    out
        Folder for SPLIT-seeds.json and .md and the ensemble's results; with several runs only.
    baselines
        Whether to fit and print the pooled baselines.
    """
    from cham_keras.evaluation import evaluate as evaluate_run
    from cham_keras.evaluation import summarize_seeds
    from cham_keras.runs import open_run

    if out is not None and len(runs) == 1:
        raise ValueError(
            f"`--out` goes with several runs; one run's results go to {runs[0] / 'evaluation'}. "
            f"Received: {out}."
        )
    results = []
    for run in [open_run(folder) for folder in runs]:
        results.append(evaluate_run(run, shards, split, batch_size, windows))
        stdout.print(Markdown(results[-1].to_markdown()))
        stdout.print(escape(f"Written to {run.folder / 'evaluation'}."), soft_wrap=True)
    if len(runs) > 1:
        names = [run.name for run in runs]  # paths are too long for a table
        summary = summarize_seeds(results, names if len(set(names)) == len(names) else None)
        stdout.print(Markdown(summary.to_markdown()))
        if out is not None:
            summary.write(out)
            stdout.print(escape(f"Written to {out}."), soft_wrap=True)
    if baselines:
        _print_baselines(runs, shards, split)
    stdout.print(escape(f"Next: cham explain {runs[0]} --shards {shards}"), soft_wrap=True)


def _print_baselines(runs: list[Path], shards: AnyPath, split: str) -> None:
    from cham_keras.baselines import baselines_beside_runs

    try:
        stdout.print(Markdown(baselines_beside_runs(runs, shards, split).to_markdown()))
    except (ValueError, OSError) as error:  # the evaluation itself is done and written
        stdout.print(escape(f"No pooled baselines beside it. {error}"), soft_wrap=True)
