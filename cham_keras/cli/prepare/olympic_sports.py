"""`cham prepare olympic-sports`: Olympic Sports with its official split."""

from pathlib import Path

from cham_keras.cli.locations import LocalPath, Location
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def olympic_sports(
    root: LocalPath,
    /,
    *,
    out: Location,
    lists: Path | None = None,
    validation_fraction: float = 0.15,
    seed: int = 0,
    check_duplicates: bool = True,
    overwrite: bool = False,
) -> None:
    """Make a clip list of Olympic Sports with its official split.

    ROOT holds the 16 class folders of .seq files. Validation clips are taken from
    the training clips by whole source videos.

    Example: `cham prepare olympic-sports OlympicSports --out my_clips`

    Parameters
    ----------
    root
        The folder.
    out
        Folder to write clips.json to; a path or a URL.
    lists
        Folder with the official lists in train and test; train_test_split in ROOT
        or beside it by default.
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
    from cham_keras.data.prepare import prepare_olympic_sports

    check_out(out, overwrite)
    prepared = prepare_olympic_sports(root, lists, validation_fraction, seed)
    finish(prepared, out, DuplicateOptions(True, check_duplicates))
