"""Clips of the controlled sets as video files with a clip list.

Comes in: a set, the number of clips a split, a seed. Goes out: MP4 files in one folder a
class, and `clips.json`. `experiment` calls it.
"""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np

from cham_keras.data.clip_list import CLIP_LIST_FILE, Clip, ClipList, write_clip_list
from cham_keras.data.frames.video import write_video
from cham_keras.demo.controlled.drawing import draw_planned_clip
from cham_keras.demo.controlled.plans import CONTROLLED_SETS, ControlledSet
from cham_keras.demo.drawn_actions import FRAME_RATE_HZ
from cham_keras.files import replacing_folder
from cham_keras.progress import track


def write_controlled_set(
    folder: Path, name: str, clips_per_split: dict[str, int], seed: int
) -> ClipList:
    """Draws and encodes the clips of one set, behind a progress bar.

    A clip depends on the seed, its class, its split and its number only. Clips of different
    splits, numbers and seeds are drawn independently, and so are those of two classes.

    Args:
        folder: a new or empty folder; it appears whole or not at all.
        name: a name of `CONTROLLED_SETS`.
        clips_per_split: number of clips of all classes together, by split; each a
            multiple of the number of classes.
        seed: a number from 0 on.

    Returns:
        the clips, as in `clips.json`.

    Raises:
        ValueError: the name is not known, or a number breaks its rule.
        FileExistsError: the folder holds files.
    """
    controlled = controlled_set(name)
    folder = Path(folder)
    _check(controlled, clips_per_split, seed)
    clips = [
        Clip(
            path=(path := f"{label}/{split}-{number:03d}.mp4"), label=label, split=split, group=path
        )
        for split, total in clips_per_split.items()
        for label, number in itertools.product(
            controlled.classes, range(total // len(controlled.classes))
        )
    ]
    clip_list = ClipList(root=folder, classes=controlled.classes, clips=tuple(clips))
    with replacing_folder(folder) as temporary:
        for clip in track(clips, f"drawing clips, {name}"):
            rng = np.random.default_rng((seed, *clip.path.encode()))
            write_video(
                temporary / clip.path, draw_planned_clip(controlled, clip.label, rng), FRAME_RATE_HZ
            )
        write_clip_list(replace(clip_list, root=temporary), temporary / CLIP_LIST_FILE)
    return clip_list


def controlled_set(name: str) -> ControlledSet:
    """The set of a name.

    Raises:
        ValueError: there is none; the known ones are named.
    """
    if name not in CONTROLLED_SETS:
        raise ValueError(
            f"The set must be one of {', '.join(CONTROLLED_SETS)}. Received: {name!r}."
        )
    return CONTROLLED_SETS[name]


def _check(controlled: ControlledSet, clips_per_split: dict[str, int], seed: int) -> None:
    for split, number in clips_per_split.items():
        if number < 1 or number % len(controlled.classes):
            raise ValueError(
                f"`clips_per_split` must be a multiple of the {len(controlled.classes)} classes of "
                f"{controlled.name}, and above 0. Received: {split}={number}."
            )
    if seed < 0:
        raise ValueError(f"`seed` must be 0 or more. Received: seed={seed}.")
