"""Where the features of each clip lie in HDF5 files.

The layouts (`concatenated_layout`, `dataset_per_clip`) make a `StoredClips` of what they find;
`hdf5_reader` reads its rows, and `import_hdf5` turns them into shards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from cham_keras.data.clip_list import ClipList

#: How the numbers of a frame follow each other in a row, in NumPy's letters.
Order = Literal["F", "C"]


@dataclass(frozen=True)
class Rows:
    """The frames of one clip: rows `start` to `stop` (excluded) of a data set.

    Attributes:
        file: the HDF5 file.
        dataset: the data set's name, without the slash in front.
        start: the clip's first row.
        stop: the row after its last one.
    """

    file: Path
    dataset: str
    start: int
    stop: int

    def __str__(self) -> str:
        """File, data set and rows, for messages."""
        return f"{self.file}, data set {self.dataset}, rows {self.start} to {self.stop - 1}"


@dataclass(frozen=True)
class StoredClips:
    """The clips of feature files, and where each one lies.

    Attributes:
        clip_list: the clips; a clip's number of frames is its number of rows.
        rows: where a clip's frames lie, by the clip's id.
        feature_shape: height, width and channels of one frame.
        order: "F" where a row is the positions x channels block in Fortran order, "C" where
            rows need a plain reshape.
        layout: the kind of files, in a few words for the manifest.
    """

    clip_list: ClipList
    rows: Mapping[str, Rows]
    feature_shape: tuple[int, int, int]
    order: Order
    layout: str


def maps_of_rows(rows: np.ndarray, feature_shape: tuple[int, int, int], order: Order) -> np.ndarray:
    """Brings rows to maps.

    Args:
        rows: (frames, ...) with height x width x channels numbers a frame.
        feature_shape: height, width and channels.
        order: "C": the numbers lie as in the result. "F": a row is a block of positions x
            channels in Fortran order, so the positions of the first channel come first, then
            those of the second. Positions go row by row over the map in either order.

    Returns:
        (frames, height, width, channels).

    Example:
    >>> block = np.array([[1, 5], [2, 6], [3, 7], [4, 8]])  # 4 positions x 2 channels
    >>> maps = maps_of_rows(block.flatten(order="F")[None], (2, 2, 2), "F")
    >>> maps[0, :, :, 0].tolist(), maps[0, 0, 1].tolist()
    ([[1, 2], [3, 4]], [2, 6])
    """
    height, width, channels = feature_shape
    if order == "F":
        # (frames, channels * positions) to (frames, positions, channels)
        rows = rows.reshape(len(rows), channels, height * width).transpose(0, 2, 1)
    return rows.reshape(len(rows), height, width, channels)


def open_hdf5(path: Path) -> h5py.File:
    """Opens an HDF5 file for reading.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no HDF5 file, or a broken one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no HDF5 file {path}.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(
            f"{path} must be a whole HDF5 file, and cannot be opened: {error}."
        ) from None


def check_numbers(dataset: h5py.Dataset, path: Path) -> None:
    """Refuses a data set that does not hold floating-point numbers.

    Raises:
        ValueError: the data set holds something else.
    """
    if dataset.dtype.kind != "f":
        raise ValueError(
            f"Data set {dataset.name} of {path} must hold floating-point numbers. "
            f"Received: dtype {dataset.dtype}."
        )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without spaces at their ends and empty lines at the file's end.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no text in UTF-8, or has an empty line or none at all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a text file in UTF-8: {error}.") from None
    lines = [line.strip() for line in text.rstrip().split("\n")]
    if "" in lines:
        raise ValueError(f"{path} must have no empty line. Line {lines.index('') + 1} is empty.")
    return lines
