"""The verb `import-hdf5`: from feature files to shards."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from cham_keras.data.shards.manifest import Manifest


def import_hdf5(
    source: Path,
    /,
    *,
    out: Path,
    clips: Path | None = None,
    map_shape: tuple[int, int] | None = None,
    classes: Path | None = None,
    order: Literal["F", "C"] | None = None,
    backbone_name: str = "",
    frame_rate_hz: float = 30.0,
    dtype: Literal["float16", "float32", "int8"] = "float16",
    reader: Literal["auto", "h5py", "tensorflow-io"] = "auto",
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Turn feature files in HDF5 into shards, as `cham extract` writes them.

    Two kinds are known. A folder in the layout of the FC-Attention authors (Sharma,
    Kiros, Salakhutdinov) with train_features.h5, train_framenum.txt,
    train_filename.txt, train_labels.txt, and the same for valid and test. Or one file
    with a data set for each clip, of shape (frames, height, width, channels) or
    (frames, positions, channels), and a CSV that says what the clips are.

    Example: `cham import-hdf5 hmdb51_googlenet --out shards/hmdb51 --classes classes.txt`

    Example: `cham import-hdf5 features.h5 --clips clips.csv --map-shape 7 7 --out shards`

    Parameters
    ----------
    source
        The folder, or the HDF5 file.
    out
        New folder for the shards and their manifest.
    clips
        With a file: CSV with the columns path (the data set's name) and label, and
        optionally split and group, as `cham prepare csv` takes it.
    map_shape
        Height and width of a frame's map, two numbers. A folder's rows are 7 7 if not
        said otherwise; data sets of shape (frames, positions, channels) need it.
    classes
        With a folder: text file with the name of class 0 in its first line, of class 1
        in its second, and so on. Left out, classes are named by their numbers.
    order
        With a folder: F where a row is the block of positions x channels in Fortran
        order, as the authors' MATLAB wrote it (the default), or C.
    backbone_name
        What the features were computed with, in words. Kept in the manifest.
    frame_rate_hz
        Frames per second of the features, which the files do not say.
    dtype
        How features are stored; int8 has a scale for each channel of a frame.
    reader
        Library that reads the files. auto takes tensorflow-io where it loads, else
        h5py; the shards are the same.
    test_fraction
        Fraction of all clips to test on, where the CSV states no splits.
    validation_fraction
        Fraction of all clips to validate on, where the CSV states no splits.
    seed
        The same seed gives the same split.
    overwrite
        Replace `out` if it is there.
    """
    from cham_keras.data.feature_files import import_hdf5 as import_features

    manifest = import_features(
        source,
        out,
        clips_csv=clips,
        map_shape=map_shape,
        order=order,
        class_names=classes,
        backbone_name=backbone_name,
        frame_rate_hz=frame_rate_hz,
        feature_dtype=dtype,
        reader=reader,
        test_fraction=test_fraction,
        validation_fraction=validation_fraction,
        seed=seed,
        command=shlex.join(["cham", *sys.argv[1:]]),
        overwrite=overwrite,
    )
    _print(manifest, out)


def _print(manifest: "Manifest", out: Path) -> None:
    from cham_keras.progress import stdout

    height, width, channels = manifest.feature_shape
    counts = ", ".join(
        f"{split.clips} clips ({split.frames} frames) in {name}"
        for name, split in manifest.splits.items()
    )
    lines = (
        f"Wrote {out}: {counts}; {len(manifest.classes)} classes, maps of {height} x {width} x "
        f"{channels}.",
        f"Next: {shlex.join(['cham', 'verify', str(out)])}",
    )
    for line in lines:
        stdout.print(line, markup=False, highlight=False, soft_wrap=True)
