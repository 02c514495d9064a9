"""`cham predict`: a video in, its most probable classes out."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from cham_keras.progress import stdout

#: So many classes are shown, or all where there are fewer.
DEFAULT_TOP_K = 5


def predict(
    video: Path,
    /,
    *,
    run: Path | None = None,
    model: Path | None = None,
    top_k: int | None = None,
    weights: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Say what a video shows.

    Frames are chosen and turned into features as they were before training.

    Example: `cham predict clip.mp4 --run runs/cham --top-k 3`

    Without the run: `cham predict clip.mp4 --model exports/cham --json > clip.json`

    Parameters
    ----------
    video
        A video file.
    run
        Run folder that `cham train` has written.
    model
        Folder that `cham export` has written, or one version in it; in place of --run.
    top_k
        How many classes to show; 5 if not given.
    weights
        The backbone's weights file, if it lies elsewhere than before training.
    as_json
        Print JSON: the top classes, the probabilities of all classes for the video and
        after each frame, the frames' numbers, and the attention maps.
    """
    from cham_keras.export import Export, open_export
    from cham_keras.export import predict as predict_video
    from cham_keras.runs import Run, open_run

    source: Run | Export
    if run is not None and model is None:
        source = open_run(run)
    elif model is not None and run is None:
        source = open_export(model)
    else:
        raise ValueError(
            "Exactly one of --run and --model must be given. "
            f"Received: {'neither' if run is None else 'both'}."
        )
    prediction = predict_video(video, source, weights)
    if top_k is None:
        top_k = min(DEFAULT_TOP_K, len(prediction.classes))
    top = prediction.top(top_k)
    if as_json:
        print(json.dumps({**prediction.to_dict(), "top": top}))
        return
    table = Table("class", "probability")
    for name, probability in top:
        table.add_row(escape(name), f"{probability:.3f}")
    stdout.print(table)
    stdout.print(
        escape(f"Mean over {len(prediction.frame_numbers)} frames of {video}."), soft_wrap=True
    )
