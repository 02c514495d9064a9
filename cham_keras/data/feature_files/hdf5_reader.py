"""Reading rows of HDF5 data sets, with h5py or with tensorflow-io; both give the same numbers.

Comes in: where the rows of each clip lie. Goes out: an array a clip, one at a time, so that
memory holds one clip however large the file is. `import_hdf5` calls it.
"""

import logging
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, get_args

import h5py
import numpy as np
import tensorflow as tf

from cham_keras.data.feature_files.stored_clips import Rows, open_hdf5
from cham_keras.data.feature_files.tensorflow_io_library import why_tensorflow_io_cannot_be_used

logger = logging.getLogger(__name__)

Reader = Literal["auto", "h5py", "tensorflow-io"]

#: `IODataset.from_hdf5` aborts the whole process above this rank.
_MAX_RANK_OF_TENSORFLOW_IO = 4
#: The filters (compression and checksums) that the HDF5 inside tensorflow-io has.
_FILTERS_OF_TENSORFLOW_IO = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}
_FILTERS_OF_TENSORFLOW_IO |= {h5py.h5z.FILTER_FLETCHER32}
_ROWS_A_BATCH = 256


def choose_reader(rows: Sequence[Rows], reader: Reader = "auto") -> Reader:
    """Says which library reads these rows.

    Args:
        rows: all that will be read.
        reader: "h5py"; "tensorflow-io"; or "auto": tensorflow-io where its library loads and
            the data sets are such that it can read them, else h5py. A tensorflow-io that is
            installed and does not load gives a warning.

    Returns:
        "h5py" or "tensorflow-io".

    Raises:
        ValueError: tensorflow-io is asked for and cannot be used; the message says why.
        FileNotFoundError: a file is missing.
    """
    if reader not in get_args(Reader):
        raise ValueError(
            f"`reader` must be one of {', '.join(get_args(Reader))}. Received: {reader!r}."
        )
    if reader == "h5py":
        return "h5py"
    reason = why_tensorflow_io_cannot_be_used() or _why_not_these(rows)
    if reason is None:
        return "tensorflow-io"
    if reader == "tensorflow-io":
        raise ValueError(reason)
    # Nobody misses what was never installed; what was installed is expected to work.
    level = logging.INFO if "is not installed" in reason else logging.WARNING
    logger.log(level, "Reading with h5py: %s", reason)
    return "h5py"


def read_rows(rows: Sequence[Rows], reader: Reader = "auto") -> Generator[np.ndarray]:
    """Reads the rows of one clip after the other.

    Args:
        rows: what to read, in this order.
        reader: see `choose_reader`.

    Yields:
        (number of rows, *shape of a row) float32, one array for each of `rows`.

    Raises:
        ValueError: rows cannot be read, or see `choose_reader`.
        FileNotFoundError: a file is missing.
    """
    if choose_reader(rows, reader) == "h5py":
        yield from _read_with_h5py(rows)
    else:
        yield from _read_with_tensorflow_io(rows)


def _read_with_h5py(rows: Sequence[Rows]) -> Iterator[np.ndarray]:
    with ExitStack() as stack:
        files: dict[Path, h5py.File] = {}
        for place in rows:
            if place.file not in files:
                files[place.file] = stack.enter_context(open_hdf5(place.file))
            dataset = files[place.file][place.dataset]
            numbers = np.empty((place.stop - place.start, *dataset.shape[1:]), np.float32)
            try:
                # Straight into the array: other dtypes are converted on the way, bit by bit.
                dataset.read_direct(numbers, np.s_[place.start : place.stop])
            except OSError as error:
                raise ValueError(f"{place} cannot be read: {error}.") from None
            yield numbers


def _read_with_tensorflow_io(rows: Sequence[Rows]) -> Iterator[np.ndarray]:
    """`IODataset` reads a data set from its first row to its last, and looks at all of a file.

    So it is given a small file of its own with windows (virtual data sets) onto the rows: one a
    clip, float32, and nothing else. Then clips can be read in any order, and what else the
    feature files hold cannot disturb it.
    """
    import tensorflow_io as tfio

    with tempfile.TemporaryDirectory(prefix="cham-hdf5-") as folder:
        windows = Path(folder) / "windows.h5"
        shapes = _write_windows(windows, rows)
        for number, (place, shape) in enumerate(zip(rows, shapes, strict=True)):
            dataset = tfio.IODataset.from_hdf5(str(windows), f"/{_window_name(number)}")
            numbers = np.empty(shape, np.float32)
            filled = 0
            try:
                for batch in dataset.batch(_ROWS_A_BATCH).as_numpy_iterator():
                    numbers[filled : filled + len(batch)] = batch
                    filled += len(batch)
            except tf.errors.OpError as error:
                raise ValueError(
                    f"{place} cannot be read by tensorflow-io: {_last_line(error)}. Try "
                    "`--reader h5py`."
                ) from None
            _check_was_found(place, numbers)
            yield numbers


def _check_was_found(place: Rows, numbers: np.ndarray) -> None:
    """Tells a window that found nothing from features that are not a number.

    The HDF5 inside tensorflow-io is of 2019 (1.10.6) and finds nothing where a newer HDF5 wrote
    in its newest form.
    """
    if np.isnan(numbers).any():
        (expected,) = _read_with_h5py([place])
        if not np.array_equal(numbers, expected, equal_nan=True):
            raise ValueError(
                f"tensorflow-io cannot read the form in which {place} was written; read it with "
                "`--reader h5py`."
            )


def _window_name(number: int) -> str:
    return f"clip-{number:08d}"


def _write_windows(path: Path, rows: Sequence[Rows]) -> list[tuple[int, ...]]:
    """Writes a virtual data set for each of `rows`; returns their shapes."""
    shapes = []
    with h5py.File(path, "w") as windows, ExitStack() as stack:
        files: dict[Path, h5py.File] = {}
        for number, place in enumerate(rows):
            if place.file not in files:
                files[place.file] = stack.enter_context(open_hdf5(place.file))
            shape = files[place.file][place.dataset].shape
            # HDF5 takes a % in these names for the beginning of a number.
            names = (str(place.file).replace("%", "%%"), place.dataset.replace("%", "%%"))
            source = h5py.VirtualSource(*names, shape=shape)
            window = h5py.VirtualLayout((place.stop - place.start, *shape[1:]), np.float32)
            window[...] = source[place.start : place.stop]
            # What a window finds nothing behind is not a number, and so no feature.
            windows.create_virtual_dataset(_window_name(number), window, fillvalue=np.nan)
            shapes.append(window.shape)
    return shapes


def _why_not_these(rows: Sequence[Rows]) -> str | None:
    """Why tensorflow-io cannot read these rows, if it cannot; its library must load."""
    with ExitStack() as stack:
        files: dict[Path, h5py.File] = {}
        for file, name in dict.fromkeys((place.file, place.dataset) for place in rows):
            if file not in files:
                files[file] = stack.enter_context(open_hdf5(file))
            dataset = files[file][name]
            if dataset.ndim > _MAX_RANK_OF_TENSORFLOW_IO:
                return (
                    f"tensorflow-io reads data sets of rank {_MAX_RANK_OF_TENSORFLOW_IO} at most, "
                    f"and data set {name} of {file} has rank {dataset.ndim}; read it with "
                    "`--reader h5py`."
                )
            properties = dataset.id.get_create_plist()
            filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
            if not filters <= _FILTERS_OF_TENSORFLOW_IO:
                return (
                    f"tensorflow-io reads gzip compression only, and data set {name} of {file} is "
                    "compressed in another way; read it with `--reader h5py`."
                )
    first_places = {place.file: place for place in reversed(rows)}.values()
    first_rows = [Rows(p.file, p.dataset, p.start, p.start + 1) for p in first_places]
    try:
        for _ in _read_with_tensorflow_io(first_rows):
            pass
    except ValueError as error:
        return str(error)
    return None


def _last_line(error: tf.errors.OpError) -> str:
    return error.message.strip().splitlines()[-1]
