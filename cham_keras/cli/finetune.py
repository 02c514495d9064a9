"""`cham finetune`: a run and clips in, a run with a tuned CNN out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.progress import stdout


def finetune(
    run: Path,
    /,
    *,
    clips: Location,
    out: Path,
    weights: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    tuning: Annotated[FinetuningSettings, Parameter(name="*")] = FinetuningSettings(),  # noqa: B008
) -> None:
    r"""Train a run and the CNN below it from frames, end to end.

    The run, on the features of the frozen CNN, is the first stage. Whatever interrupts it,
    the same command goes on where it was. The weights with the best figure over the split
    `validation` are kept; then `test` is scored from frames.

    Examples:

        cham finetune runs/cham --clips my_clips --out runs/tuned
        cham finetune runs/cham --clips my_clips --out runs/tuned --num-frames 8 \
            --unfreezing.share 0.3 --optimizer.accumulation-steps 8
        cham extract my_clips --out tuned --backbone runs/tuned/backbone.keras

    Parameters
    ----------
    run
        Run folder that `cham train` has written.
    clips
        `clips.json` that `cham prepare` wrote, or the folder that holds it.
    out
        The run folder to write; new or empty, or with this tuning unfinished.
    weights
        The backbone's weights file, if it lies elsewhere than before training.
    overwrite
        Begin anew where the folder holds files.
    """
    from cham_keras.finetuning import evaluate_from_frames
    from cham_keras.finetuning import finetune as finetune_run
    from cham_keras.runs import open_run

    finished = finetune_run(open_run(run), clips, out, tuning, weights=weights, overwrite=overwrite)
    metrics = finished.metrics()
    kept = ", ".join(f"{name} {value:.3f}" for name, value in metrics["kept"].items())
    num_layers = len(metrics["finetuning"]["trained_layers_of_the_backbone"])
    stdout.print(
        f"{metrics['model']} with its CNN: {metrics['parameters']:,} parameters, {num_layers} "
        f"layers of the CNN trained, {metrics['epochs']} epochs in {metrics['seconds']:.0f} s"
    )
    stdout.print(f"kept epoch {metrics['kept_epoch']}: {kept}")
    if tuning.evaluation.split != "none":
        results = evaluate_from_frames(finished, clips, tuning.evaluation)
        stdout.print(Markdown(results.to_markdown()))
    backbone = out / "backbone.keras"
    stdout.print(
        escape(
            f"The run lies in {out}. Next: cham extract {clips} --out {out}-shards --backbone "
            f"{backbone}"
        ),
        soft_wrap=True,
    )
