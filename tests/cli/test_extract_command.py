"""`cham extract` and `cham verify`: options in, a table and an exit code out."""

import functools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from cham_keras.cli.main import run_command
from cham_keras.data.backbones.backbones import Backbone
from cham_keras.data.clip_list import Clip, ClipList, write_clip_list
from cham_keras.data.frames.video import write_video
from cham_keras.data.shards.manifest import read_manifest


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


@pytest.fixture
def clips(tmp_path):
    """A folder with clips.json, four short videos and one that is none."""
    rng = np.random.default_rng(0)
    listed = []
    for label in ("hop", "run"):
        for split in ("train", "test"):
            path = f"{label}/{split}.mp4"
            frames = rng.integers(0, 256, (6, 32, 48, 3)).astype("uint8")
            write_video(tmp_path / "clips" / path, frames, frame_rate_hz=10)
            listed.append(Clip(path, label, split, path))
    (tmp_path / "clips" / "hop" / "none.mp4").write_text("no video")
    listed.append(Clip("hop/none.mp4", "hop", "train", "none"))
    clip_list = ClipList(tmp_path / "clips", ("hop", "run"), listed)
    write_clip_list(clip_list, tmp_path / "clips" / "clips.json")
    return tmp_path / "clips"


def test_extract_writes_shards_prints_a_table_and_the_next_command(
    clips, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "my shards"
    monkeypatch.setattr(sys, "argv", ["/somewhere/cham", "extract", "some clips"])
    cham(
        *("extract", clips, "--out", out, "--backbone", "filter_bank", "--image-size", 32),
        *("--frame-stride", 2, "--max-frames", 2, "--dtype", "float32"),
    )
    manifest = read_manifest(out)
    assert manifest.feature_shape == (2, 2, 24)
    assert manifest.feature_dtype == "float32"
    assert (manifest.frame_stride, manifest.max_frames) == (2, 2)
    assert manifest.command == "cham extract 'some clips'"
    printed = capsys.readouterr()
    rows = [line.replace("│", " ").split() for line in printed.out.splitlines()]
    assert ["train", "2", "4", "0.0"] in rows
    assert ["test", "2", "4", "0.0"] in rows
    assert "1 clip(s) could not be read" in printed.out
    assert f"Next: cham train '{out}' --out 'runs/my shards'" in printed.out
    assert "Unreadable: hop/none.mp4" in printed.err


def words(printed: str) -> str:
    """What was printed, without its line breaks."""
    return " ".join(printed.split())


def test_extract_takes_the_file_as_well_and_overwrites_only_when_told(clips, tmp_path, capsys):
    command = ("extract", clips / "clips.json", "--out", tmp_path / "out")
    options = ("--backbone", "filter_bank", "--image-size", 32)
    assert cham(*command, *options) == 0
    assert cham(*command, *options) == 2
    assert "pass --overwrite to replace it" in words(capsys.readouterr().err)
    assert cham(*command, *options, "--overwrite") == 0


def test_strict_makes_an_unreadable_clip_fatal(clips, tmp_path, capsys):
    command = ("extract", clips, "--out", tmp_path / "out", "--backbone", "filter_bank")
    assert cham(*command, "--strict") == 2
    assert "with --strict. Received: hop/none.mp4: " in words(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_command_returns_130_and_goes_on_when_given_again(
    clips, tmp_path, capsys, monkeypatch
):
    command = ("extract", clips, "--out", tmp_path / "out", "--backbone", "filter_bank")
    command = (*command, "--image-size", 32)
    features = Backbone.features_of_resized

    calls = []

    def interrupted(backbone, frames):
        calls.append(None)
        if len(calls) == 10:  # in the second clip
            raise KeyboardInterrupt
        return features(backbone, frames)

    with monkeypatch.context() as patch:
        # One frame at a time: a clip is written before the next one is computed.
        patch.setattr("cham_keras.data.extraction.extraction._WRITES_AHEAD", 0)
        small = functools.partialmethod(Backbone.__init__, batch_size=1)
        patch.setattr(Backbone, "__init__", small)
        patch.setattr(Backbone, "features_of_resized", interrupted)
        assert cham(*command) == 130
        assert "The same command goes on from here." in words(capsys.readouterr().err)
        patch.setattr(Backbone, "features_of_resized", features)
        assert cham(*command, "--max-frames", 2) == 2
        assert "max_frames differ(s)" in words(capsys.readouterr().err)
        assert cham(*command) == 0
    # One clip, or two: the one that is no video may come first.
    assert re.search("Going on after [12] finished clips.", words(capsys.readouterr().err))
    assert cham("verify", tmp_path / "out") == 0
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--backbone", "resnet"), "`backbone` must be one of filter_bank, "),
        (("--backbone", "mobilenet", "--weights", "nowhere.h5"), "no weights file nowhere.h5"),
        (("--dtype", "float64"), "float16"),
    ],
)
def test_extract_refuses_bad_options_in_one_sentence(clips, tmp_path, capsys, options, sentence):
    assert cham("extract", clips, "--out", tmp_path / "out", *options) == 2
    assert sentence in words(capsys.readouterr().err)


def test_verify_says_how_much_is_well_and_returns_zero(clips, tmp_path, capsys):
    cham("extract", clips, "--out", tmp_path / "out", "--backbone", "filter_bank")
    capsys.readouterr()
    assert cham("verify", tmp_path / "out") == 0
    assert capsys.readouterr().out == "No problems: 4 clips in 2 shard(s).\n"


def test_verify_lists_problems_and_returns_one(clips, tmp_path, capsys):
    out = tmp_path / "out"
    cham("extract", clips, "--out", out, "--backbone", "filter_bank")
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["splits"]["test"]["frames"] += 1
    (out / "manifest.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert cham("verify", out) == 1
    printed = capsys.readouterr().out
    assert "manifest.json: split test states 13 frames, and its shards hold 12.\n" in printed
    assert "1 problem(s)." in printed


def test_verify_without_a_manifest_is_bad_input(tmp_path, capsys):
    assert cham("verify", tmp_path / "nowhere") == 2
    assert "no manifest.json" in words(capsys.readouterr().err)


def test_verify_ends_the_program_with_its_exit_code(clips, tmp_path):
    out = tmp_path / "out"
    cham("extract", clips, "--out", out, "--backbone", "filter_bank")
    (out / "test-00000-of-00001.tfrecord").unlink()
    script = "from cham_keras.cli.main import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", script, "verify", str(out)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "test-00000-of-00001.tfrecord: is missing." in result.stdout
