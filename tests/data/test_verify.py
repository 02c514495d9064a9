"""Verification finds every kind of damage, and names where it lies."""

import json

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import examples, write_small_shards

from cham_keras.data.verify import verify_shards

SECOND_SHARD = "train-00001-of-00002.tfrecord"


@pytest.fixture
def shards(tmp_path):
    """Four clips in two shards."""
    write_small_shards(tmp_path / "shards", [3, 2, 4, 5])
    return tmp_path / "shards"


def found(folder) -> list[str]:
    return [str(problem) for problem in verify_shards(folder)]


def rewrite_second_shard(folder, change) -> list[str]:
    """Changes the second shard's examples; returns the problems without those of its checksum."""
    records = examples(folder)[2:]
    change(records)
    with tf.io.TFRecordWriter(str(folder / SECOND_SHARD)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())
    return [problem for problem in found(folder) if "SHA-256" not in problem]


def change_manifest(folder, change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_whole_shards_have_no_problems(shards):
    assert found(shards) == []


def test_one_flipped_bit_is_found_by_checksum_and_record(shards):
    path = shards / SECOND_SHARD
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)
    problems = found(shards)
    assert problems[0] == f"{SECOND_SHARD}: has another SHA-256 than in the manifest."
    assert problems[1].startswith(f"{SECOND_SHARD}, record 1: cannot be read")
    assert "manifest.json: split train states 4 clips, and its shards hold 3." in problems


def test_a_shard_cut_short_is_found(shards):
    path = shards / SECOND_SHARD
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-10])
    problems = found(shards)
    assert f"{SECOND_SHARD}: has {size - 10} bytes, and {size} in the manifest." in problems
    assert any(problem.startswith(f"{SECOND_SHARD}, record 1: cannot") for problem in problems)


def test_missing_and_surplus_files_are_found(shards):
    (shards / SECOND_SHARD).rename(shards / "old.tfrecord")
    problems = found(shards)
    assert "old.tfrecord: is not named in the manifest." in problems
    assert f"{SECOND_SHARD}: is missing." in problems


def set_frame(records, number: int, content: bytes) -> None:
    records[1].features.feature["frames/features"].bytes_list.value[number] = content


def set_integer(records, key: str, value: int) -> None:
    records[1].features.feature[key].int64_list.value[0] = value


def set_text(records, key: str, value: bytes) -> None:
    records[1].features.feature[key].bytes_list.value[0] = value


NOT_A_NUMBER = np.full(24, np.nan, "<f2").tobytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: set_frame(r, 2, NOT_A_NUMBER), "frame 2 holds numbers that are not finite."),
        (lambda r: set_frame(r, 0, b"abc"), "frame 0 has 3 bytes; float16 of shape (2, 3, 4) must"),
        (lambda r: set_integer(r, "clip/label", 3), "label 3 must be from 0 to 2."),
        (lambda r: set_integer(r, "clip/num_frames", 6), "states 6 frames and holds 5."),
        (lambda r: set_text(r, "clip/id", b"train/0.mp4"), "clip train/0.mp4 stands in train-000"),
        (lambda r: r[1].features.feature.pop("clip/group"), "has no proper `clip/group`."),
        (lambda r: r.__setitem__(1, b"\xff\xff no example"), "is no tf.train.Example."),
    ],
)
def test_a_faulty_record_is_named(shards, change, sentence):
    problems = rewrite_second_shard(shards, change)
    assert any(p.startswith(f"{SECOND_SHARD}, record 1: {sentence}") for p in problems), problems


def test_a_group_on_both_sides_of_a_split_is_found(shards):
    def change(manifest):
        train = manifest["splits"]["train"]
        moved = train["shards"].pop()
        train["clips"] -= 2
        manifest["splits"]["test"] = train | {"clips": 2, "shards": [moved]}

    rewrite_second_shard(shards, lambda r: set_text(r, "clip/group", b"group-train-0"))
    change_manifest(shards, change)
    expected = f"{SECOND_SHARD}, record 1: group group-train-0 stands in train and in test."
    assert expected in found(shards)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("clips", 5, "split train states 5 clips, and its shards hold 4."),
        ("frames", 13, "split train states 13 frames, and its shards hold 14."),
        (
            "clips_per_class",
            {"hop": 1, "run": 2, "skip": 1},
            "split train states 1 clips of hop, and its shards hold 2.",
        ),
    ],
)
def test_counts_that_do_not_agree_are_found(shards, key, value, sentence):
    change_manifest(shards, lambda manifest: manifest["splits"]["train"].update({key: value}))
    assert f"manifest.json: {sentence}" in found(shards)


def test_unsorted_classes_are_found(shards):
    change_manifest(shards, lambda manifest: manifest.update(classes=["run", "hop", "skip"]))
    assert found(shards)[0].startswith("manifest.json: classes must be sorted and unique")


def test_a_folder_without_manifest_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no manifest.json"):
        verify_shards(tmp_path)
