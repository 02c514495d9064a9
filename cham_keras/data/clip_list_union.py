"""One clip list of several: all the clips that any of a data set's official splits uses.

Comes in: clip lists of the same clips, one a split. Goes out: one list to extract features by,
once; `resplit` then lays each split over the shards. `cham reproduce` does that.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from cham_keras.data.clip_list import Clip, ClipList

_SIDES = ("(train)", "(test)")


def union_of_clip_lists(lists: Sequence[ClipList]) -> ClipList:
    """Every clip of the lists once, all for training, so that `extract` takes them whole.

    What any list calls a group stays together: clips that are of one group in one list, or of
    groups of the same name in two, are of one group in the union, named as the first of its
    names in alphabetical order. Where an official split puts one source on both sides,
    `cham prepare` makes two groups of it, "source (train)" and "source (test)", which here are
    one again.

    Args:
        lists: at least one, with the same root and the same classes.

    Returns:
        the clips in the order of their ids. All are in the split "train": the shards are to be
        resplit before anything is trained on them.

    Raises:
        ValueError: there is no list, roots or classes differ, or a clip has another class or
            another number of frames in another list.

    Example:
    >>> from pathlib import Path
    >>> one = ClipList(Path("v"), ["hop", "run"], [Clip("1.mp4", "run", "train", "a")])
    >>> two = ClipList(Path("v"), ["hop", "run"], [Clip("1.mp4", "run", "test", "a"),
    ...                                            Clip("2.mp4", "hop", "train", "b")])
    >>> [(clip.path, clip.split) for clip in union_of_clip_lists([one, two]).clips]
    [('1.mp4', 'train'), ('2.mp4', 'train')]
    """
    if not lists:
        raise ValueError("There must be at least one clip list. Received none.")
    first = lists[0]
    for name in ("root", "classes"):
        for other in lists[1:]:
            if getattr(other, name) != getattr(first, name):
                raise ValueError(
                    f"The clip lists must have the same {name}. Received: "
                    f"{_shown(getattr(first, name))} and {_shown(getattr(other, name))}."
                )
    clip_of_id: dict[str, Clip] = {}
    for clip in (clip for clip_list in lists for clip in clip_list.clips):
        clip_of_id[clip.id] = _joined(clip_of_id.setdefault(clip.id, clip), clip)
    group_of_id = _joined_groups(lists)
    clips = tuple(
        dataclasses.replace(clip, split="train", group=group_of_id[clip_id])
        for clip_id, clip in sorted(clip_of_id.items())
    )
    return ClipList(first.root, first.classes, clips)


def _joined(clip: Clip, other: Clip) -> Clip:
    if clip.label != other.label:
        raise ValueError(
            f"A clip must have the same class in all lists. Received: {clip.label} and "
            f"{other.label} for {clip.id}."
        )
    if None not in (clip.num_frames, other.num_frames) and clip.num_frames != other.num_frames:
        raise ValueError(
            f"A clip must have the same number of frames in all lists. Received: "
            f"{clip.num_frames} and {other.num_frames} for {clip.id}."
        )
    return clip if clip.num_frames is not None else other


def _joined_groups(lists: Sequence[ClipList]) -> dict[str, str]:
    """The group of each clip, by id: what is connected by groups of any list is one group."""
    # Union-find over clips: each points to another one of its group, the last one to itself.
    towards: dict[str, str] = {}

    def last_of(clip_id: str) -> str:
        while towards.setdefault(clip_id, clip_id) != clip_id:
            towards[clip_id] = towards[towards[clip_id]]
            clip_id = towards[clip_id]
        return clip_id

    first_of_group: dict[str, str] = {}
    groups = [(clip.id, source) for each in lists for clip, source in _sources(each)]
    for clip_id, group in groups:
        towards[last_of(clip_id)] = last_of(first_of_group.setdefault(group, clip_id))
    names: dict[str, set[str]] = {}
    for clip_id, group in groups:
        names.setdefault(last_of(clip_id), set()).add(group)
    return {clip_id: min(names[last_of(clip_id)]) for clip_id, _ in groups}


def _sources(clip_list: ClipList) -> Iterator[tuple[Clip, str]]:
    """Each clip with its group, without the side that `prepare.official_lists` puts behind it."""
    groups = {clip.group for clip in clip_list.clips}
    for clip in clip_list.clips:
        source, _, side = clip.group.rpartition(" ")
        divided = side in _SIDES and {f"{source} {one}" for one in _SIDES} <= groups
        yield clip, source if divided else clip.group


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
