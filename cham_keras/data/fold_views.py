"""Cross-validation over shards that are there already: a view for each fold.

Comes in: a folder of shards. Goes out: a folder of views, `fold-0`, `fold-1`, ..., each of which
tests on other clips, and `folds.json`, which says how they were made. `cham resplit --folds` calls
it, and whoever trains once a fold.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from cham_keras.data.mirrored_clips import mirrored_id
from cham_keras.data.reading.shard_index import ClipRecord
from cham_keras.data.shards.manifest import Manifest, write_manifest
from cham_keras.data.split_views import StoredClips, check_out, read_stored_clips, with_twins
from cham_keras.data.splits import grouped_folds, hold_out_validation, leave_one_out_folds
from cham_keras.files import replacing_folder, write_json
from cham_keras.paths import AnyPath, RemotePath, as_path
from cham_keras.progress import track

#: Says how the folds of a folder were made; written last.
FOLDS_FILE = "folds.json"


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
    out = as_path(out)
    stored = read_stored_clips(shards)
    check_out(stored, out, overwrite)
    twins = {mirrored_id(clip_id) for clip_id in stored.clips}
    clips = [clip.clip for clip_id, clip in stored.clips.items() if clip_id not in twins]
    splits_of_folds = _splits_of_folds(stored, clips, num_folds, validation_fraction, seed)
    digits = len(str(len(splits_of_folds) - 1))
    views = {}
    for fold, splits in enumerate(track(splits_of_folds, "Laying folds over shards")):
        name = f"fold-{fold:0{digits}d}"
        split_of_id = with_twins(
            stored, {clip.id: split for clip, split in zip(clips, splits, strict=True)}
        )
        unreadable = stored.manifest.unreadable
        views[name] = stored.view(split_of_id, out / name, unreadable, command=command)
    settings: dict[str, object] = {
        "num_folds": num_folds,
        "validation_fraction": validation_fraction,
        "seed": seed,
        "shards": str(shards),
        "folds": list(views),
    }
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
    classes = [stored.manifest.classes[clip.label] for clip in clips]
    groups = [clip.group for clip in clips]
    named = [_NamedClip(*clip) for clip in zip(classes, groups, strict=True)]
    if num_folds == "leave_one_out":
        folds = leave_one_out_folds(named)
    else:
        folds = grouped_folds(named, num_folds, seed)
    splits_of_folds = []
    for fold in range(max(folds) + 1):
        sides = ["test" if of_clip == fold else "train" for of_clip in folds]
        if validation_fraction:
            try:
                sides = hold_out_validation(
                    classes, groups, sides, validation_fraction, seed + fold
                )
            except ValueError as error:
                raise ValueError(f"Fold {fold}: {error}") from None
        splits_of_folds.append(sides)
    return splits_of_folds
