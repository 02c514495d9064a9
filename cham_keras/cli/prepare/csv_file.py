"""`cham prepare csv`: a table of clips."""

from cham_keras.cli.locations import Location
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def csv_file(
    file: Location,
    /,
    *,
    out: Location,
    root: Location | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: bool = False,
    duplicates: DuplicateOptions = DuplicateOptions(),  # noqa: B008  frozen
) -> None:
    """Make a clip list of a CSV file with the columns path and label.

    Optional columns: split (train, validation or val, test), group, and start and
    end in seconds for clips that are parts of a file. Clips of one group, such as
    those cut from one source video, stay on one side of the split; parts of a file
    are one group if the column is empty. A file that states splits is taken as it
    is; else clips are split by groups, with the proportions of the classes kept.
    A path may also be a Norpix sequence (.seq) or a folder of numbered images.

    Example: `cham prepare csv videos/clips.csv --out my_clips`

    Parameters
    ----------
    file
        The CSV file; a path or a URL such as gs://bucket/videos/clips.csv.
    out
        Folder to write clips.json to; a path or a URL.
    root
        Folder that the paths in the file are relative to; the file's own by default.
    test_fraction
        Fraction of all clips to test on, where the file states no splits.
    validation_fraction
        Fraction of all clips to validate on, where the file states no splits.
    seed
        The same seed gives the same split.
    overwrite
        Replace a clips.json that is already there.
    """
    from cham_keras.data.prepare import prepare_csv

    check_out(out, overwrite)
    prepared = prepare_csv(file, root, test_fraction, validation_fraction, seed)
    finish(prepared, out, duplicates)
