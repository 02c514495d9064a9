"""`cham train`: shards and settings in, a run folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stderr, stdout
from cham_keras.runs.settings import RunSettings

if TYPE_CHECKING:
    from cham_keras.runs import Run


def train(
    shards: Location,
    *,
    out: Path,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    devices: int | Literal["all"] = 1,
    hosts: str | None = None,
    host_index: int | None = None,
    run: Annotated[RunSettings, Parameter(name="*")] = RunSettings(),  # noqa: B008  frozen
) -> int:
    """Train a model on shards of features.

    The defaults are the paper's protocol. The model with the best accuracy over the
    split `validation` is kept; `test` is not looked at.

    A run that was killed, or stopped by Ctrl-C or SIGTERM, goes on with the same command,
    and ends as if it had not been.

    Examples:

        cham train shards --out runs/cham
        cham --settings small_data/cham train shards --out runs/small --monitor loss
        cham --settings runs/small/settings.toml train shards --out again --seed 1
        cham train shards --out runs/parts --optimizer.accumulation-steps 8
        cham train shards --out runs/wide --devices all

    Parameters
    ----------
    shards
        Folder that `cham extract` has written.
    out
        The run folder to write; new, empty, or with this run unfinished.
    overwrite
        Begin anew, over the run that is already there.
    devices
        How many GPUs of this host share each batch, or all; docs/many_devices.md.
    hosts
        ADDRESS:PORT of every host, with commas; the same command on each, with KERAS_BACKEND=jax.
        Or the environment's KERAS_DISTRIBUTION_JOB_ADDRESSES.
    host_index
        Which of these this is, counted from 0; the first one writes the run folder. Or the
        environment's KERAS_DISTRIBUTION_PROCESS_ID.
    """
    from cham_keras.training import TrainingStopped
    from cham_keras.training import train as train_on_shards
    from cham_keras.training.hosts import named_hosts

    together = named_hosts(hosts, host_index)
    try:
        finished = train_on_shards(
            shards, out, run, overwrite=overwrite, devices=devices, hosts=together
        )
    except TrainingStopped as stop:
        stderr.print(f"{stop} The same command goes on from there.")
        return stop.exit_code
    if together is not None and together.index:
        stdout.print(f"Host {together.index} is done. The run lies on host 0.")
        return 0
    metrics = finished.metrics()
    kept = ", ".join(f"{name} {value:.3f}" for name, value in metrics["kept"].items())
    stdout.print(
        f"{metrics['model']}: {metrics['parameters']:,} parameters, "
        f"{metrics['epochs']} epochs in {metrics['seconds']:.0f} s"
    )
    stdout.print(f"kept epoch {metrics['kept_epoch']}: {kept}")
    if ties := _ties(finished):
        stdout.print(
            f"{ties} epochs have this validation accuracy, and the first is kept. Where the "
            "validation clips are few, --monitor loss tells epochs apart.",
            soft_wrap=True,
        )
    stdout.print(
        escape(f"The run lies in {out}. Next: cham evaluate {out} --shards {shards}"),
        soft_wrap=True,
    )
    return 0


def _ties(run: "Run") -> int:
    """How many epochs have the best validation accuracy, which decides; 0 where one has it."""
    from cham_keras.evaluation.plots import read_history
    from cham_keras.runs.run_folder import HISTORY_FILE

    accuracies = read_history(run.folder / HISTORY_FILE).get("val_clip_accuracy")
    if accuracies is None or run.settings.monitor != "clip_accuracy":
        return 0
    ties = int((accuracies == accuracies.max()).sum())
    return ties if ties > 1 else 0
