"""How many frames clips have, counted once.

Comes in: clips. Goes out: the number of frames of each, or why it cannot be read, kept in an
index file. Containers state wrong numbers, and a clip that breaks off at its end must be known
before an epoch meets it; so each clip is decoded from end to end, which is little beside what
a network needs for one pass over the frames. `frame_dataset` calls it.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.frames.clip_frames import open_clip
from cham_keras.data.frames.resizing import Resizing
from cham_keras.data.shards.manifest import UnreadableClip
from cham_keras.files import local_copy, read_json, write_json
from cham_keras.paths import AnyPath
from cham_keras.progress import progress_bar

#: Version of the form of the index file.
SCHEMA_VERSION = 1
_MOST_THREADS = 8
# The index is written after so many clips, so that a kill costs little.
_CLIPS_BETWEEN_WRITES = 200
# Frames must be decoded to be counted, and need no size then.
_TINY = Resizing(8, "bilinear")


def count_frames(
    clip_list: ClipList,
    clips: Sequence[Clip],
    frame_stride: int = 1,
    max_frames: int | None = None,
    index: Path | None = None,
) -> dict[str, int | UnreadableClip]:
    """Counts the frames of clips.

    Args:
        clip_list: where the clips are from.
        clips: the clips.
        frame_stride: 1 counts every frame, 2 every other one.
        max_frames: at most this many count.
        index: a file for the counts. What stands there of a file that has kept its size and
            its time of change is not counted again.

    Returns:
        by a clip's id the number of its frames, or what is wrong with it.

    Raises:
        ValueError: a number is below 1, or the index is of another form.
    """
    question = {"frame_stride": frame_stride, "max_frames": max_frames}
    known = _read_index(index, question) if index is not None else {}
    entries = {clip.id: _stamp(clip_list.path_of(clip)) for clip in clips}
    missing = [c for c in clips if known.get(c.id, {}).get("stamp", "") != entries[c.id]]
    found = {key: known[key] for key in entries.keys() - {clip.id for clip in missing}}
    for number, (clip, answer) in enumerate(
        _counted(clip_list, missing, frame_stride, max_frames), start=1
    ):
        found[clip.id] = {"stamp": entries[clip.id], **answer}
        if index is not None and (number % _CLIPS_BETWEEN_WRITES == 0 or number == len(missing)):
            values = {"schema_version": SCHEMA_VERSION, **question, "clips": {**known, **found}}
            write_json(index, values)
    return {
        clip.id: found[clip.id].get("num_frames")
        or UnreadableClip(clip.id, found[clip.id]["unreadable"])
        for clip in clips
    }


def _counted(
    clip_list: ClipList, clips: Sequence[Clip], frame_stride: int, max_frames: int | None
) -> Iterator[tuple[Clip, dict[str, Any]]]:
    """Counts clips in threads, behind a progress bar; gives them in their order."""

    def count(clip: Clip) -> dict[str, Any]:
        try:
            with local_copy(clip_list.path_of(clip)) as path:
                times = clip.start_seconds, clip.end_seconds
                _, frames = open_clip(path, frame_stride, max_frames, *times, _TINY)
                number = sum(1 for _ in frames)
            if number:
                return {"num_frames": number}
            return {"unreadable": f"{clip.id} holds no frame."}
        except (ValueError, OSError) as error:
            return {"unreadable": str(error)}

    if not clips:
        return
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    with progress_bar() as bar, ThreadPoolExecutor(threads, "frame_counter") as pool:
        task = bar.add_task("Counting frames, clips", total=len(clips), note="")
        try:
            for clip, answer in zip(clips, pool.map(count, clips), strict=True):
                yield clip, answer
                bar.advance(task)
        finally:
            pool.shutdown(cancel_futures=True)


def _stamp(path: AnyPath) -> list[int] | None:
    """Size and time of change of a local clip; None where nothing tells a change."""
    if not isinstance(path, Path) or not path.exists():
        return None
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def _read_index(path: Path, question: dict[str, int | None]) -> dict[str, dict[str, Any]]:
    """What an index holds that was made for the same question."""
    if not path.is_file():
        return {}
    values = read_json(path)
    if not isinstance(values, dict) or values.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} must be an index of frame counts, `schema_version` {SCHEMA_VERSION}. "
            "Remove it, or name another file."
        )
    if any(values.get(name) != value for name, value in question.items()):
        return {}
    return values["clips"]
