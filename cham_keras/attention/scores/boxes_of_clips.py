"""Which boxes lie in the frames that a model sees of a clip, and which cells they cover.

Comes in: boxes of videos, and the frames that each clip shows. Goes out: arrays of the maps'
shape. `score_attention` calls it; of the videos it reads the sizes of their frames only.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cham_keras.attention.scores.boxes_on_cells import covered_shares
from cham_keras.data import ClipRecord, FeatureGrid
from cham_keras.data.clip_list import place_of_id
from cham_keras.data.frames import VideoInfo, frame_at, probe_clip
from cham_keras.data.mirrored_clips import id_of_twin
from cham_keras.data.prepare import Box
from cham_keras.progress import track


def covered_cells(
    clips: Sequence[ClipRecord],
    frames: Mapping[str, np.ndarray],
    boxes: Sequence[Box],
    root: Path,
    grid: FeatureGrid,
    shape: tuple[int, int],
) -> dict[str, np.ndarray]:
    """The share of each cell that lies in boxes, for the clips that have some.

    Boxes belong to a file. A clip that is a part of it begins at a later frame of it, and a
    mirrored clip has mirrored boxes.

    Args:
        clips: the clips.
        frames: by the clip's id, `(steps,)`: the numbers of the frames that are seen, from
            the clip's first.
        boxes: at least one.
        root: the folder that the boxes' paths are relative to.
        grid: where the cells lie.
        shape: number of cells from top to bottom and from left to right.

    Returns:
        by the clip's id, `(steps, height, width)`; nan in frames without a box.

    Raises:
        FileNotFoundError: a video whose boxes are given is not where it was.
        ValueError: no box is of a frame that is seen, or one lies outside its frame.
    """
    boxes_of: dict[str, dict[int, list[Box]]] = defaultdict(lambda: defaultdict(list))
    for box in boxes:
        boxes_of[box.path][box.frame].append(box)
    covered, seen = {}, {}
    for clip in track(clips, "laying boxes over clips"):
        of_clip, is_mirrored = id_of_twin(clip.id)
        path, start, _ = place_of_id(of_clip)
        if path not in boxes_of:
            continue
        info = _info(root / path)
        numbers = frames[clip.id] + frame_at(start or 0.0, info.frame_rate_hz)
        seen[path] = numbers.tolist()
        of_frames = [boxes_of[path].get(number, []) for number in numbers.tolist()]
        if not any(of_frames):
            continue
        found = np.full((len(numbers), *shape), np.nan)
        for step, of_frame in enumerate(of_frames):
            if of_frame:
                edges = np.array([_shares(box, info) for box in of_frame])
                if is_mirrored:
                    edges[:, [0, 2]] = 1 - edges[:, [2, 0]]
                found[step] = covered_shares(edges, grid, *shape)
        covered[clip.id] = found
    if not covered:
        raise ValueError(_why_none(boxes, clips, seen))
    return covered


def _info(path: Path) -> VideoInfo:
    if not path.exists():
        raise FileNotFoundError(
            f"There is no video {path}, whose size the boxes are counted in. The clips must "
            "lie where they were extracted from, or in the folder that --clips-root names."
        )
    return probe_clip(path)


def _shares(box: Box, info: VideoInfo) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in shares of the frame; what lies outside does not matter."""
    right, bottom = box.left + box.width, box.top + box.height
    if box.left >= info.width or box.top >= info.height or right <= 0 or bottom <= 0:
        raise ValueError(
            f"A box must lie in its frame, {info.width} x {info.height} pixels in {box.path}. "
            f"Received: {box}. Take it out of the boxes, or mend it."
        )
    return box.left / info.width, box.top / info.height, right / info.width, bottom / info.height


def _why_none(
    boxes: Sequence[Box], clips: Sequence[ClipRecord], seen: Mapping[str, Sequence[int]]
) -> str:
    sentence = "At least one box must be of a frame that the model sees. "
    if not seen:
        return (
            f"{sentence}Received: {len(boxes)} boxes of other paths, such as {boxes[0].path!r}; "
            f"those of the clips are like {clips[0].id!r}."
        )
    path = next(iter(seen))
    has = sorted({box.frame for box in boxes if box.path == path})
    return (
        f"{sentence}Received: {len(boxes)} boxes; those of {path!r} are of frames {has[0]} to "
        f"{has[-1]}, and the model sees {', '.join(map(str, seen[path]))} (from 0)."
    )
