"""A model's passes over the clips of a split.

Comes in: a run, its model and shards. Goes out: for each clip the probabilities of its
frames in the order of time. `evaluate` makes the figures of them.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np

from cham_keras.data import clip_dataset, clip_windows, clips_in_split
from cham_keras.paths import AnyPath
from cham_keras.progress import track
from cham_keras.runs import Run

#: How many windows of T frames a clip's score is the mean of.
Windows = int | Literal["all"]


def clip_probabilities(
    model: keras.Model,
    run: Run,
    shards: AnyPath | str,
    split: str,
    batch_size: int,
    windows: Windows = 1,
) -> np.ndarray:
    """Mean softmax over the frames of each clip, by the arguments of `frame_probabilities`.

    Returns:
        float64 `(clips, classes)`, in the shards' order.
    """
    frames = frame_probabilities(model, run, shards, split, batch_size, windows)
    return np.stack([clip.mean(axis=0, dtype=float) for clip in frames])


def frame_probabilities(
    model: keras.Model,
    run: Run,
    shards: AnyPath | str,
    split: str,
    batch_size: int,
    windows: Windows = 1,
) -> Iterator[np.ndarray]:
    """The softmax of each clip's frames.

    With W windows, W·T evenly spaced frames of a clip are read; a clip of n < W·T frames
    gives all of them. They are cut into interleaved windows, w, w + W, w + 2 W, ... , each
    of which spans the clip and goes through the model on its own. With "all", a clip has as
    many windows as it takes to hold each of its frames once.

    Args:
        model: the run's model.
        run: the run; its T, and what it does with clips of fewer frames.
        shards: the shards.
        split: name of the split.
        batch_size: windows at once.
        windows: W, at least 1, or "all".

    Yields:
        for each clip, in the shards' order, `(frames, classes)` in the order of time,
        without padding. A clip shorter than T holds its repeated last frame as often as
        the run repeats it, but with "all" every frame exactly once.

    Raises:
        ValueError: `windows` is neither.
    """
    require_windows(windows)
    if windows == "all":
        yield from _all_frames(model, run, shards, split, batch_size)
    else:
        yield from _evenly_spaced_frames(model, run, shards, split, batch_size, int(windows))


def require_windows(windows: Windows) -> None:
    """Refuses a number of windows that makes no sense."""
    if windows != "all" and (isinstance(windows, str) or windows < 1):
        raise ValueError(f"`windows` must be at least 1, or 'all'. Received: {windows!r}.")


def sees_later_frames(model: keras.Model, run: Run, shards: AnyPath | str, split: str) -> bool:
    """Whether the probabilities of a clip's first half change where its second half does.

    So it is where the recurrence starts from the clip's mean. Tried on one clip.
    """
    batches = clip_dataset(shards, split, run.num_frames, batch_size=1, short_clips="pad")
    for inputs, _ in batches:
        length = int(inputs["lengths"][0])
        if length < 2:
            continue
        half = length // 2
        features = np.array(inputs["features"])
        before = _predict(model, features, np.array([length]))[0, :half]
        noise = np.random.default_rng(0).normal(size=features[:, half:].shape)
        features[:, half:] += noise * (1 + features.std())
        after = _predict(model, features, np.array([length]))[0, :half]
        return not np.allclose(before, after, rtol=0, atol=1e-6)
    return False


def _evenly_spaced_frames(
    model: keras.Model,
    run: Run,
    shards: AnyPath | str,
    split: str,
    batch_size: int,
    windows: int,
) -> Iterator[np.ndarray]:
    steps = run.num_frames
    repeats_last = run.settings.data.short_clips == "repeat"
    batches = clip_dataset(
        shards,
        split,
        num_frames=windows * steps,
        batch_size=max(1, batch_size // windows),
        short_clips="repeat" if repeats_last and windows == 1 else "pad",
    )
    for inputs, _ in track(batches, f"scoring {split}, clips"):
        features, lengths = np.asarray(inputs["features"]), np.asarray(inputs["lengths"])
        if windows == 1:
            probabilities = _predict(model, features, lengths)
            yield from (of[:length] for of, length in zip(probabilities, lengths, strict=True))
            continue
        cut = [
            _interleaved(clip[:length], steps, repeats_last)
            for clip, length in zip(features, lengths, strict=True)
        ]
        scored = iter(_windows_scored(model, list(itertools.chain(*cut)), steps, batch_size))
        for parts in cut:
            yield _in_order_of_time([next(scored) for _ in parts])


def _interleaved(clip: np.ndarray, steps: int, repeats_last: bool) -> list[np.ndarray]:
    """Cuts `(frames, ...)` into windows of at most `steps` frames."""
    missing = steps - len(clip)
    if missing > 0 and repeats_last:
        return [np.concatenate([clip, np.repeat(clip[-1:], missing, axis=0)])]
    count = -(-len(clip) // steps)
    return [clip[window::count] for window in range(count)]


def _windows_scored(
    model: keras.Model, windows: Sequence[np.ndarray], steps: int, batch_size: int
) -> Iterator[np.ndarray]:
    """Probabilities of windows of at most `steps` frames, without padding."""
    for first in range(0, len(windows), batch_size):
        batch = windows[first : first + batch_size]
        lengths = np.array([len(window) for window in batch], np.int32)
        features = np.zeros((len(batch), steps, *batch[0].shape[1:]), np.float32)
        for row, window in zip(features, batch, strict=True):
            row[: len(window)] = window
        probabilities = _predict(model, features, lengths)
        yield from (of[:length] for of, length in zip(probabilities, lengths, strict=True))


def _all_frames(
    model: keras.Model, run: Run, shards: AnyPath | str, split: str, batch_size: int
) -> Iterator[np.ndarray]:
    counts = [-(-clip.num_frames // run.num_frames) for clip in clips_in_split(shards, split)]
    batches = clip_windows(shards, split, num_frames=run.num_frames, batch_size=batch_size)
    total = -(-sum(counts) // batch_size)
    parts: list[np.ndarray] = []
    clip = 0
    for inputs, *_ in track(batches, f"scoring {split}, frames", total=total):
        lengths = np.asarray(inputs["lengths"])
        probabilities = _predict(model, inputs["features"], lengths)
        for of, length in zip(probabilities, lengths, strict=True):
            parts.append(of[:length])
            if len(parts) == counts[clip]:  # the windows of a clip follow each other
                yield _in_order_of_time(parts)
                parts, clip = [], clip + 1


def _in_order_of_time(windows: Sequence[np.ndarray]) -> np.ndarray:
    """Puts interleaved windows `(frames, classes)` of one clip together again."""
    together = np.empty((sum(map(len, windows)), windows[0].shape[1]), windows[0].dtype)
    for number, window in enumerate(windows):
        together[number :: len(windows)] = window
    return together


def _predict(model: keras.Model, features: Any, lengths: np.ndarray) -> np.ndarray:
    inputs = {"features": features, "lengths": lengths.astype(np.int32)}
    return np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(inputs)))
