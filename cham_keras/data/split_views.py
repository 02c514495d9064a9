"""Another split over shards that are there already: a view, without a copy of any feature.

Comes in: a folder of shards, and a clip list that states the new split of their clips. Goes out: a
folder with a manifest, which every verb takes for a folder of shards (`shards/view.py`).
`cham resplit` and `fold_views` call it.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cham_keras.data.clip_list import SPLITS, Clip, ClipList, absolute_location
from cham_keras.data.extraction.extraction import check_enough_is_left
from cham_keras.data.mirrored_clips import mirrored_id
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.data.reading.shard_file import shard_files
from cham_keras.data.reading.shard_index import ClipRecord
from cham_keras.data.reading.shard_reader import clips_in_shards, shard_errors_named
from cham_keras.data.shards.manifest import (
    Manifest,
    ShardInfo,
    SplitInfo,
    UnreadableClip,
    read_manifest,
    write_manifest,
)
from cham_keras.data.shards.shard_schema import MANIFEST_FILE
from cham_keras.data.shards.view import (
    checksum_of_ids,
    folder_of_shards,
    name_of_shard,
    way_to_shards,
)
from cham_keras.files import replacing_folder
from cham_keras.paths import AnyPath, RemotePath, as_path, entries_of, is_inside
from cham_keras.progress import track

#: What to do about clips of the list that the shards do not hold: end with an error; leave out,
#: and list in the view, those that could not be read when the shards were made; or all of them.
Missing = Literal["refuse", "leave_out_unreadable", "leave_out"]

_NOT_THERE = "The shards do not hold it."


def resplit(
    shards: AnyPath | str,
    clip_list: ClipList,
    out: AnyPath | str,
    *,
    missing: Missing = "refuse",
    overwrite: bool = False,
    command: str = "",
) -> Manifest:
    """Lays the split of a clip list over shards that hold its clips, in whatever split.

    Nothing is written but a manifest. Clips of the shards that the list does not name are not
    used. A mirrored twin (`cham extract --mirrored`) goes with its clip where that is to train
    on, and is not used elsewhere.

    Args:
        shards: the folder of shards, or a view of them.
        clip_list: the clips and their splits.
        out: a new or empty folder for the view; a path, or a URL if the shards lie behind one.
        missing: what to do about clips of the list that the shards do not hold: "refuse",
            "leave_out_unreadable" or "leave_out". The view's manifest lists what was left out
            under `unreadable`.
        overwrite: whether a folder that is already there is replaced.
        command: what the manifest says that the view was made with.

    Returns:
        the view's manifest.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        FileNotFoundError: the shards are not there.
        ValueError: classes, or a clip's class, differ; clips are missing; a split, or a class in
            training, would lose all its clips; clips that are of one group in the shards would
            stand in two splits, and the list does not state groups for them that say otherwise;
            or the view would take the place of the shards.
    """
    if missing not in get_args(Missing):
        raise ValueError(
            f"`missing` must be one of {', '.join(get_args(Missing))}. Received: {missing!r}."
        )
    out = as_path(out)
    stored = read_stored_clips(shards)
    check_out(stored, out, overwrite)
    _check_same_classes(stored, clip_list)
    unreadable = _missing_clips(stored, clip_list, missing)
    check_enough_is_left(clip_list, unreadable)
    divided = _divided_groups(stored, clip_list)
    split_of_id = with_twins(stored, {clip.id: clip.split for clip in clip_list.clips})
    manifest = stored.view(split_of_id, out, unreadable, divided, command)
    if isinstance(out, RemotePath):
        write_manifest(manifest, out / MANIFEST_FILE)
        return manifest
    with replacing_folder(out, overwrite=overwrite) as temporary:
        write_manifest(manifest, temporary)
    return manifest


@dataclass(frozen=True)
class StoredClip:
    """A clip in shards.

    Attributes:
        clip: what its record says of it.
        shard: name of the shard's file.
        number: number of the record in it.
    """

    clip: ClipRecord
    shard: str
    number: int


@dataclass(frozen=True)
class StoredClips:
    """The clips of shards, of all splits.

    Attributes:
        folder: where the shards themselves lie.
        manifest: the shards' manifest, or that of the view which was named.
        clips: the clips, by id, in the order in which they lie in the shards.
    """

    folder: AnyPath
    manifest: Manifest
    clips: Mapping[str, StoredClip]

    def view(
        self,
        split_of_id: Mapping[str, str],
        out: AnyPath,
        unreadable: Sequence[UnreadableClip],
        divided_groups: Sequence[str] = (),
        command: str = "",
    ) -> Manifest:
        """The manifest of a view.

        Args:
            split_of_id: the split of each clip; what is not there is not used.
            out: the folder in which the view will lie.
            unreadable: the clips that it lacks.
            divided_groups: groups that may stand in several splits.
            command: what it is made with.
        """
        way = way_to_shards(self.folder, out)
        splits = {}
        for split in SPLITS:
            chosen = [c for name, c in self.clips.items() if split_of_id.get(name) == split]
            if chosen:
                splits[split] = self._split(chosen, way)
        return dataclasses.replace(
            self.manifest,
            splits=splits,
            unreadable=tuple(unreadable),
            command=command,
            view_of=str(absolute_location(self.folder)),
            divided_groups=tuple(divided_groups),
        )

    def _split(self, chosen: Sequence[StoredClip], way: str) -> SplitInfo:
        infos = {
            name_of_shard(shard): shard
            for split in self.manifest.splits.values()
            for shard in split.shards
        }
        of_shard: dict[str, list[StoredClip]] = {}
        # In a view of a view, records of one shard may come from several of its splits.
        for clip in sorted(chosen, key=lambda clip: (clip.shard, clip.number)):
            of_shard.setdefault(clip.shard, []).append(clip)
        classes = self.manifest.classes
        return SplitInfo(
            clips=len(chosen),
            frames=sum(clip.clip.num_frames for clip in chosen),
            clips_per_class={
                name: sum(clip.clip.label == label for clip in chosen)
                for label, name in enumerate(classes)
            },
            shards=tuple(
                ShardInfo(
                    file=f"{way}/{name}",
                    clips=infos[name].clips,
                    bytes=infos[name].bytes,
                    sha256=infos[name].sha256,
                    records=tuple(clip.number for clip in clips),
                    ids_sha256=checksum_of_ids(clip.clip.id for clip in clips),
                )
                for name, clips in of_shard.items()
            ),
        )


def read_stored_clips(shards: AnyPath | str) -> StoredClips:
    """Finds all clips of shards, without reading features where the store has random access.

    Args:
        shards: the folder of shards, or a view of them.

    Raises:
        FileNotFoundError: the folder, its manifest or a shard is missing.
        ValueError: a record cannot be read, or a clip stands there twice.
    """
    manifest = read_manifest(shards)
    clips: dict[str, StoredClip] = {}
    for split in track(list(manifest.splits), "Looking up clips in shards, splits"):
        files = shard_files(shards, manifest, split)
        places = [
            (name_of_shard(info), number)
            for info, file in zip(manifest.split(split).shards, files, strict=True)
            for number in file.record_numbers
        ]
        with shard_errors_named():
            found = clips_in_shards(files, manifest)
        for clip, (shard, number) in zip(found, places, strict=True):
            if clip.id in clips:
                raise ValueError(
                    f"A clip must stand in the shards once. {clip.id} stands in "
                    f"{clips[clip.id].shard} and in {shard}. Run `cham verify {shards}`."
                )
            clips[clip.id] = StoredClip(clip, shard, number)
    return StoredClips(folder_of_shards(shards, manifest), manifest, clips)


def with_twins(stored: StoredClips, split_of_id: Mapping[str, str]) -> dict[str, str]:
    """Adds the mirrored twins of the clips to train on."""
    twins = {
        mirrored_id(clip_id): "train"
        for clip_id, split in split_of_id.items()
        if split == "train" and mirrored_id(clip_id) in stored.clips
    }
    return {**split_of_id, **twins}


def check_out(stored: StoredClips, out: AnyPath, overwrite: bool) -> None:
    """Refuses a folder that holds files, and always one whose replacement would lose the shards.

    Raises:
        FileExistsError: it holds files, and `overwrite` is false.
        ValueError: the shards lie there.
    """
    shards = stored.folder
    if isinstance(shards, Path) and isinstance(out, Path):
        loses_shards = shards.resolve().is_relative_to(out.resolve())
    else:
        loses_shards = is_inside(shards, out)
    if loses_shards:
        raise ValueError(
            f"A view must have a folder of its own. Received: {out}, where the shards lie "
            f"({shards})."
        )
    if not overwrite and out.is_dir() and (held := entries_of(out)):
        raise FileExistsError(
            f"The output folder must be new or empty. Received: {out}, which holds {held[0].name}. "
            "Name another folder, or pass --overwrite to replace it."
        )


def _check_same_classes(stored: StoredClips, clip_list: ClipList) -> None:
    classes = stored.manifest.classes
    if classes != clip_list.classes:
        differing = sorted(set(classes) ^ set(clip_list.classes))
        raise ValueError(
            f"The clip list must have the {len(classes)} classes of the shards, for their records "
            f"hold their numbers. Received {len(clip_list.classes)}; {len(differing)} stand on one "
            f"side only: {sentence_of_names(differing)}."
        )
    differing = [
        f"{clip.id} ({clip.label}, in the shards {classes[stored.clips[clip.id].clip.label]})"
        for clip in clip_list.clips
        if clip.id in stored.clips and stored.clips[clip.id].clip.label != clip_list.label_of(clip)
    ]
    if differing:
        raise ValueError(
            "Every clip must have the class in the list that it has in the shards. "
            f"{len(differing)} clip(s) have another: {sentence_of_names(differing)}."
        )


def _missing_clips(
    stored: StoredClips, clip_list: ClipList, missing: Missing
) -> tuple[UnreadableClip, ...]:
    """The clips of the list that the shards lack, if they may be left out."""
    reasons = {clip.path: clip.reason for clip in stored.manifest.unreadable}
    lacking = [clip.id for clip in clip_list.clips if clip.id not in stored.clips]
    unknown = [clip_id for clip_id in lacking if clip_id not in reasons]
    refused = {"refuse": lacking, "leave_out_unreadable": unknown, "leave_out": []}[missing]
    if refused:
        unreadable = len(lacking) - len(unknown)
        raise ValueError(
            f"The shards must hold every clip of the list. {len(lacking)} of "
            f"{len(clip_list.clips)} are missing, {unreadable} of them since they could not be "
            f"read when the shards were made: {sentence_of_names(refused)}. "
            "`--missing leave_out_unreadable` leaves those out that could not be read, "
            "`--missing leave_out` all."
        )
    return tuple(UnreadableClip(name, reasons.get(name, _NOT_THERE)) for name in lacking)


def _divided_groups(stored: StoredClips, clip_list: ClipList) -> list[str]:
    """Groups of the records that the list puts into several splits, if it means to."""
    clips_of_group: dict[str, list[Clip]] = {}
    for clip in clip_list.clips:
        if clip.id in stored.clips:
            clips_of_group.setdefault(stored.clips[clip.id].clip.group, []).append(clip)
    divided = {
        group: clips
        for group, clips in clips_of_group.items()
        if len({clip.split for clip in clips}) > 1
    }
    # A clip's own path as its group says that nothing is known; the shards know better then.
    unmeant = [group for group, clips in divided.items() if not _all_have_groups(clips)]
    if unmeant:
        raise ValueError(
            "A group must stand on one side of a split only, or the score leaks. "
            f"{len(unmeant)} group(s) of the shards have clips in several splits of the list, "
            f"which states no groups for them: {sentence_of_names(sorted(unmeant))}. State the "
            "groups in the list; where it divides one on purpose, it must name the parts."
        )
    return sorted(divided)


def _all_have_groups(clips: Iterable[Clip]) -> bool:
    return all(clip.group not in (clip.path, clip.id) for clip in clips)
