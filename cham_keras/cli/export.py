"""`cham export`: a run in, a version of a served model out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from cham_keras.progress import stdout


def export(
    run: Path,
    /,
    *,
    out: Path,
    streaming: Annotated[bool, Parameter(negative="")] = False,
    check: Annotated[bool, Parameter(negative="")] = False,
    shards: Path | None = None,
    split: str = "test",
) -> None:
    """Export a run as a SavedModel, which TensorFlow Serving takes as it is.

    Writes the next version, OUT/1, OUT/2, …, with the signature serving_default:
    features and lengths in; probabilities, logits, attention and the top classes out.
    Neither Keras nor this package is needed to run it.

    Example: `cham export runs/cham --out exports/cham --check`

    Parameters
    ----------
    run
        Run folder that `cham train` has written.
    out
        Folder above the versions.
    streaming
        Add the signature `step` for streams: the features of one frame and the states of
        the frame before in; probabilities, attention and the new states out.
    check
        Compare the scores with the Keras model's in a new process without Keras; where
        they differ by more than 1e-5, no version appears and the exit code is 1.
    shards
        Folder of shards whose clips --check scores; drawn numbers if not given.
    split
        Their split.
    """
    from cham_keras.export import export_saved_model
    from cham_keras.export.parity import PARITY_FILE
    from cham_keras.files import read_json
    from cham_keras.runs import open_run

    version = export_saved_model(
        open_run(run), out, check=check, shards=shards, split=split, streaming=streaming
    )
    if check:
        report = read_json(version / PARITY_FILE)
        num_clips = sum(clips for clips, _ in report["batches"])
        stdout.print(
            f"Same scores as the Keras model: largest difference "
            f"{max(report['differences'].values()):.1e} over {num_clips} clips."
        )
    stdout.print(
        escape(f"The SavedModel lies in {version}. Next: cham predict VIDEO --model {out}")
    )
