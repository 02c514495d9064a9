"""`cham prepare ucf101`: UCF101 with its official splits."""

from pathlib import Path

from cham_keras.cli.locations import LocalPath, Location
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def ucf101(
    root: LocalPath,
    /,
    *,
    out: Location,
    split: int = 1,
    lists: Path | None = None,
    validation_fraction: float = 0.15,
    seed: int = 0,
    check_duplicates: bool = True,
    overwrite: bool = False,
) -> None:
    """Make a clip list of UCF101 with one of its three official splits.

    ROOT holds the 101 class folders. Validation clips are taken from the training
    clips by whole groups, as the file names state them.

    Example: `cham prepare ucf101 UCF-101 --split 1 --out my_clips`

    Parameters
    ----------
    root
        The folder.
    out
        Folder to write clips.json to; a path or a URL.
    split
        Official split: 1, 2 or 3.
    lists
        Folder or zip archive of the official lists; ucfTrainTestlist in ROOT or
        beside it by default.
    validation_fraction
        Fraction of the training clips to validate on.
    seed
        The same seed gives the same validation clips.
    check_duplicates
        Look for identical files. The official split is kept where some stand on
        both sides; they are told as a problem.
    overwrite
        Replace a clips.json that is already there.
    """
    from cham_keras.data.prepare import prepare_ucf101

    check_out(out, overwrite)
    prepared = prepare_ucf101(root, split, lists, validation_fraction, seed)
    finish(prepared, out, DuplicateOptions(True, check_duplicates))
