"""`cham train`: shards and settings in, a run folder out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout
from cham_keras.runs.settings import RunSettings


def train(
    shards: Location,
    *,
    out: Path,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    run: Annotated[RunSettings, Parameter(name="*")] = RunSettings(),  # noqa: B008  frozen
) -> None:
    """Train a model on shards of features.

    The defaults are the paper's protocol. The model with the best accuracy over the
    split `validation` is kept; `test` is not looked at.

    Examples:

        cham train shards --out runs/cham
        cham train shards --out runs/small --model.filters 64 --epochs 30 --data.batch-size 8
        cham --settings runs/small/settings.toml train shards --out runs/again --seed 1

    Parameters
    ----------
    shards
        Folder that `cham extract` has written.
    out
        The run folder to write; new or empty.
    overwrite
        Write over the run that is already there.
    """
    from cham_keras.training import train as train_on_shards

    finished = train_on_shards(shards, out, run, overwrite=overwrite)
    metrics = finished.metrics()
    kept = ", ".join(f"{name} {value:.3f}" for name, value in metrics["kept"].items())
    stdout.print(
        f"{metrics['model']}: {metrics['parameters']:,} parameters, "
        f"{metrics['epochs']} epochs in {metrics['seconds']:.0f} s"
    )
    stdout.print(f"kept epoch {metrics['kept_epoch']}: {kept}")
    stdout.print(
        escape(f"The run lies in {out}. Next: cham evaluate {out} --shards {shards}"),
        soft_wrap=True,
    )
