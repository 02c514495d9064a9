"""`cham import-hdf5`: options in, shards and two lines out."""

import pytest
from feature_file_making import (
    MAP_SHAPE,
    features_in_shards,
    write_concatenated_files,
    write_csv,
    write_file_with_a_dataset_per_clip,
)

from cham_keras.cli.main import run_command
from cham_keras.data import read_manifest


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


def test_folder_becomes_shards_that_verify_takes(tmp_path, capsys):
    maps = write_concatenated_files(tmp_path / "files")
    (tmp_path / "names.txt").write_text("\n".join("abcdefghijk"))
    options = ["--map-shape", 2, 3, "--classes", tmp_path / "names.txt", "--dtype", "float32"]
    options += ["--backbone-name", "GoogLeNet", "--frame-rate-hz", 25]
    assert cham("import-hdf5", tmp_path / "files", "--out", tmp_path / "shards", *options) == 0
    printed = capsys.readouterr().out
    assert "3 clips (11 frames) in train, 1 clips (3 frames) in validation" in printed
    assert f"Next: cham verify {tmp_path / 'shards'}" in printed
    assert cham("verify", tmp_path / "shards") == 0
    found = features_in_shards(tmp_path / "shards", (*MAP_SHAPE, 5))
    assert all((found[name] == maps[name]).all() for name in maps)
    manifest = read_manifest(tmp_path / "shards")
    assert len(manifest.classes) == 11
    assert "GoogLeNet" in manifest.backbone.preprocessing


def test_one_file_and_a_csv_become_shards(tmp_path, capsys):
    maps = write_file_with_a_dataset_per_clip(tmp_path / "features.h5", rank=3)
    clips_csv = write_csv(tmp_path / "clips.csv", maps)
    options = ["--clips", clips_csv, "--map-shape", 2, 3, "--test-fraction", 0.34]
    options += ["--validation-fraction", 0, "--seed", 1, "--reader", "h5py"]
    out = tmp_path / "shards"
    assert cham("import-hdf5", tmp_path / "features.h5", "--out", out, *options) == 0
    assert "4 clips" in capsys.readouterr().out
    assert cham("verify", out) == 0
    assert cham("import-hdf5", tmp_path / "features.h5", "--out", out, *options) == 2
    assert "--overwrite" in capsys.readouterr().err
    again = cham("import-hdf5", tmp_path / "features.h5", "--out", out, "--overwrite", *options)
    assert again == 0


@pytest.mark.parametrize("what", ["labels", "folder"])
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, capsys, what):
    write_concatenated_files(tmp_path / "files")
    (tmp_path / "files" / "train_labels.txt").write_text("0,1\n1,0\n0,1\n")
    source = tmp_path / ("files" if what == "labels" else "nowhere")
    assert cham("import-hdf5", source, "--out", tmp_path / "shards") == 2
    error = capsys.readouterr().err
    assert error.startswith("cham: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "shards").exists()
