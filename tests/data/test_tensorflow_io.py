"""tensorflow-io reads feature files as h5py does, or says in a sentence why it cannot.

What needs its library runs where that loads, on the pair of versions that
scripts/test_tfio.sh installs; what happens elsewhere is tested everywhere.
"""

import importlib.machinery
import importlib.util
import logging
import os

import h5py
import numpy as np
import pytest
from feature_file_making import (
    MAP_SHAPE,
    write_concatenated_files,
    write_csv,
    write_file_with_a_dataset_per_clip,
)

from cham_keras.data.feature_files import import_hdf5
from cham_keras.data.feature_files.hdf5_reader import choose_reader, read_rows
from cham_keras.data.feature_files.stored_clips import Rows
from cham_keras.data.feature_files.tensorflow_io_library import why_tensorflow_io_cannot_be_used

WHY_NOT = why_tensorflow_io_cannot_be_used()
# scripts/test_tfio.sh sets this, so that there nothing is skipped in silence.
MUST_RUN = os.environ.get("CHAM_TEST_TENSORFLOW_IO") == "1"
needs_tensorflow_io = pytest.mark.skipif(
    WHY_NOT is not None and not MUST_RUN,
    reason="needs TensorFlow and tensorflow-io that work together; run scripts/test_tfio.sh",
)

RNG = np.random.default_rng(0)


def write(path, name="a", data=None, **how):
    with h5py.File(path, "a") as file:
        file.create_dataset(name, data=np.zeros((3, 2), "f4") if data is None else data, **how)
    return path


# Where the library loads.


@needs_tensorflow_io
@pytest.mark.parametrize("shape", [(1030, 98), (40, 6, 5), (12, 2, 3, 5)], ids=len)
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_both_readers_give_the_same_numbers(tmp_path, shape, dtype):
    features = RNG.normal(size=shape).astype(dtype)
    path = write(tmp_path / "100%d [a] & b.h5", "run/50%s", features, compression="gzip")
    # 1,030 rows: more than IODataset reads at a time.
    parts = [(0, 1), (3, shape[0]), (0, shape[0]), (shape[0] - 1, shape[0])]
    rows = [Rows(path, "run/50%s", start, stop) for start, stop in parts]
    with_h5py, with_tensorflow_io = (list(read_rows(rows, r)) for r in ("h5py", "tensorflow-io"))
    for one, other, (start, stop) in zip(with_h5py, with_tensorflow_io, parts, strict=True):
        assert one.dtype == other.dtype == np.float32
        assert np.array_equal(one, features[start:stop].astype("float32"))
        assert np.array_equal(one, other)


@needs_tensorflow_io
def test_automatic_reader_is_tensorflow_io(tmp_path):
    path = write(tmp_path / "a.h5")
    assert choose_reader([Rows(path, "a", 0, 3)]) == "tensorflow-io"


@needs_tensorflow_io
@pytest.mark.parametrize("layout", ["concatenated", "a data set per clip"])
def test_both_readers_give_the_same_shards(tmp_path, layout):
    options = {}
    if layout == "concatenated":
        source = tmp_path / "files"
        write_concatenated_files(source)
        options["map_shape"] = MAP_SHAPE
    else:
        source = tmp_path / "files" / "features.h5"
        maps = write_file_with_a_dataset_per_clip(source)
        options["clips_csv"] = write_csv(tmp_path / "clips.csv", maps, split=["train"] * 6)
    one, other = (
        import_hdf5(source, tmp_path / reader, reader=reader, **options)
        for reader in ("h5py", "tensorflow-io")
    )
    assert one.splits == other.splits  # with the shards' checksums
    assert one == other


@needs_tensorflow_io
def test_other_data_sets_in_the_file_do_not_disturb(tmp_path):
    path = write(tmp_path / "a.h5", "a", np.ones((3, 2), "f4"))
    write(path, "rank 5", np.zeros((1, 1, 1, 1, 1), "f4"))
    write(path, "text", np.array([b"x"]))
    with h5py.File(path, "a") as file:
        file["nowhere"] = h5py.SoftLink("/gone")
    (read,) = read_rows([Rows(path, "a", 1, 3)], "tensorflow-io")
    assert np.array_equal(read, np.ones((2, 2)))


@needs_tensorflow_io
@pytest.mark.parametrize(
    ("data", "how", "message"),
    [
        (np.zeros((2, 1, 1, 1, 3), "f4"), {}, "rank 4 at most, and data set a .* has rank 5"),
        (np.zeros((9, 4), "f4"), {"compression": "lzf"}, "gzip compression only, and data set a"),
    ],
    ids=["rank 5", "lzf"],
)
def test_data_set_that_tensorflow_io_cannot_read_goes_to_h5py(tmp_path, caplog, data, how, message):
    """Rank 5 would abort the process, so this test also ends it where nothing refuses."""
    rows = [Rows(write(tmp_path / "a.h5", "a", data, **how), "a", 0, len(data))]
    with pytest.raises(ValueError, match=message + ".*`--reader h5py`"):
        list(read_rows(rows, "tensorflow-io"))
    (read,) = read_rows(rows, "auto")
    assert np.array_equal(read, data)
    assert "Reading with h5py: tensorflow-io reads" in caplog.text


@needs_tensorflow_io
@pytest.mark.skipif(
    h5py.version.hdf5_version_tuple < (2, 0, 0),
    reason="needs an h5py with HDF5 2, which writes forms that tensorflow-io does not know",
)
def test_newer_form_goes_to_h5py_or_is_named(tmp_path, caplog):
    path = tmp_path / "new.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["old"] = np.ones((3, 2), "f4")
        file.create_dataset("new", data=np.ones((3, 2), "f4"), chunks=(1, 2), compression="gzip")
    old, new = Rows(path, "old", 0, 3), Rows(path, "new", 0, 3)
    for rows in ([new, old], [new]):
        assert all(np.array_equal(read, np.ones((3, 2))) for read in read_rows(rows, "auto"))
    assert "Reading with h5py: tensorflow-io cannot read the form in which" in caplog.text
    # What was tried is the first clip of a file; a later one ends the reading.
    with pytest.raises(ValueError, match="the form in which .*data set new.*`--reader h5py`"):
        list(read_rows([old, new], "tensorflow-io"))


@needs_tensorflow_io
def test_features_that_are_not_a_number_are_read_as_such(tmp_path):
    features = np.array([[1, np.nan], [2, 3]], "f4")
    path = write(tmp_path / "a.h5", "a", features)
    (read,) = read_rows([Rows(path, "a", 0, 2)], "tensorflow-io")
    assert np.array_equal(read, features, equal_nan=True)


@needs_tensorflow_io
def test_only_the_rows_of_the_clip_at_hand_are_read(tmp_path):
    """100 GB by its shape, none of it written: whoever reads more than the rows cannot end."""
    with h5py.File(tmp_path / "big.h5", "w") as file:
        dataset = file.create_dataset("features", (500_000, 50_176), "float32", chunks=(1, 50_176))
        dataset[499_998:] = 3.0
    (read,) = read_rows([Rows(tmp_path / "big.h5", "features", 499_997, 500_000)], "tensorflow-io")
    assert read[:, 7].tolist() == [0.0, 3.0, 3.0]


@needs_tensorflow_io
def test_damaged_rows_are_named_by_tensorflow_io(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros((3, 4), "f4"), chunks=(1, 4), fletcher32=True)
        offset = file["a"].id.get_chunk_info(2).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"damage")
    with pytest.raises(ValueError, match="data set a, rows 0 to 2 cannot be read by tensorflow-io"):
        list(read_rows([Rows(path, "a", 0, 3)], "tensorflow-io"))


# Where it does not.


@pytest.fixture
def wrong_pair(tmp_path, monkeypatch):
    """A tensorflow-io whose shared object does not load, as beside another TensorFlow."""
    package = tmp_path / "site-packages" / "tensorflow_io"
    library = package / "python" / "ops" / "libtensorflow_io.so"
    library.parent.mkdir(parents=True)
    library.write_text("undefined symbol")
    spec = importlib.machinery.ModuleSpec(
        "tensorflow_io", None, origin=str(package / "__init__.py")
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_wrong_pair_is_one_sentence_that_says_what_to_install(wrong_pair, tmp_path):
    rows = [Rows(write(tmp_path / "a.h5"), "a", 0, 3)]
    with pytest.raises(ValueError) as caught:
        list(read_rows(rows, "tensorflow-io"))
    sentence = str(caught.value)
    assert "does not load on TensorFlow" in sentence
    assert 'pip install "cham-keras[tfio]"' in sentence
    assert sentence.endswith("`--reader h5py`.")
    assert "\n" not in sentence
    assert ". " not in sentence


def test_wrong_pair_reads_with_h5py_and_warns_once(wrong_pair, tmp_path, caplog):
    rows = [Rows(write(tmp_path / "a.h5"), "a", 0, 2), Rows(tmp_path / "a.h5", "a", 2, 3)]
    assert [len(array) for array in read_rows(rows, "auto")] == [2, 1]
    (record,) = [record for record in caplog.records if record.name.startswith("cham_keras")]
    assert record.levelname == "WARNING"
    assert 'pip install "cham-keras[tfio]"' in record.getMessage()


def test_what_was_never_installed_is_no_warning(not_installed, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    rows = [Rows(write(tmp_path / "a.h5"), "a", 0, 3)]
    assert len(list(read_rows(rows, "auto"))) == 1
    assert not caplog.records


def test_tensorflow_io_that_is_not_installed_is_asked_for(not_installed, tmp_path):
    rows = [Rows(write(tmp_path / "a.h5"), "a", 0, 3)]
    with pytest.raises(ValueError, match="tensorflow-io is not installed .*pip install"):
        choose_reader(rows, "tensorflow-io")
