"""`cham prepare hmdb51`: HMDB51 with its official splits."""

from pathlib import Path

from cham_keras.cli.locations import LocalPath, Location
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def hmdb51(
    root: LocalPath,
    /,
    *,
    out: Location,
    split: int = 1,
    lists: Path | None = None,
    extract_to: Path | None = None,
    validation_fraction: float = 0.15,
    seed: int = 0,
    check_duplicates: bool = True,
    overwrite: bool = False,
) -> None:
    """Make a clip list of HMDB51 with one of its three official splits.

    ROOT holds the 51 class folders, or the archives as they are distributed
    (hmdb51_org.rar, or one .rar a class). Validation clips are taken from the
    training clips by whole source videos.

    Example: `cham prepare hmdb51 hmdb51_org --split 1 --out my_clips`

    Parameters
    ----------
    root
        The folder, or the archive.
    out
        Folder to write clips.json to; a path or a URL.
    split
        Official split: 1, 2 or 3.
    lists
        Folder or archive of the official lists; testTrainMulti_7030_splits or
        test_train_splits.rar in ROOT or beside it by default.
    extract_to
        Folder to extract the archives to, where ROOT has no class folders.
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
    from cham_keras.data.prepare import prepare_hmdb51

    check_out(out, overwrite)
    prepared = prepare_hmdb51(root, split, lists, extract_to, validation_fraction, seed)
    finish(prepared, out, DuplicateOptions(True, check_duplicates))
