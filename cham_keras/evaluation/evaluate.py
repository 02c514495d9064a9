"""The evaluation of a run: every test clip, and every test frame once."""

from collections.abc import Iterable, Sequence

import numpy as np

from cham_keras.data import ClipRecord, clips_in_split, read_manifest, shard_errors_named
from cham_keras.evaluation.frames_seen import FrameFigures, accuracy_by_frames_seen
from cham_keras.evaluation.results import Results, summarize
from cham_keras.evaluation.scoring import (
    Windows,
    clip_probabilities,
    frame_probabilities,
    require_windows,
    sees_later_frames,
)
from cham_keras.paths import AnyPath
from cham_keras.runs import Run
from cham_keras.runs.run_folder import EVALUATION_FOLDER, require_same_features

__all__ = ["clip_probabilities", "evaluate"]


def evaluate(
    run: Run,
    shards: AnyPath | str,
    split: str = "test",
    batch_size: int | None = None,
    windows: Windows = 1,
    *,
    pictures: bool = True,
) -> Results:
    """Evaluates a run on a split and writes what it found into the run folder.

    A clip's score is the mean of the softmax over T evenly spaced frames, or over as many
    windows of T frames as are asked for. The frame accuracy counts every frame of every
    clip once: a clip of more than T frames is cut into interleaved windows. That takes a
    second pass of the model, unless the clips' scores have seen every frame once anyway.

    Args:
        run: a finished run.
        shards: shards with the run's features and classes.
        split: name of the split.
        batch_size: windows of T frames at once; the run's own number of clips by default.
        windows: windows of T frames that a clip's score is the mean of; "all" for as many
            as hold every frame once.
        pictures: whether to draw pictures of the results.

    Returns:
        the results, also written to `evaluation/<split>.{json,csv,md,png}` and pictures.

    Raises:
        ValueError: the shards hold other features, or no such split, or a number is below 1.
    """
    manifest = read_manifest(shards)
    require_same_features(run, manifest, shards)
    require_windows(windows)
    clips = clips_in_split(shards, split)
    labels = np.array([clip.label for clip in clips])
    model = run.load_model()
    scored = (model, run, shards, split, batch_size or run.settings.data.batch_size)
    with shard_errors_named():
        frames = list(frame_probabilities(*scored, windows))
        every_frame: Iterable[np.ndarray] = frames
        if not _holds_each_frame_once(clips, run, windows):
            every_frame = frame_probabilities(*scored, "all")
        counted, right = _frames_recognised(every_frame, labels)
        figures = FrameFigures.of_clips(
            counted,
            right,
            accuracy_by_frames_seen=tuple(
                accuracy_by_frames_seen(frames, labels, run.num_frames).tolist()
            ),
            sees_later_frames=sees_later_frames(model, run, shards, split),
            windows=windows,
        )
    results = summarize(
        clips,
        np.stack([of_clip.mean(axis=0, dtype=float) for of_clip in frames]),
        classes=manifest.classes,
        split=split,
        frames=figures,
        seed=run.settings.seed,
        model_sha256=run.model_sha256(),
    )
    results.write(run.folder / EVALUATION_FOLDER, pictures=pictures)
    return results


def _holds_each_frame_once(clips: Sequence[ClipRecord], run: Run, windows: Windows) -> bool:
    """Whether the frames behind the clips' scores are those of the frame accuracy."""
    if windows == "all":
        return True
    shortest = run.num_frames if run.settings.data.short_clips == "repeat" else 1
    return all(shortest <= clip.num_frames <= windows * run.num_frames for clip in clips)


def _frames_recognised(
    frames: Iterable[np.ndarray], labels: np.ndarray
) -> tuple[list[int], list[int]]:
    """How many frames each clip has, and how many of them are recognised."""
    counted, right = [], []
    for probabilities, label in zip(frames, labels, strict=True):
        counted.append(len(probabilities))
        right.append(int((probabilities.argmax(axis=-1) == label).sum()))
    return counted, right
