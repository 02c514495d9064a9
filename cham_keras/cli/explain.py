"""`cham explain`: runs and clips in, pictures and films of their attention out."""

from pathlib import Path
from typing import Any

from rich.markup import escape

from cham_keras.cli.locations import Location, short_names
from cham_keras.progress import stdout


def explain(
    runs: list[Path],
    /,
    *,
    shards: Location | None = None,
    video: Path | None = None,
    split: str = "test",
    num_clips: int = 4,
    out: Path | None = None,
    clips_root: Path | None = None,
    weights: Path | None = None,
    frame_rate_hz: float = 4.0,
    layers: bool = False,
) -> None:
    """Show where models look: a picture and a film of each clip.

    Give either --shards, for clips spread over the classes of a split, or --video.
    The picture shows frames in a row, the attention below them and the class that
    the model names at each; the film shows every step with the scores of the classes.
    Several runs stand side by side, on one scale.

    Examples:

        cham explain runs/cham --shards shards --num-clips 6
        cham explain runs/cham --video my_clip.mp4 --out pictures --layers
        cham explain runs/cham runs/conv_attention --video videos --out pictures

    Parameters
    ----------
    runs
        Run folders that `cham train` has written, of models with attention.
    shards
        Folder of shards with the same classes and features.
    video
        A video of your own, or a folder: all videos in it and below it.
    split
        Name of the split to choose clips from.
    num_clips
        How many clips to choose.
    out
        Folder to write into; `attention` in the first run's folder by default.
    clips_root
        The folder of the videos, if they have moved since they were extracted.
    weights
        The backbone's weights file, if it has moved.
    frame_rate_hz
        Steps that the films show in a second.
    layers
        Show below the attention where the energy of each recurrent layer's state lies.
    """
    if (shards is None) == (video is None):
        received = "neither" if video is None else "both"
        raise ValueError(f"Either --shards or --video must be given. Received: {received}.")

    from cham_keras.attention import explain_folder, explain_split, explain_video
    from cham_keras.data.frames import clips_in_folder
    from cham_keras.runs import open_run

    names = short_names(runs)
    opened = {name: open_run(run) for name, run in zip(names, runs, strict=True)}
    shown = opened if len(runs) > 1 else opened[names[0]]
    drawing: dict[str, Any] = {"weights": weights, "frame_rate_hz": frame_rate_hz, "layers": layers}
    if shards is not None:
        explained = explain_split(
            shown, shards, split, num_clips, out, clips_root=clips_root, **drawing
        )
    elif video is not None and video.is_dir() and clips_in_folder(video):
        explained = explain_folder(shown, video, out, **drawing)
    elif video is not None:
        explained = [explain_video(shown, video, out, **drawing)]
    for clip in explained:
        known = "" if clip.true_class is None else f" (class: {clip.true_class})"
        said = ", ".join(
            f"{f'{run}: ' if run else ''}{name}, {probability:.0%}"
            for run, (name, probability) in clip.predictions.items()
        )
        stdout.print(escape(f"{clip.name}: {said}{known}"), highlight=False, soft_wrap=True)
        for path in (clip.picture, clip.video):
            stdout.print(escape(f"  {path}"), highlight=False, soft_wrap=True)
