"""Cross-validation over shards that are there already: a view for each fold.

Comes in: a folder of shards. Goes out: a folder of views, `fold-0`, `fold-1`, ..., each of which
tests on other clips, and `folds.json`, which says how they were made. `cham resplit --folds` calls
it, and whoever trains once a fold. `ablation` leaves two folds out at a time.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from cham_keras.data.mirrored_clips import mirrored_id
from cham_keras.data.reading.shard_index import ClipRecord
from cham_keras.data.reading.shard_reader import clips_in_split
from cham_keras.data.shards.manifest import Manifest, write_manifest
from cham_keras.data.split_views import StoredClips, check_out, read_stored_clips, with_twins
from cham_keras.data.splits import grouped_folds, hold_out_validation, leave_one_out_folds
from cham_keras.files import replacing_folder, write_json
from cham_keras.paths import AnyPath, RemotePath, as_path
from cham_keras.progress import track

#: Says how the folds of a folder were made; written last.
FOLDS_FILE = "folds.json"

#: Which pairs of folds are left out in turn.
Pairs = Literal["all", "neighbours"]


class _NamedClip(NamedTuple):
    """A clip with the name of its class, which errors are to say."""

    label: str
    group: str


def resplit_into_folds(
    shards: AnyPath | str,
    out: AnyPath | str,
    num_folds: int | Literal["leave_one_out"] = 5,
    *,
    validation_fraction: float = 0.2,
    seed: int = 0,
    overwrite: bool = False,
    command: str = "",
) -> list[Manifest]:
    """Lays folds over the clips of shards, whatever split they are in there.

    Each clip is tested on in exactly one fold. No group stands on two sides of a fold. Clips to
    validate on are taken from the groups that a fold trains on. Mirrored twins
    (`cham extract --mirrored`) are trained on with their clips and never tested on.

    Args:
        shards: the folder of shards, or a view of them.
        out: a new or empty folder for the views; a path, or a URL if the shards lie behind one.
        num_folds: how many folds, each with its share of every class as far as groups allow
            (`grouped_folds`); or "leave_one_out", where each group is tested on by itself.
        validation_fraction: fraction of the clips that a fold does not test on, in [0, 1); 0
            for none.
        seed: of the folds and of the clips to validate on.
        overwrite: whether a folder that is already there is replaced.
        command: what the manifests say that the views were made with.

    Returns:
        the manifest of each fold's view.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        FileNotFoundError: the shards are not there.
        ValueError: an argument breaks its rule, there are fewer groups than folds, a class would
            be missing where a fold trains or validates, or the views would take the place of
            the shards.
    """
    stored, clips = _clips_to_divide(shards)
    check_out(stored, as_path(out), overwrite)
    splits_of_folds = _splits_of_folds(stored, clips, num_folds, validation_fraction, seed)
    digits = len(str(len(splits_of_folds) - 1))
    views = {f"fold-{fold:0{digits}d}": splits for fold, splits in enumerate(splits_of_folds)}
    settings = {
        "num_folds": num_folds,
        "validation_fraction": validation_fraction,
        "seed": seed,
        "shards": str(shards),
        "folds": list(views),
    }
    return _lay(stored, clips, views, settings, as_path(out), overwrite, command)


def resplit_to_validate(
    shards: AnyPath | str, out: AnyPath | str, num_folds: int = 5, *, seed: int = 0
) -> list[Manifest]:
    """Lays folds over the clips to train and to validate on, for a choice between settings.

    Each of these clips is validated on in exactly one fold; the clips of `test` are in none.

    Args:
        shards: as for `resplit_into_folds`.
        out: a new or empty folder for the views.
        num_folds: how many folds, each with its share of every class as far as groups allow.
        seed: of the folds.

    Returns:
        the manifest of each fold's view, with the splits `train` and `validation`.

    Raises:
        FileExistsError: the folder holds files.
        FileNotFoundError: the shards are not there.
        ValueError: there are fewer groups than folds, or the views would take the place of
            the shards.
    """
    stored, clips = _clips_to_divide(shards)
    check_out(stored, as_path(out), overwrite=False)
    if "test" in stored.manifest.splits:
        tested = {clip.id for clip in clips_in_split(shards, "test")}
        clips = [clip for clip in clips if clip.id not in tested]
    folds = grouped_folds(_named(stored, clips), num_folds, seed)
    views = {
        f"fold-{fold}": ["validation" if of_clip == fold else "train" for of_clip in folds]
        for fold in range(num_folds)
    }
    settings = {"num_folds": num_folds, "seed": seed, "shards": str(shards), "folds": list(views)}
    return _lay(stored, clips, views, settings, as_path(out), overwrite=False, command="")


def resplit_without_pairs_of_folds(
    shards: AnyPath | str,
    out: AnyPath | str,
    num_folds: int = 5,
    pairs: Pairs = "all",
    *,
    validation_fraction: float = 0.0,
    seed: int = 0,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, tuple[int, int]]:
    """Lays views over the clips of shards that test on two folds each, each pair of folds once.

    What is trained on such a view serves two nested cross-validations at once: with the one fold
    to be tested on, its figures on the other can choose between settings, and the reverse.

    Args:
        shards: as for `resplit_into_folds`.
        out: a new or empty folder for the views `without-0-1`, `without-0-2` and so on.
        num_folds: how many folds, at least 3; the same ones as of `resplit_into_folds`.
        pairs: "all" pairs, or the "neighbours" only: each fold and the next, the last and the
            first. Then each fold is in two views, whatever their number.
        validation_fraction: fraction of the clips that a view does not test on.
        seed: of the folds and of the clips to validate on.
        overwrite: whether a folder that is already there is replaced.
        command: what the manifests say that the views were made with.

    Returns:
        for each view the two folds that it tests on.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        FileNotFoundError: the shards are not there.
        ValueError: there are fewer than 3 folds, or what `resplit_into_folds` raises it for.
    """
    if num_folds < 3:
        raise ValueError(
            "`num_folds` must be at least 3, so that clips are left to train on. "
            f"Received: num_folds={num_folds}."
        )
    if pairs not in get_args(Pairs):
        raise ValueError(f"`pairs` must be 'all' or 'neighbours'. Received: pairs={pairs!r}.")
    stored, clips = _clips_to_divide(shards)
    check_out(stored, as_path(out), overwrite)
    fold_of_clip = grouped_folds(_named(stored, clips), num_folds, seed)
    folds = range(num_folds)
    chosen = list(itertools.combinations(folds, 2))
    if pairs == "neighbours":
        chosen = sorted((min(a, b), max(a, b)) for a in folds for b in [(a + 1) % num_folds])
    pair_of_view = {f"without-{a}-{b}": (a, b) for a, b in chosen}
    views = {}
    for number, (name, pair) in enumerate(pair_of_view.items()):
        sides = ["test" if fold in pair else "train" for fold in fold_of_clip]
        _check_classes_are_trained_on(stored, clips, sides, pair)
        try:
            views[name] = _with_validation(stored, clips, sides, validation_fraction, seed + number)
        except ValueError as error:
            raise ValueError(f"Without the folds {pair[0]} and {pair[1]}: {error}") from None
    settings = {
        "num_folds": num_folds,
        "validation_fraction": validation_fraction,
        "seed": seed,
        "shards": str(shards),
        "pairs": {name: list(pair) for name, pair in pair_of_view.items()},
    }
    _lay(stored, clips, views, settings, as_path(out), overwrite, command)
    return pair_of_view


def _clips_to_divide(shards: AnyPath | str) -> tuple[StoredClips, list[ClipRecord]]:
    """The clips of shards, and those of them that are no mirrored twins."""
    stored = read_stored_clips(shards)
    twins = {mirrored_id(clip_id) for clip_id in stored.clips}
    return stored, [clip.clip for clip_id, clip in stored.clips.items() if clip_id not in twins]


def _lay(
    stored: StoredClips,
    clips: Sequence[ClipRecord],
    splits_of_views: Mapping[str, Sequence[str]],
    settings: dict[str, Any],
    out: AnyPath,
    overwrite: bool,
    command: str,
) -> list[Manifest]:
    """Writes the views, and last what they were made with."""
    views = {}
    for name, splits in track(list(splits_of_views.items()), "Laying folds over shards"):
        split_of_id = with_twins(
            stored, {clip.id: split for clip, split in zip(clips, splits, strict=True)}
        )
        unreadable = stored.manifest.unreadable
        views[name] = stored.view(split_of_id, out / name, unreadable, command=command)
    if isinstance(out, RemotePath):
        _write(views, settings, out)
    else:
        with replacing_folder(out, overwrite=overwrite) as temporary:
            _write(views, settings, temporary)
    return list(views.values())


def _write(views: dict[str, Manifest], settings: dict[str, object], folder: AnyPath) -> None:
    for name, manifest in views.items():
        if isinstance(folder, Path):
            (folder / name).mkdir()
        write_manifest(manifest, folder / name)
    write_json(folder / FOLDS_FILE, settings)


def _splits_of_folds(
    stored: StoredClips,
    clips: Sequence[ClipRecord],
    num_folds: int | Literal["leave_one_out"],
    validation_fraction: float,
    seed: int,
) -> list[list[str]]:
    """For each fold the split of each clip."""
    named = _named(stored, clips)
    if num_folds == "leave_one_out":
        folds = leave_one_out_folds(named)
    else:
        folds = grouped_folds(named, num_folds, seed)
    splits_of_folds = []
    for fold in range(max(folds) + 1):
        sides = ["test" if of_clip == fold else "train" for of_clip in folds]
        try:
            sides = _with_validation(stored, clips, sides, validation_fraction, seed + fold)
        except ValueError as error:
            raise ValueError(f"Fold {fold}: {error}") from None
        splits_of_folds.append(sides)
    return splits_of_folds


def _named(stored: StoredClips, clips: Sequence[ClipRecord]) -> list[_NamedClip]:
    return [_NamedClip(stored.manifest.classes[clip.label], clip.group) for clip in clips]


def _check_classes_are_trained_on(
    stored: StoredClips, clips: Sequence[ClipRecord], sides: Sequence[str], pair: tuple[int, int]
) -> None:
    left = {clip.label for clip, side in zip(clips, sides, strict=True) if side == "train"}
    for label in sorted({clip.label for clip in clips} - left):
        raise ValueError(
            f"Every class must stand in three folds at least. {stored.manifest.classes[label]!r} "
            f"stands in the folds {pair[0]} and {pair[1]} only. Try another seed or another number "
            "of folds, or add clips from other sources."
        )


def _with_validation(
    stored: StoredClips,
    clips: Sequence[ClipRecord],
    sides: list[str],
    validation_fraction: float,
    seed: int,
) -> list[str]:
    """The splits with some groups of `train` in `validation`."""
    if not validation_fraction:
        return sides
    labels = [named.label for named in _named(stored, clips)]
    groups = [clip.group for clip in clips]
    return hold_out_validation(labels, groups, sides, validation_fraction, seed)
