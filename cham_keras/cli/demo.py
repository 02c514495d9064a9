"""`cham demo`: the whole way on drawn clips."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from cham_keras.demo.settings import DemoSettings
from cham_keras.progress import stdout

NAMES = {"fc_attention": "FC-Attention", "conv_attention": "Conv-Attention", "cham": "CHAM"}


def demo(
    *,
    out: Path = Path("demo"),
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    settings: Annotated[DemoSettings, Parameter(name="*")] = DemoSettings(),  # noqa: B008  frozen
) -> None:
    """Run the whole way on drawn clips, offline: videos, shards, models, pictures, SavedModel.

    Stick figures perform two movements one after the other at a random place, among
    others who distract; the order of the movements makes the class.

    Examples:

        cham demo
        cham demo --out small --train-clips 8 --epochs 5

    Parameters
    ----------
    out
        Folder for everything the demo makes.
    overwrite
        Begin anew where a demo lies already.
    """
    from cham_keras.demo import run_demo

    results = run_demo(out, settings, overwrite=overwrite)
    stdout.print(_table(results))
    stdout.print(_what_lies_where(out, results), markup=False, highlight=False, soft_wrap=True)


def _table(results: dict[str, Any]) -> Table:
    first = next(iter(results["models"].values()))
    table = Table(
        title=f"Accuracy on {first['test_clips']} drawn test clips of 6 classes: "
        f"chance {results['chance']:.1%}, seed {results['seed']}",
        caption="looks at the actor: frames whose most attended cell meets the actor's box; chance "
        f"{results['pointing_game_chance']:.1%}",
    )
    for name in (
        "model",
        "clips",
        "95 % interval",
        "frames",
        "looks at the actor",
        "weights",
        "training",
    ):
        left = name == "model"
        table.add_column(name, justify="left" if left else "right", no_wrap=left)
    for name, row in results["models"].items():
        lower, upper = row["clip_accuracy_interval"]
        table.add_row(
            NAMES[name],
            f"{row['clip_accuracy']:.1%}",
            f"{lower:.0%}–{upper:.0%}",
            f"{row['frame_accuracy']:.1%}",
            f"{row['pointing_game']:.1%}",
            f"{row['parameters']:,}",
            f"{row['train_seconds']:.0f} s",
        )
    return table


def _what_lies_where(out: Path, results: dict[str, Any]) -> str:
    return f"""\
The largest difference of a score between Keras and the SavedModel, run without Keras: \
{results["export_largest_difference"]:.1e}.
All took {results["seconds"]:.0f} s.

{out}/clips         video files, clips.json, boxes.csv of the actor
{out}/shards        features as TFRecords, manifest.json
{out}/runs          one run folder for each model: settings, model, history, evaluation
{out}/pictures      where the models look (PNG, MP4), training curves, confusion matrix
{out}/{results["export"]}   the SavedModel for TF Serving

A run as one page, with its errors as films; the SavedModel behind TF Serving's APIs:

    cham report {out}/runs/cham --shards {out}/shards
    cham serve {out}/{Path(results["export"]).parent}

With videos of your own, in folders named after their classes:

    cham prepare folder VIDEOS --out clips
    cham extract clips --out shards --backbone resnet152
    cham --settings small_data/cham train shards --out run --monitor loss
    cham evaluate run --shards shards
    cham explain run --shards shards
    cham report run --shards shards
"""
