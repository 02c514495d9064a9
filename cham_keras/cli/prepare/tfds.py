"""`cham prepare tfds`: a data set of TensorFlow Datasets."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cham_keras.cli.locations import LocalPath
from cham_keras.cli.prepare.finish import DuplicateOptions, check_out, finish


def tfds(
    name: str,
    /,
    *,
    out: LocalPath,
    data_dir: Path | None = None,
    download: Annotated[bool, Parameter(negative="")] = False,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: bool = False,
    duplicates: DuplicateOptions = DuplicateOptions(),  # noqa: B008  frozen
) -> None:
    """Make a clip list of a data set of short videos of TensorFlow Datasets.

    The data set must have the features video and label. Its frames are written
    as PNG images, a folder a clip, to OUT/frames: that takes more room than the
    videos. Its splits are kept; each clip counts as a source of its own. Needs
    the package tensorflow-datasets.

    Example: `cham prepare tfds ucf101/ucf101_1 --out ucf101 --data-dir my_tfds`

    Parameters
    ----------
    name
        Name of the data set, with its configuration.
    out
        Folder to write clips.json and the frames to.
    data_dir
        Folder in which TensorFlow Datasets keeps its data sets.
    download
        Let TensorFlow Datasets download and prepare the data set.
    test_fraction
        Fraction of all clips to test on, where the data set has training clips only.
    validation_fraction
        Fraction of the training clips to validate on, where the data set has none for it.
    seed
        The same seed gives the same split.
    overwrite
        Replace a clips.json and frames that are already there.
    """
    from cham_keras.data.prepare import prepare_tfds

    check_out(out, overwrite)
    fractions = (test_fraction, validation_fraction, seed)
    prepared = prepare_tfds(name, out / "frames", data_dir, *fractions, download, overwrite)
    finish(prepared, out, duplicates)
