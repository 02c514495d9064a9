"""Extraction: from the videos of a clip list to shards of features.

Comes in: a clip list and a backbone. Goes out: a folder of shards with its
manifest. `cham extract` and the demo call it.

A thread decodes and resizes ahead while the backbone computes; frames of
neighbouring clips share batches. Neither holds more than a few batches of frames
and the features of the clip at hand, however long the list is.
"""

import hashlib
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from cham_keras.data.backbones import Backbone
from cham_keras.data.clip_list import SPLITS, Clip, ClipList
from cham_keras.data.manifest import Manifest, UnreadableClip
from cham_keras.data.shards import DEFAULT_CLIPS_PER_SHARD, ClipFeatures, write_shards
from cham_keras.data.video import probe_video, read_frames
from cham_keras.progress import progress_bar

Item = TypeVar("Item")

#: Part of what orders the training clips; another number is another order.
ORDER_SEED = 0


def extract(
    clip_list: ClipList,
    out: Path | str,
    backbone: Backbone,
    frame_stride: int = 1,
    max_frames: int | None = None,
    feature_dtype: str = "float16",
    clips_per_shard: int = DEFAULT_CLIPS_PER_SHARD,
    strict: bool = False,
    overwrite: bool = False,
    command: str = "",
) -> Manifest:
    """Computes the features of all clips and writes them as shards.

    Training clips are put in a shuffled order that depends on their paths only,
    so each shard holds clips of many classes; the other splits keep the list's
    order. A clip that cannot be read to its end is left out, named on standard
    error with the reason, and listed in the manifest.

    Args:
        clip_list: the clips.
        out: a new or empty folder for the shards. It appears when all is done.
        backbone: what computes the features.
        frame_stride: 1 takes every frame, 2 every other one.
        max_frames: take at most this many frames of a clip, after the stride.
        feature_dtype: "float16" or "float32", how features are stored.
        clips_per_shard: number of clips in a shard.
        strict: whether the first unreadable clip ends everything.
        overwrite: whether a folder that is already there is replaced.
        command: what the manifest says that the shards were made with.

    Returns:
        the manifest.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        ValueError: an argument breaks its rule; a clip cannot be read and
            `strict` is true; or a split, or a class in training, has lost all
            its clips.
    """
    for name, value in (("frame_stride", frame_stride), ("max_frames", max_frames)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    events = _decoded(clip_list, backbone, frame_stride, max_frames)
    # Closing them ends the thread and the progress bar, whatever happens between.
    with (
        closing(_in_background(events, size=4 * backbone.batch_size)) as ahead,
        closing(_watched(_clips_with_features(ahead, backbone), clip_list, strict)) as clips,
    ):
        return write_shards(
            out,
            clips,
            classes=clip_list.classes,
            backbone=backbone.spec,
            feature_dtype=feature_dtype,
            frame_stride=frame_stride,
            max_frames=max_frames,
            clips_per_shard=clips_per_shard,
            clips_root=str(clip_list.root),
            command=command,
            overwrite=overwrite,
        )


def extraction_order(clip_list: ClipList) -> list[Clip]:
    """The clips in the order in which they are extracted.

    Split after split. Training clips are ordered by a checksum of their paths:
    mixed over the classes, the same on every machine, and a clip more or less
    does not change the order of the others.
    """

    def checksum(clip: Clip) -> bytes:
        return hashlib.sha256(f"{ORDER_SEED}/{clip.path}".encode()).digest()

    train = sorted(clip_list.clips_of_split("train"), key=checksum)
    others = [
        clip for split in SPLITS if split != "train" for clip in clip_list.clips_of_split(split)
    ]
    return [*train, *others]


@dataclass(frozen=True)
class _End:
    """The end of a clip among decoded frames: whose frames the ones before it were."""

    clip: Clip
    label: int
    num_frames: int
    frame_rate_hz: float = 0.0
    unreadable_because: str | None = None


def _decoded(
    clip_list: ClipList, backbone: Backbone, frame_stride: int, max_frames: int | None
) -> Iterator[np.ndarray | _End]:
    """Yields resized frames (image_size, image_size, 3) uint8, and an end after each clip."""
    for clip in extraction_order(clip_list):
        path = clip_list.path_of(clip)
        label = clip_list.label_of(clip)
        num_frames = 0
        try:
            frame_rate_hz = probe_video(path).frame_rate_hz / frame_stride
            for frame in read_frames(path, frame_stride, max_frames):
                yield backbone.resize(frame[None])[0]
                num_frames += 1
        except (ValueError, OSError) as error:
            yield _End(clip, label, num_frames, unreadable_because=str(error))
        else:
            yield _End(clip, label, num_frames, frame_rate_hz)


def _clips_with_features(
    events: Iterable[np.ndarray | _End], backbone: Backbone
) -> Iterator[ClipFeatures | UnreadableClip]:
    """Runs frames through the backbone in full batches and puts the clips together again."""
    frames: list[np.ndarray] = []  # decoded, not yet computed
    features: deque[np.ndarray] = deque()  # computed, not yet given to a clip
    ends: deque[_End] = deque()  # of clips that are decoded, not yet given out

    def compute() -> None:
        if frames:
            features.extend(backbone.features_of_resized(np.stack(frames)))
            frames.clear()

    def finished() -> Iterator[ClipFeatures | UnreadableClip]:
        while ends and len(features) >= ends[0].num_frames:
            end = ends.popleft()
            yield _clip_of_end(end, [features.popleft() for _ in range(end.num_frames)])

    for event in events:
        if isinstance(event, _End):
            ends.append(event)
        else:
            frames.append(event)
        if len(frames) == backbone.batch_size:
            compute()
        yield from finished()
    compute()
    yield from finished()


def _clip_of_end(end: _End, features: list[np.ndarray]) -> ClipFeatures | UnreadableClip:
    if end.unreadable_because is not None:
        return UnreadableClip(end.clip.path, end.unreadable_because)
    return ClipFeatures(
        id=end.clip.path,
        split=end.clip.split,
        label=end.label,
        group=end.clip.group,
        frame_rate_hz=end.frame_rate_hz,
        features=np.stack(features),
    )


def _watched(
    clips: Iterable[ClipFeatures | UnreadableClip], clip_list: ClipList, strict: bool
) -> Generator[ClipFeatures | UnreadableClip]:
    """Shows progress, names what is unreadable, and sees to it that enough is left."""
    unreadable: list[UnreadableClip] = []
    start = time.monotonic()
    with progress_bar() as bar:
        task = bar.add_task("Extracting features", total=len(clip_list.clips), note="")
        for number, clip in enumerate(clips, start=1):
            if isinstance(clip, UnreadableClip):
                if strict:
                    raise ValueError(
                        f"Every clip must be readable with --strict. Received: {clip.path}: "
                        f"{clip.reason}"
                    )
                unreadable.append(clip)
                bar.console.print(
                    f"Unreadable: {clip.path}: {clip.reason}", markup=False, highlight=False
                )
            yield clip
            note = f"{number / (time.monotonic() - start):.1f} clips/s"
            bar.update(task, completed=number, note=note)
    _check_enough_is_left(clip_list, unreadable)


def _check_enough_is_left(clip_list: ClipList, unreadable: list[UnreadableClip]) -> None:
    lost = {clip.path for clip in unreadable}
    kept = [clip for clip in clip_list.clips if clip.path not in lost]
    first_reason = f" The first: {unreadable[0].path}: {unreadable[0].reason}" if unreadable else ""
    kept_of_split = Counter(clip.split for clip in kept)
    for split in SPLITS:
        num_listed = len(clip_list.clips_of_split(split))
        if num_listed and not kept_of_split[split]:
            raise ValueError(
                f"Each split must keep at least one clip. All {num_listed} of {split} are "
                f"unreadable.{first_reason}"
            )
    kept_in_training = Counter(clip.label for clip in kept if clip.split == "train")
    listed_in_training = Counter(clip.label for clip in clip_list.clips_of_split("train"))
    for label, num_listed in sorted(listed_in_training.items()):
        if not kept_in_training[label]:
            raise ValueError(
                f"Each class must keep at least one clip for training. All {num_listed} of "
                f"{label} are unreadable.{first_reason}"
            )


def _in_background(items: Iterable[Item], size: int) -> Generator[Item]:
    """Iterates over `items` in a thread of its own, up to `size` items ahead.

    An error there is raised here, in its place. The thread ends when the iterator
    that this returns is closed, also half-way.
    """
    results: queue.Queue[tuple[str, object]] = queue.Queue(maxsize=size)
    closed = threading.Event()

    def put(kind: str, value: object) -> None:
        while not closed.is_set():
            try:
                return results.put((kind, value), timeout=0.1)
            except queue.Full:
                continue
        return None

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if closed.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, name="decoder", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = results.get()
            if kind == "end":
                return
            if kind == "error":
                raise value  # type: ignore[misc]
            yield value  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
