"""Verification finds every kind of damage, and names where it lies."""

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import examples, write_small_shards

from cham_keras.cli.main import run_command
from cham_keras.data.shards.verify import verify_shards

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
    assert problems[1].startswith(f"{SECOND_SHARD}, record 1: does not agree with its checksum")
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


def test_all_that_is_damaged_in_a_shard_is_named(shards):
    path = shards / SECOND_SHARD
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    content[-200] ^= 1
    path.write_bytes(content)
    problems = found(shards)
    for number in (0, 1):
        assert any(p.startswith(f"{SECOND_SHARD}, record {number}: does not") for p in problems)
    assert f"{SECOND_SHARD}: has 0 readable records, and 2 in the manifest." in problems


def test_a_damaged_length_ends_the_reading_of_its_shard_only(shards):
    path = shards / "train-00000-of-00002.tfrecord"
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    problems = found(shards)
    assert any("record 0: cannot be read, nor can what follows it" in p for p in problems)
    assert not any(SECOND_SHARD in p for p in problems)


@pytest.fixture
def int8_shards(tmp_path):
    write_small_shards(tmp_path / "shards", [3, 2, 4, 5], feature_dtype="int8")
    return tmp_path / "shards"


def set_scales(records, values: list[bytes]) -> None:
    records[1].features.feature["frames/scales"].bytes_list.value[:] = values


def scale(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


GOOD = scale(1, 0, 2, 3)


def test_whole_int8_shards_have_no_problems(int8_shards):
    assert found(int8_shards) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: set_scales(r, [GOOD] * 4), "holds scales of 4 frames and features of 5."),
        (lambda r: set_scales(r, [*[GOOD] * 4, GOOD[:-4]]), "the scales of frame 4 have 12 bytes;"),
        (
            lambda r: set_scales(r, [GOOD, scale(1, np.nan, 2, 3)] + [GOOD] * 3),
            "a scale of frame 1 is nan",
        ),
        (
            lambda r: set_scales(r, [GOOD, scale(1, 2, 3, np.inf)] + [GOOD] * 3),
            "a scale of frame 1 is inf",
        ),
        (lambda r: set_scales(r, [*[GOOD] * 4, scale(-1, 2, 3, 4)]), "a scale of frame 4 is -1;"),
        (lambda r: r[1].features.feature.pop("frames/scales"), "has no proper `frames/scales`."),
    ],
)
def test_faulty_scales_are_named(int8_shards, change, sentence):
    problems = rewrite_second_shard(int8_shards, change)
    assert any(p.startswith(f"{SECOND_SHARD}, record 1: {sentence}") for p in problems), problems


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_one_number_that_is_not_finite_is_found(tmp_path, dtype, number):
    write_small_shards(tmp_path / "shards", [3, 2, 4, 5], feature_dtype=dtype)
    frame = np.arange(24).astype(dtype)
    frame[17] = number
    problems = rewrite_second_shard(
        tmp_path / "shards", lambda r: [set_frame(r, n, frame.tobytes()) for n in (1, 3)]
    )
    expected = f"{SECOND_SHARD}, record 1: frame 1 (and 1 more) holds numbers that are not finite."
    assert expected in problems


def test_scales_beside_floats_are_found(shards):
    problems = rewrite_second_shard(
        shards, lambda r: r[1].features.feature["frames/scales"].bytes_list.value.append(GOOD)
    )
    assert any("holds `frames/scales`, which float16 features do not" in p for p in problems)


def set_rate(records, value: float) -> None:
    records[1].features.feature["clip/frame_rate_hz"].float_list.value[0] = value


@pytest.mark.parametrize("rate", [np.nan, np.inf, -1.0])
def test_a_rate_that_cannot_be_is_found(shards, rate):
    problems = rewrite_second_shard(shards, lambda r: set_rate(r, rate))
    assert any("frames per second, which must be a number of at least 0" in p for p in problems)


def test_the_unknown_rate_of_image_folders_is_well(shards):
    problems = rewrite_second_shard(shards, lambda r: set_rate(r, 0.0))
    assert not any("per second" in problem for problem in problems)


def test_an_id_that_is_no_text_is_found(shards):
    problems = rewrite_second_shard(shards, lambda r: set_text(r, "clip/id", b"\xff"))
    assert any("`clip/id` must be a text in UTF-8. Received: b'\\xff'." in p for p in problems)


def test_parts_of_one_file_are_clips_of_their_own(shards):
    def change(records):
        set_text([None, records[0]], "clip/id", b"train/long.mp4#t=0,2.5")
        set_text(records, "clip/id", b"train/long.mp4#t=2.5")

    problems = rewrite_second_shard(shards, change)
    assert not any("long.mp4" in problem for problem in problems)
    problems = rewrite_second_shard(
        shards,
        lambda r: [set_text([None, x], "clip/id", b"train/long.mp4#t=0,2.5") for x in r],
    )
    sentence = "record 1: clip train/long.mp4#t=0,2.5 stands in train-00001-of-00002.tfrecord"
    assert any(sentence in problem for problem in problems)


def test_a_clip_that_the_manifest_calls_unreadable_is_found(shards):
    unreadable = [{"path": "train/3.mp4", "reason": "broken"}]
    change_manifest(shards, lambda manifest: manifest.update(unreadable=unreadable))
    expected = f"{SECOND_SHARD}, record 1: clip train/3.mp4 is unreadable, says the manifest."
    assert found(shards) == [expected]


def test_clips_longer_than_the_manifest_allows_are_found(shards):
    change_manifest(shards, lambda manifest: manifest.update(max_frames=4))
    expected = f"{SECOND_SHARD}, record 1: holds 5 frames, and 4 are the most in the manifest."
    assert found(shards) == [expected]


def rename_split(manifest) -> None:
    manifest["splits"]["training"] = manifest["splits"].pop("train")


def rename_first_shard(manifest) -> None:
    manifest["splits"]["train"]["shards"].reverse()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda m: m["storage_error"].update(largest=-1.0),
            "storage_error must be of finite numbers of at least 0, and is -1 and 0.",
        ),
        (rename_split, "split training must be one of train, validation, test."),
        (
            lambda m: m["splits"]["train"]["clips_per_class"].update(jump=2),
            "split train counts clips of jump, which is none of the classes.",
        ),
        (
            rename_first_shard,
            f"split train names the shard {SECOND_SHARD}, which must be train-00000-",
        ),
        (
            lambda m: m.update(feature_shape=[2, 3, 0]),
            "feature_shape must be of numbers from 1 on, and is [2, 3, 0].",
        ),
    ],
)
def test_a_faulty_manifest_is_found(shards, change, sentence):
    change_manifest(shards, change)
    assert any(p.startswith(f"manifest.json: {sentence}") for p in found(shards))


@pytest.mark.parametrize("key", ["storage_error", "feature_shape", "classes", "schema_version"])
def test_a_manifest_that_cannot_be_read_is_an_error_of_its_own(shards, key, capsys):
    change_manifest(shards, lambda manifest: manifest.pop(key))
    with pytest.raises(ValueError, match=key):
        verify_shards(shards)
    assert run_command(["verify", str(shards), "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_exit_code_and_report_tell_scripts_what_was_found(shards, capsys):
    assert run_command(["verify", str(shards), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    size = sum(path.stat().st_size for path in shards.glob("*.tfrecord"))
    assert report == {
        "folder": str(shards),
        "ok": True,
        "problems": [],
        "shards": 2,
        "clips": 4,
        "frames": 14,
        "bytes": size,
        "not_checked": [],
    }
    (shards / SECOND_SHARD).unlink()
    assert run_command(["verify", str(shards), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert report["problems"][0] == {"file": SECOND_SHARD, "record": None, "what": "is missing."}
    assert run_command(["verify", str(shards)]) == 1
    assert f"{SECOND_SHARD}: is missing.\n" in capsys.readouterr().out


def test_a_shard_that_the_disk_does_not_give_is_named(shards, monkeypatch):
    true_open = type(shards).open

    def open_or_fail(path, *arguments, **options):
        if path.name == SECOND_SHARD:
            raise OSError(5, "Input/output error")
        return true_open(path, *arguments, **options)

    monkeypatch.setattr(type(shards), "open", open_or_fail)
    assert f"{SECOND_SHARD}, record 0: cannot be read: Input/output error." in found(shards)


def test_all_of_a_damaged_shard_counts_for_its_checksum(shards):
    path = shards / "train-00000-of-00002.tfrecord"
    content = bytearray(path.read_bytes())
    content[0] ^= 8  # a length that ends inside the file
    path.write_bytes(content)

    def change(manifest):
        digest = hashlib.sha256(content).hexdigest()
        manifest["splits"]["train"]["shards"][0]["sha256"] = digest

    change_manifest(shards, change)
    problems = found(shards)
    assert problems[0] == (
        f"{path.name}, record 0: cannot be read, nor can what follows it: "
        "its length does not agree with the checksum."
    )
    assert not any("SHA-256" in problem for problem in problems)
