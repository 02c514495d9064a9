"""`cham evaluate`: a run and shards in, scores out."""

from pathlib import Path

from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout


def evaluate(
    run: Path, *, shards: Location, split: str = "test", batch_size: int | None = None
) -> None:
    """Evaluate a run on a split of shards.

    Writes evaluation/SPLIT.json, .csv (a row a clip), .md and .png into the run folder.

    Examples:

        cham evaluate runs/cham --shards shards
        cham evaluate runs/cham --shards shards --split validation

    Parameters
    ----------
    run
        Run folder that `cham train` has written.
    shards
        Folder of shards with the same classes and features.
    split
        Name of the split.
    batch_size
        Clips at once; the run's own by default.
    """
    from cham_keras.evaluation import evaluate as evaluate_run
    from cham_keras.runs import open_run

    results = evaluate_run(open_run(run), shards, split, batch_size)
    stdout.print(Markdown(results.to_markdown()))
    folder = run / "evaluation"
    stdout.print(
        escape(f"Written to {folder}. Next: cham explain {run} --shards {shards}"), soft_wrap=True
    )
