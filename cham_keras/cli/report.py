"""`cham report`: a run in, one HTML page out."""

from pathlib import Path

from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout


def report(
    run: Path,
    *,
    shards: Location | None = None,
    split: str = "test",
    out: Path | None = None,
    num_errors: int = 4,
    clips_root: Path | None = None,
    weights: Path | None = None,
    latency: bool = True,
) -> None:
    """Write one HTML page about a run, to look at and to pass on.

    The page holds everything that it shows and loads nothing from a network: settings, curves,
    confusion matrix with the clips of each cell, average precision by class with the paper's,
    films of where the model looked in its most confident errors, accuracy against frames seen,
    attention scores, latency.

    Example: `cham report runs/cham`

    Example: `cham report runs/cham --shards shards --split validation --out validation.html`

    Parameters
    ----------
    run
        Run folder that `cham train` has written.
    shards
        Folder of shards with the same classes and features; needed where the split has not been
        evaluated yet, or only with an earlier model: that is then done first.
    split
        Name of the split.
    out
        The page to write; report.html in the run folder by default.
    num_errors
        How many of the most confident errors to show.
    clips_root
        The folder of the videos, if they have moved since they were extracted.
    weights
        The backbone's weights file, if it has moved.
    latency
        Whether to measure how long the model takes on this machine, some seconds.
    """
    from cham_keras.report import write_report
    from cham_keras.report.wording import byte_size
    from cham_keras.runs import open_run

    written = write_report(
        open_run(run),
        shards,
        split,
        out,
        num_errors=num_errors,
        clips_root=clips_root,
        weights=weights,
        latency=latency,
    )
    for remark in written.remarks:
        stdout.print(escape(f"Without films of some errors. {remark}"), soft_wrap=True)
    stdout.print(escape(f"Written to {written.path} ({byte_size(written.size)})."), soft_wrap=True)
    stdout.print("Open it in a browser; it needs no network.", soft_wrap=True)
