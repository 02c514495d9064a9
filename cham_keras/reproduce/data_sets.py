"""From a data set on disk to its divisions into training and test clips.

One function a data set. `make_table` extracts each clip once and lays the divisions
over the same shards.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from cham_keras.data import ClipList
from cham_keras.data.prepare import (
    prepare_csv,
    prepare_folder,
    prepare_hmdb51,
    prepare_olympic_sports,
    prepare_ucf_sports,
)
from cham_keras.data.splits import grouped_folds, hold_out_validation
from cham_keras.reproduce.paper_tables import HMDB51, OLYMPIC_SPORTS, UCF_SPORTS, PaperTable
from cham_keras.reproduce.settings import TableSettings

_VIDEOS_OF_UCF_SPORTS = 150

PAPER_TABLES: Mapping[str, PaperTable] = {
    "ucf-sports": UCF_SPORTS,
    "olympic-sports": OLYMPIC_SPORTS,
    "hmdb51": HMDB51,
}


@dataclasses.dataclass(frozen=True)
class Division:
    """One way of dividing a data set.

    Attributes:
        name: as its folder is called.
        clip_list: every clip with its split.
        seeds: seeds of the runs on it.
        problems: what was found amiss while it was read.
    """

    name: str
    clip_list: ClipList
    seeds: tuple[int, ...]
    problems: tuple[str, ...] = ()


def divisions(settings: TableSettings) -> tuple[Division, ...]:
    """All divisions that a table needs.

    Raises:
        FileNotFoundError: the data set or its lists are not there.
        ValueError: they are not in their form.
    """
    of_data_set = {
        "ucf-sports": _ucf_sports,
        "olympic-sports": _olympic_sports,
        "hmdb51": _hmdb51,
        "clips": _clips,
    }
    return of_data_set[settings.data_set](settings)


def _ucf_sports(settings: TableSettings) -> tuple[Division, ...]:
    share = settings.validation_fraction

    def division(name: str, seeds: tuple[int, ...], fold: int | None, seed: int) -> Division:
        prepared = prepare_ucf_sports(
            settings.root, settings.protocol, fold, validation_fraction=share, seed=seed
        )
        return Division(name, prepared.clip_list, seeds, prepared.problems)

    if settings.protocol == "stratified":
        return tuple(division(f"division-{seed}", (seed,), None, seed) for seed in settings.seeds)
    if settings.protocol == "103-47":
        return (division("103-47", settings.seeds, None, 0),)
    return tuple(
        division(f"without-{video:03d}", settings.seeds, video, 0)
        for video in range(_VIDEOS_OF_UCF_SPORTS)
    )


def _olympic_sports(settings: TableSettings) -> tuple[Division, ...]:
    prepared = prepare_olympic_sports(settings.root, settings.lists, settings.validation_fraction)
    return (Division("official", prepared.clip_list, settings.seeds, prepared.problems),)


def _hmdb51(settings: TableSettings) -> tuple[Division, ...]:
    found = []
    for split in (1, 2, 3):
        prepared = prepare_hmdb51(
            settings.root, split, settings.lists, settings.extract_to, settings.validation_fraction
        )
        found.append(
            Division(f"split-{split}", prepared.clip_list, settings.seeds, prepared.problems)
        )
    return tuple(found)


def _clips(settings: TableSettings) -> tuple[Division, ...]:
    root = Path(settings.root)
    share = settings.validation_fraction
    prepare = prepare_csv if root.suffix.lower() == ".csv" else prepare_folder
    prepared = prepare(root, validation_fraction=share)
    if settings.folds is None:
        return (Division("split", prepared.clip_list, settings.seeds, prepared.problems),)
    return tuple(
        Division(f"fold-{number}", clip_list, settings.seeds, prepared.problems)
        for number, clip_list in enumerate(_folds(prepared.clip_list, settings.folds, share))
    )


def _folds(clip_list: ClipList, num_folds: int, validation_fraction: float) -> list[ClipList]:
    """Each part once as test, the others as training, some of their groups as validation."""
    clips = clip_list.clips
    fold_of_clip = grouped_folds(clips, num_folds)
    labels, groups = [clip.label for clip in clips], [clip.group for clip in clips]
    found = []
    for fold in range(num_folds):
        splits = ["test" if of_clip == fold else "train" for of_clip in fold_of_clip]
        splits = hold_out_validation(labels, groups, splits, validation_fraction)
        divided = (
            dataclasses.replace(clip, split=split)
            for clip, split in zip(clips, splits, strict=True)
        )
        found.append(dataclasses.replace(clip_list, clips=tuple(divided)))
    return found
