"""`cham prepare ucf-sports`: UCF Sports as its owners give it."""

from typing import Literal

from cham_keras.cli.locations import LocalPath, Location
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def ucf_sports(
    root: LocalPath,
    /,
    *,
    out: Location,
    protocol: Literal["stratified", "leave-one-out", "103-47"] = "stratified",
    fold: int | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: bool = False,
    duplicates: DuplicateOptions = DuplicateOptions(),  # noqa: B008  frozen
) -> None:
    """Make a clip list of UCF Sports: 150 videos of 10 classes, with boxes.

    ROOT is the folder `ucf action`, or one that holds it. Images are taken where
    a video has them, else its AVI. The boxes of gt are written to boxes.csv.

    Example: `cham prepare ucf-sports ucf_sports_actions --out ucf_sports --protocol 103-47`

    Parameters
    ----------
    root
        The folder.
    out
        Folder to write clips.json, report.json and boxes.csv to.
    protocol
        What is tested on: stratified (a seeded part of each class), leave-one-out
        (one video, see --fold) or 103-47 (the first third of each class, by Lan,
        Wang and Mori).
    fold
        Which video leave-one-out tests on, 0 to 149 in the order of the folders.
    test_fraction
        Which part of each class is tested on, if stratified.
    validation_fraction
        Fraction of the training videos to validate on.
    seed
        The same seed gives the same split.
    overwrite
        Replace a clips.json that is already there.
    """
    from cham_keras.data.prepare import prepare_ucf_sports

    check_out(out, overwrite)
    prepared = prepare_ucf_sports(root, protocol, fold, test_fraction, validation_fraction, seed)
    finish(prepared, out, duplicates)
