"""Pictures and films of where a run's model looks, for chosen clips or one video.

Comes in: a `Run`, and shards or a video. Goes out: a PNG and an MP4 a clip. `cham
explain` and the demo call it.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cham_keras.attention.attention_reader import AttentionReader
from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.clip_choice import spread_over_classes, with_a_video
from cham_keras.attention.pictures import write_attention_picture
from cham_keras.attention.video import DEFAULT_FRAME_RATE_HZ, write_attention_video
from cham_keras.data import ClipRecord, clips_in_split, read_manifest
from cham_keras.paths import AnyPath, as_path
from cham_keras.progress import track
from cham_keras.runs import Run
from cham_keras.runs.run_folder import require_same_features

ATTENTION_FOLDER = "attention"


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What was written for a clip.

    Attributes:
        name: the clip's path in the shards, or the video's file name.
        true_class: the clip's class; None where it is not known.
        predicted_class: the class that the clip is taken for.
        probability: of that class, the mean over the steps.
        picture: the PNG.
        video: the MP4.
    """

    name: str
    true_class: str | None
    predicted_class: str
    probability: float
    picture: Path
    video: Path


def explain_split(
    run: Run,
    shards: AnyPath | str,
    split: str = "test",
    num_clips: int = 4,
    out: Path | str | None = None,
    *,
    clips_root: Path | str | None = None,
    weights: Path | None = None,
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
) -> list[Explanation]:
    """Explains clips of a split, spread over its classes; always the same ones.

    The mirrored twins that `cham extract --mirrored` stored are passed over: they have no
    video of their own.

    Args:
        run: a finished run.
        shards: shards with the run's features and classes.
        split: name of the split.
        num_clips: how many clips.
        out: folder to write into; `attention` in the run folder by default. Pictures of
            the same clips that lie there are replaced.
        clips_root: the folder of the videos; where they lay at extraction by default.
        weights: where the backbone's weights file lies now, if it was moved.
        frame_rate_hz: steps that the films show in a second.

    Returns:
        what was written, a clip each.

    Raises:
        FileNotFoundError: a video is not where it was.
        ValueError: the shards hold other features, no such split or fewer clips, or
            the model has no attention.
    """
    manifest = read_manifest(shards)
    require_same_features(run, manifest, as_path(shards))
    clips = spread_over_classes(with_a_video(clips_in_split(shards, split)), num_clips)
    root = Path(manifest.clips_root if clips_root is None else clips_root)
    for clip in clips:  # before anything is loaded or drawn
        if not (root / clip.id).is_file():
            raise FileNotFoundError(
                f"There is no video {root / clip.id}. The clips must lie where they were "
                "extracted from, or in the folder that --clips-root names."
            )
    folder = _folder(run, out)
    reader = AttentionReader(run, weights)
    return [
        _write(reader.read(root / clip.id, label=clip.label, name=clip.id), base, frame_rate_hz)
        for clip, base in track(
            list(zip(clips, _paths(folder, clips), strict=True)), "drawing attention"
        )
    ]


def explain_video(
    run: Run,
    video: Path | str,
    out: Path | str | None = None,
    *,
    weights: Path | None = None,
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
) -> Explanation:
    """Explains a video of one's own.

    Args:
        run: a finished run.
        video: a video file.
        out: folder to write into; `attention` in the run folder by default.
        weights: where the backbone's weights file lies now, if it was moved.
        frame_rate_hz: steps that the film shows in a second.

    Returns:
        what was written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read to its end, or the model has no attention.
    """
    read = AttentionReader(run, weights).read(video)
    return _write(read, _folder(run, out) / Path(video).stem, frame_rate_hz)


def _folder(run: Run, out: Path | str | None) -> Path:
    return run.folder / ATTENTION_FOLDER if out is None else Path(out)


def _paths(folder: Path, clips: Sequence[ClipRecord]) -> list[Path]:
    """A path without suffix for each clip, all different and all in `folder` itself."""
    paths: list[Path] = []
    for clip in clips:
        parts = [part for part in Path(clip.id).with_suffix("").parts if part != ".."]
        name = "-".join(parts)
        number = 2
        while folder / name in paths:
            name = f"{'-'.join(parts)}-{number}"
            number += 1
        paths.append(folder / name)
    return paths


def _write(clip_attention: ClipAttention, base: Path, frame_rate_hz: float) -> Explanation:
    # Never the name of the clip itself, which may lie in the same folder.
    picture, video = (base.with_name(f"{base.name}-attention{end}") for end in (".png", ".mp4"))
    write_attention_picture(clip_attention, picture)
    write_attention_video(clip_attention, video, frame_rate_hz)
    label, predicted = clip_attention.label, clip_attention.predicted
    return Explanation(
        name=clip_attention.name,
        true_class=None if label is None else clip_attention.classes[label],
        predicted_class=clip_attention.classes[predicted],
        probability=float(clip_attention.clip_probabilities[predicted]),
        picture=picture,
        video=video,
    )
