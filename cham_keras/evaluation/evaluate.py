"""The evaluation of a run: every test frame once, and every test clip."""

from collections.abc import Sequence

import keras
import numpy as np

from cham_keras.data import (
    ClipRecord,
    clip_dataset,
    clip_windows,
    clips_in_split,
    read_manifest,
    shard_errors_named,
)
from cham_keras.evaluation.results import Results
from cham_keras.evaluation.scores import (
    accuracy,
    average_precision,
    bootstrap_interval,
    confusion_matrix,
)
from cham_keras.losses import PADDING_LABEL
from cham_keras.paths import AnyPath
from cham_keras.progress import track
from cham_keras.runs import Run
from cham_keras.runs.run_folder import EVALUATION_FOLDER, require_same_features


def evaluate(
    run: Run, shards: AnyPath | str, split: str = "test", batch_size: int | None = None
) -> Results:
    """Evaluates a run on a split and writes what it found into the run folder.

    A clip's score is the mean of the softmax over T evenly spaced frames. The
    frame accuracy counts every frame of every clip once: a clip of more than T
    frames is cut into interleaved windows.

    Args:
        run: a finished run.
        shards: shards with the run's features and classes.
        split: name of the split.
        batch_size: clips at once; the run's own by default.

    Returns:
        the results, also written to `evaluation/<split>.{json,csv,md,png}`.

    Raises:
        ValueError: the shards hold other features, or no such split.
    """
    manifest = read_manifest(shards)
    require_same_features(run, manifest, shards)
    clips = clips_in_split(shards, split)
    model = run.load_model()
    batch_size = batch_size or run.settings.data.batch_size
    with shard_errors_named():
        probabilities = clip_probabilities(model, run, shards, split, batch_size)
        right, counted = frames_recognised(model, run, shards, split, batch_size, clips)
    results = summarize(
        clips,
        probabilities,
        classes=manifest.classes,
        split=split,
        right_frames=right,
        counted_frames=counted,
        seed=run.settings.seed,
    )
    results.write(run.folder / EVALUATION_FOLDER)
    return results


def clip_probabilities(
    model: keras.Model, run: Run, shards: AnyPath | str, split: str, batch_size: int
) -> np.ndarray:
    """Mean softmax over T evenly spaced frames: `(clips, classes)`, in the shards' order."""
    batches = clip_dataset(
        shards,
        split,
        num_frames=run.num_frames,
        batch_size=batch_size,
        short_clips=run.settings.data.short_clips,
    )
    means = []
    for inputs, _ in track(batches, f"scoring {split}, clips"):
        probabilities = keras.ops.convert_to_numpy(model.predict_on_batch(inputs))
        valid = np.arange(probabilities.shape[1]) < np.asarray(inputs["lengths"])[:, None]
        means.append((probabilities * valid[..., None]).sum(1) / valid.sum(1, keepdims=True))
    return np.concatenate(means)


def frames_recognised(
    model: keras.Model,
    run: Run,
    shards: AnyPath | str,
    split: str,
    batch_size: int,
    clips: Sequence[ClipRecord],
) -> tuple[int, int]:
    """Every frame once: how many are recognised, and how many there are."""
    windows = clip_windows(shards, split, num_frames=run.num_frames, batch_size=batch_size)
    right = counted = 0
    total = sum(-(-clip.num_frames // run.num_frames) for clip in clips)
    batches = track(windows, f"scoring {split}, frames", total=-(-total // batch_size))
    for inputs, targets, _ in batches:
        predicted = np.argmax(model.predict_on_batch(inputs), axis=-1)
        valid = np.asarray(targets) != PADDING_LABEL
        right += int((valid & (predicted == np.asarray(targets))).sum())
        counted += int(valid.sum())
    return right, counted


def summarize(
    clips: Sequence[ClipRecord],
    probabilities: np.ndarray,
    *,
    classes: tuple[str, ...],
    split: str,
    right_frames: int,
    counted_frames: int,
    seed: int,
) -> Results:
    """Puts the scores together.

    Args:
        clips: the clips of the split.
        probabilities: `(clips, classes)`.
        classes: names of the classes.
        split: name of the split.
        right_frames: frames that were recognised.
        counted_frames: frames in all.
        seed: seed of the interval's draws.
    """
    labels = np.array([clip.label for clip in clips])
    groups = np.array([clip.group for clip in clips])
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, len(classes))
    per_class = {
        name: {
            "clips": int((labels == index).sum()),
            "accuracy": _share(confusion[index, index], confusion[index].sum()),
            "average_precision": average_precision(labels == index, probabilities[:, index]),
        }
        for index, name in enumerate(classes)
    }
    scores = {
        "split": split,
        "clips": len(clips),
        "groups": len(np.unique(groups)),
        "frames": counted_frames,
        "clip_accuracy": accuracy(labels, predicted),
        "clip_accuracy_interval": bootstrap_interval(labels == predicted, groups, seed),
        "frame_accuracy": right_frames / counted_frames,
        "mean_class_accuracy": _mean_of_present(per_class, "accuracy"),
        "mean_average_precision": _mean_of_present(per_class, "average_precision"),
        "majority_accuracy": float(np.bincount(labels).max() / len(labels)),
    }
    return Results(
        split=split,
        classes=classes,
        clip_ids=tuple(clip.id for clip in clips),
        labels=labels,
        probabilities=probabilities,
        scores=scores,
        confusion=confusion,
        per_class=per_class,
    )


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def _mean_of_present(per_class: dict[str, dict[str, float]], name: str) -> float:
    """Mean over the classes that have clips in the split."""
    return float(np.nanmean([row[name] for row in per_class.values()]))
