"""`cham prepare folder`: a folder with one folder a class."""

from cham_keras.cli.locations import Location
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def folder(
    root: Location,
    /,
    *,
    out: Location,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: bool = False,
    duplicates: DuplicateOptions = DuplicateOptions(),  # noqa: B008  frozen
) -> None:
    """Make a clip list of a folder with one folder a class.

    The folder is laid out as ROOT/CLASS/CLIP, or, with its own splits, as
    ROOT/SPLIT/CLASS/CLIP, where SPLIT is train, validation (or val) or test. CLIP
    is a video, a Norpix sequence (.seq) or a folder of numbered images. Each clip
    counts as a source of its own; where several clips are cut from one video, use
    `cham prepare csv` with a column group.

    Example: `cham prepare folder my_videos --out my_clips --test-fraction 0.2`

    Parameters
    ----------
    root
        The folder; a path or a URL such as gs://bucket/videos.
    out
        Folder to write clips.json to; a path or a URL.
    test_fraction
        Fraction of all clips to test on, where the folders state no splits.
    validation_fraction
        Fraction of all clips to validate on, where the folders state no splits.
    seed
        The same seed gives the same split.
    overwrite
        Replace a clips.json that is already there.
    """
    from cham_keras.data.prepare import prepare_folder

    check_out(out, overwrite)
    prepared = prepare_folder(root, test_fraction, validation_fraction, seed)
    finish(prepared, out, duplicates)
