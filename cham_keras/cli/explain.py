"""`cham explain`: a run and clips in, pictures and films of its attention out."""

from pathlib import Path

from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout


def explain(
    run: Path,
    *,
    shards: Location | None = None,
    video: Path | None = None,
    split: str = "test",
    num_clips: int = 4,
    out: Path | None = None,
    clips_root: Path | None = None,
    weights: Path | None = None,
    frame_rate_hz: float = 4.0,
) -> None:
    """Show where a model looks: a picture and a film of each clip.

    Give either --shards, for clips spread over the classes of a split, or --video.
    The picture shows frames in a row, the attention below them and the class that
    the model names at each; the film shows every step with the scores of the classes.

    Example: `cham explain runs/cham --shards shards --num-clips 6`

    Example: `cham explain runs/cham --video my_clip.mp4 --out pictures`

    Parameters
    ----------
    run
        Run folder that `cham train` has written.
    shards
        Folder of shards with the same classes and features.
    video
        A video file of your own.
    split
        Name of the split to choose clips from.
    num_clips
        How many clips to choose.
    out
        Folder to write into; `attention` in the run folder by default.
    clips_root
        The folder of the videos, if they have moved since they were extracted.
    weights
        The backbone's weights file, if it has moved.
    frame_rate_hz
        Steps that the films show in a second.
    """
    if (shards is None) == (video is None):
        received = "neither" if video is None else "both"
        raise ValueError(f"Either --shards or --video must be given. Received: {received}.")

    from cham_keras.attention import explain_split, explain_video
    from cham_keras.runs import open_run

    opened = open_run(run)
    if video is not None:
        explained = [
            explain_video(opened, video, out, weights=weights, frame_rate_hz=frame_rate_hz)
        ]
    elif shards is not None:
        explained = explain_split(
            opened,
            shards,
            split,
            num_clips,
            out,
            clips_root=clips_root,
            weights=weights,
            frame_rate_hz=frame_rate_hz,
        )
    for clip in explained:
        known = "" if clip.true_class is None else f" (class: {clip.true_class})"
        line = f"{clip.name}: {clip.predicted_class}, {clip.probability:.0%}{known}"
        stdout.print(escape(line), highlight=False, soft_wrap=True)
        for path in (clip.picture, clip.video):
            stdout.print(escape(f"  {path}"), highlight=False, soft_wrap=True)
