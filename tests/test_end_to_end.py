"""The whole way on tiny drawn clips: every stored dtype, own models, and the kinds of clips."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from ucf_sports_testing import make_ucf_sports

from cham_keras.cli.main import run_command
from cham_keras.data import write_video
from cham_keras.data.backbones.backbones import load_backbone
from cham_keras.data.clip_list import SPLITS, Clip, ClipList, read_clip_list, write_clip_list
from cham_keras.data.extraction.extraction import extract
from cham_keras.data.reading.shard_reader import clips_in_split
from cham_keras.data.shards.manifest import read_manifest

FILTER_BANK = ("--backbone", "filter_bank", "--image-size", 32)
TINY = ("--epochs", 1, "--model.name", "conv_attention", "--model.filters", 3)
TINY = (*TINY, "--model.head-units", 4, "--data.num-frames", 4, "--data.batch-size", 4)
NUM_FRAMES = 6


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


def drawn_frames(label: str, clip: int) -> list[np.ndarray]:
    """A light square that goes to the right or to the left."""
    frames = []
    for number in range(NUM_FRAMES):
        frame = np.full((48, 64, 3), 20 + clip, np.uint8)
        left = 4 + 8 * number if label == "right" else 44 - 8 * number
        frame[16:32, left : left + 16] = 230
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """The folder of a clip list: two classes in three splits."""
    folder = tmp_path_factory.mktemp("clips")
    listed = []
    for label in ("left", "right"):
        for clip in range(6):
            path = f"{label}/{clip}.mp4"
            write_video(folder / path, drawn_frames(label, clip), frame_rate_hz=10)
            split = {4: "validation", 5: "test"}.get(clip, "train")
            listed.append(Clip(path, label, split, path))
    write_clip_list(ClipList(folder, ("left", "right"), listed), folder / "clips.json")
    return folder


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_every_dtype_goes_from_clips_to_predictions_and_pictures(clips, tmp_path, capsys, dtype):
    shards, run = tmp_path / "shards", tmp_path / "run"
    assert cham("extract", clips, "--out", shards, "--dtype", dtype, *FILTER_BANK) == 0
    assert f"Stored as {dtype}: off by" in capsys.readouterr().out
    manifest = read_manifest(shards)
    assert manifest.feature_dtype == dtype
    # What the manifest says of the error is of the order that the dtype lets expect.
    low, high = {"float32": (0, 0), "float16": (1e-5, 5e-4), "int8": (1e-4, 1e-2)}[dtype]
    assert low <= manifest.storage_error.relative_rms <= high
    assert cham("verify", shards) == 0
    assert cham("train", shards, "--out", run, *TINY) == 0
    assert cham("evaluate", run, "--shards", shards) == 0
    scores = json.loads((run / "evaluation" / "test.json").read_text())
    capsys.readouterr()
    assert cham("predict", clips / "left" / "5.mp4", "--run", run, "--json") == 0
    predicted = json.loads(capsys.readouterr().out)
    with (run / "evaluation" / "test.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"left/5.mp4", "right/5.mp4"}
    assert scores["split"] == "test"
    assert rows["left/5.mp4"]["predicted"] == predicted["top"][0][0]
    assert cham("explain", run, "--shards", shards, "--num-clips", 1, "--out", tmp_path / "of") == 0
    video = clips / "right" / "5.mp4"
    assert cham("explain", run, "--video", video, "--out", tmp_path / "video") == 0
    for folder in ("of", "video"):
        assert {path.suffix for path in (tmp_path / folder).rglob("*.*")} == {".png", ".mp4"}


def own_model(path: Path, scale: float = 1.0) -> Path:
    keras.utils.set_random_seed(0)
    frames = keras.Input((32, 32, 3))
    maps = layers.Conv2D(4, 8, strides=8, activation="relu")(frames / 64.0 * scale)
    model = keras.Model(frames, maps)
    if path.suffix:
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


@pytest.mark.parametrize("name", ["mine.keras", "mine"])
def test_a_model_of_ones_own_goes_all_the_way_and_must_stay_the_same(clips, tmp_path, capsys, name):
    model = own_model(tmp_path / name)
    shards, run = tmp_path / "shards", tmp_path / "run"
    options = ("--backbone", model, "--scaling", "caffe", "--interpolation", "area")
    assert cham("extract", clips, "--out", shards, *options) == 0
    assert cham("verify", shards) == 0
    backbone = read_manifest(shards).backbone
    assert (backbone.name, backbone.scaling, backbone.interpolation) == ("model", "caffe", "area")
    assert cham("train", shards, "--out", run, *TINY) == 0
    assert cham("evaluate", run, "--shards", shards) == 0
    video = clips / "left" / "5.mp4"
    capsys.readouterr()
    assert cham("predict", video, "--run", run, "--json") == 0
    predicted = json.loads(capsys.readouterr().out)
    assert cham("explain", run, "--video", video, "--out", tmp_path / "pictures") == 0
    # Moved, and named: the same. Changed: refused.
    moved = model.rename(tmp_path / f"moved-{name}")
    assert cham("predict", video, "--run", run) == 2
    assert name in capsys.readouterr().err
    assert cham("predict", video, "--run", run, "--weights", moved, "--json") == 0
    assert json.loads(capsys.readouterr().out) == predicted
    own_model(tmp_path / name, scale=1.5)
    for command in (("predict", video, "--run", run), ("explain", run, "--video", video)):
        assert cham(*command) == 2
        assert "SHA-256" in capsys.readouterr().err


def test_interpolations_give_other_features_and_predictions_use_the_one_of_the_shards(
    clips, tmp_path
):
    clip_list = read_clip_list(clips)
    features = {}
    for interpolation in ("bicubic", "bilinear", "area", "lanczos"):
        out = tmp_path / interpolation
        options = (*FILTER_BANK, "--interpolation", interpolation, "--dtype", "float32")
        assert cham("extract", clips, "--out", out, *options) == 0
        spec = read_manifest(out).backbone
        assert spec.interpolation == interpolation
        assert interpolation in spec.preprocessing
        features[interpolation] = (out / "test-00000-of-00001.tfrecord").read_bytes()
        backbone = load_backbone("filter_bank", None, 32, interpolation)
        extract(clip_list, tmp_path / "again" / interpolation, backbone, feature_dtype="float32")
    assert len(set(features.values())) == 4
    for interpolation, data in features.items():
        again = tmp_path / "again" / interpolation / "test-00000-of-00001.tfrecord"
        assert again.read_bytes() == data


def train_on(out: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    assert cham("extract", out, "--out", shards, "--strict", *FILTER_BANK) == 0
    assert cham("verify", shards) == 0
    assert cham("train", shards, "--out", tmp_path / "run", *TINY) == 0
    assert (tmp_path / "run" / "model.keras").is_file()


def test_ucf_sports_goes_all_the_way_with_its_known_faults(tmp_path):
    root = make_ucf_sports(tmp_path / "root")
    out = tmp_path / "out"
    assert cham("prepare", "ucf-sports", root, "--out", out, "--validation-fraction", 0.2) == 0
    train_on(out, tmp_path)
    manifest, clip_list = read_manifest(tmp_path / "shards"), read_clip_list(out)
    assert manifest.classes == clip_list.classes
    assert len(manifest.classes) == 10
    assert {name: split.clips for name, split in manifest.splits.items()} == {
        split: len(clip_list.clips_of_split(split)) for split in SPLITS
    }
    assert sum(split.clips for split in manifest.splits.values()) == 150
    assert sum(split.frames for split in manifest.splits.values()) == 450


def test_parts_of_files_and_folders_of_images_go_all_the_way(tmp_path):
    videos = tmp_path / "videos"
    rows = ["path,label,split,start,end"]
    for number, split in enumerate(("train", "train", "validation", "test")):
        for label in ("left", "right"):
            frames = drawn_frames(label, number)
            write_video(videos / f"{label}{number}.mp4", frames, frame_rate_hz=10)
            rows.append(f"{label}{number}.mp4,{label},{split},0.1,0.4")  # frames 1, 2, 3
            folder = videos / f"images-{label}{number}"
            folder.mkdir()
            for index, frame in enumerate(frames):
                Image.fromarray(frame).save(folder / f"{index}.png")
            rows.append(f"{folder.name},{label},{split},,")
    (videos / "clips.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    assert cham("prepare", "csv", videos / "clips.csv", "--out", out) == 0
    train_on(out, tmp_path)
    for split, clips in (("train", 2), ("validation", 1), ("test", 1)):
        found = clips_in_split(tmp_path / "shards", split)
        assert len(found) == 4 * clips
        for clip in found:
            is_part = "#t=0.1,0.4" in clip.id
            assert is_part != clip.id.startswith("images-")
            assert clip.num_frames == (3 if is_part else NUM_FRAMES)
            assert clip.frame_rate_hz == (10 if is_part else 0)


#: As the readme of the clips states them; the four turned films state their length themselves.
NUM_FRAMES_OF_REAL_CLIPS = {
    "decord/flipping_a_pancake.mkv": 310,
    "decord/unordered.mov": 4,
    "mmaction2/demo.mp4": 280,
    "mmaction2/demo_spatiotemporal_det.mp4": 57,
    "mmaction2/part_0.mp4": 32,
    "mmaction2/test.avi": 164,
    "mmaction2/test.mp4": 300,
}


def test_every_real_clip_gives_the_stated_frames_and_the_corrupted_one_is_reported(
    shared_data, tmp_path, capsys
):
    paths = sorted((shared_data / "clips").glob("*/*.*"))
    names = [path.relative_to(shared_data / "clips").as_posix() for path in paths]
    clips = [Clip(name, "ab"[n % 2], "train", name) for n, name in enumerate(names)]
    clip_list = ClipList(shared_data / "clips", ("a", "b"), clips)
    write_clip_list(clip_list, tmp_path / "clips.json")
    out = tmp_path / "shards"
    assert cham("extract", tmp_path / "clips.json", "--out", out, *FILTER_BANK) == 0
    assert cham("verify", out) == 0
    said = capsys.readouterr()
    assert "1 clip(s) could not be read" in said.out
    assert "decord/corrupted.mp4" in said.err
    (unreadable,) = read_manifest(out).unreadable
    assert unreadable.path == "decord/corrupted.mp4"
    assert "breaks off at frame 28" in unreadable.reason
    frames = {clip.id: clip.num_frames for clip in clips_in_split(out, "train")}
    assert set(frames) == set(names) - {"decord/corrupted.mp4"}
    for name, number in NUM_FRAMES_OF_REAL_CLIPS.items():
        assert frames[name] == number
