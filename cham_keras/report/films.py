"""Films of where the model looked, for the clips that it is wrong about.

Comes in: a run and ids of clips. Goes out: a film a clip as a data URI, or a sentence that
says why there is none. `write_report` calls it.
"""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cham_keras import models
from cham_keras.attention import AttentionReader, ClipAttention
from cham_keras.attention.overlay import scale_top_of
from cham_keras.attention.overlay_video import write_overlay_video
from cham_keras.data.clip_list import place_of_id
from cham_keras.data.mirrored_clips import id_of_twin
from cham_keras.progress import track
from cham_keras.report.pictures import data_uri
from cham_keras.runs import Run


@dataclasses.dataclass(frozen=True)
class Film:
    """A clip as a film.

    Attributes:
        address: the video as a data URI.
        scale_top: what the brightest colour stands for, in shares of even attention.
        means: the mean so far of each step's probabilities, `(steps, classes)`; the last
            row is the clip's score by one window of frames.
    """

    address: str
    scale_top: float
    means: np.ndarray


@dataclasses.dataclass(frozen=True)
class Films:
    """The films of some clips.

    Attributes:
        of_clip: by the clip's id.
        missing: why there is none of a clip, by its id.
        reason: why there is none at all; empty where that is not so.
    """

    of_clip: dict[str, Film] = dataclasses.field(default_factory=dict)
    missing: dict[str, str] = dataclasses.field(default_factory=dict)
    reason: str = ""


def films_of(
    run: Run, clips: Sequence[str], clips_root: Path | str, weights: Path | None = None
) -> Films:
    """Makes a film of each clip whose video is there.

    Args:
        run: a finished run.
        clips: ids of clips.
        clips_root: the folder that they are relative to.
        weights: where the backbone's weights file lies now, if it was moved.
    """
    root = Path(clips_root)
    paths = {clip: root / place_of_id(clip)[0] for clip in clips}
    found = [clip for clip, path in paths.items() if path.exists()]
    missing = {
        clip: "A mirrored clip has no video of its own."
        if id_of_twin(clip)[1]
        else f"There is no video {path}; `--clips-root` names the folder of the videos."
        for clip, path in paths.items()
        if clip not in found
    }
    if not clips:
        return Films()
    if not found:
        return Films(
            reason=f"The videos are not in {root}. `--clips-root` names the folder where they lie."
        )
    try:
        if not models.has_attention(run.load_model()):
            return Films(reason=f"A model {run.settings.model.name} has no attention to show.")
        reader = AttentionReader(run, weights)
    except (OSError, ValueError) as error:
        return Films(reason=str(error))
    films = {}
    for clip in track(found, "filming attention"):
        try:
            _, start, end = place_of_id(clip)
            look = reader.read(paths[clip], name=clip, start_seconds=start, end_seconds=end)
            films[clip] = _film(look)
        except (OSError, ValueError) as error:
            missing[clip] = str(error)
    return Films(films, missing)


def _film(clip_attention: ClipAttention) -> Film:
    with tempfile.TemporaryDirectory(prefix="cham-report-") as folder:
        path = Path(folder, "film.mp4")
        write_overlay_video(clip_attention, path)
        address = data_uri(path.read_bytes(), "video/mp4")
    steps = len(clip_attention.probabilities)
    sums = np.cumsum(clip_attention.probabilities, axis=0, dtype=float)
    return Film(
        address=address,
        scale_top=scale_top_of(clip_attention.relative_maps),
        means=sums / np.arange(1, steps + 1)[:, None],
    )
