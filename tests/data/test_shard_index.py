"""The index of shards against what the records hold, and records of other forms."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from shard_testing import examples, features_of_clip, write_small_shards

from cham_keras.data.reading.clip_dataset import clip_windows
from cham_keras.data.reading.example_layout import (
    ExampleLayout,
    UnusualRecordError,
    header_of_value,
)
from cham_keras.data.reading.shard_file import shard_files
from cham_keras.data.reading.shard_index import index_shards
from cham_keras.data.reading.shard_reader import clips_in_split
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.manifest import read_manifest, write_manifest

FRAMES_OF_CLIPS = [3, 8, 1, 5]
SHARD = "train-00001-of-00002.tfrecord"


@pytest.fixture
def shards(tmp_path):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS)
    return tmp_path


def index_of(folder):
    manifest = read_manifest(folder)
    return index_shards(shard_files(folder, manifest, "train"), manifest)


def rewrite(folder, records: list[bytes], options: str = "") -> None:
    """Puts other records into the second shard, and says so in the manifest."""
    path = folder / SHARD
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)
    manifest = read_manifest(folder)
    split = manifest.split("train")
    shard = dataclasses.replace(split.shards[1], bytes=path.stat().st_size)
    split = dataclasses.replace(split, shards=(split.shards[0], shard))
    write_manifest(dataclasses.replace(manifest, splits={"train": split}), folder)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_the_places_are_those_of_the_frames(tmp_path, dtype):
    # 90 frames make the list's length longer than one byte can say.
    write_small_shards(tmp_path, [3, 90, 1], feature_dtype=dtype)
    manifest = read_manifest(tmp_path)
    files = shard_files(tmp_path, manifest, "train")
    for place, example in zip(index_shards(files, manifest), examples(tmp_path), strict=True):
        with files[place.shard].opened() as file:
            content = file.read()
        lists = {schema.FRAMES_FEATURES: place.frames_offset}
        if dtype == "int8":
            lists[schema.FRAMES_SCALES] = place.scales_offset
        else:
            assert place.scales_offset is None
        for key, offset in lists.items():
            for value in example.features.feature[key].bytes_list.value:
                value = header_of_value(len(value)) + value
                assert content[offset : offset + len(value)] == value
                offset += len(value)


def test_the_facts_are_those_of_the_records(shards):
    for number, (place, example) in enumerate(zip(index_of(shards), examples(shards), strict=True)):
        feature = example.features.feature
        assert (place.shard, place.number) == (number // 2, number % 2)
        assert place.clip.id == feature[schema.CLIP_ID].bytes_list.value[0].decode()
        assert place.clip.group == feature[schema.CLIP_GROUP].bytes_list.value[0].decode()
        assert place.clip.label == feature[schema.CLIP_LABEL].int64_list.value[0]
        assert place.clip.num_frames == FRAMES_OF_CLIPS[number]
        assert place.clip.frame_rate_hz == feature[schema.CLIP_FRAME_RATE_HZ].float_list.value[0]


def test_the_frames_are_not_read_for_the_index(tmp_path, monkeypatch):
    write_small_shards(tmp_path, [2000])
    manifest = read_manifest(tmp_path)
    (file,) = shard_files(tmp_path, manifest, "train", cache=True)
    num_read = []

    class CountingFile(io.BytesIO):
        def read(self, size=-1):
            num_read.append(size)
            return super().read(size)

    monkeypatch.setattr("cham_keras.data.reading.shard_file.io.BytesIO", CountingFile)
    index_shards([file], manifest)
    assert sum(num_read) < 400
    assert file.num_bytes > 2000 * 48


def test_whole_numbers_and_texts_of_any_size_are_read():
    values = {"low": -(1 << 63), "high": (1 << 63) - 1, "zero": 0, "minus": -1}
    feature = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        for name, value in values.items()
    }
    text = "ü" * 300
    text_list = tf.train.BytesList(value=[text.encode()])
    feature["text"] = tf.train.Feature(bytes_list=text_list)
    feature["real"] = tf.train.Feature(float_list=tf.train.FloatList(value=[-0.5]))
    example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    layout = ExampleLayout(io.BytesIO(b"before" + example), 6, 6 + len(example))
    assert {name: layout.whole_number(name) for name in values} == values
    assert layout.string("text") == text
    assert layout.real_number("real") == -0.5
    for wrong in (layout.string, layout.values_of_one_size, layout.real_number):
        with pytest.raises(UnusualRecordError, match="it has no proper `low`"):
            wrong("low")


def test_any_bytes_are_an_example_or_said_to_be_none():
    generator = np.random.default_rng(0)
    example = serialized_example()
    for _ in range(300):
        content = bytearray(example)
        for place in generator.integers(0, len(content), 3):
            content[place] = generator.integers(0, 256)
        try:
            layout = ExampleLayout(io.BytesIO(bytes(content)), 0, len(content))
            layout.whole_number("n")
            layout.values_of_one_size("frames")
        except UnusualRecordError:
            pass  # any other error fails the test


def serialized_example() -> bytes:
    feature = {
        "n": tf.train.Feature(int64_list=tf.train.Int64List(value=[3])),
        "frames": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"abc"] * 3)),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def in_another_order(example) -> bytes:
    """The same example with its features the other way round, and one that is not known."""
    parts = []
    for key in sorted(example.features.feature, reverse=True):
        features = tf.train.Features(feature={key: example.features.feature[key]})
        parts.append(tf.train.Example(features=features).features.SerializeToString())
    other = {"other": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))}
    parts.append(tf.train.Features(feature=other).SerializeToString())
    features = tf.train.Features.FromString(b"".join(parts))
    assert len(features.feature) == len(parts)
    content = b"".join(parts)
    return b"\n" + header_of_value(len(content))[1:] + content


def test_features_may_stand_in_another_order(shards):
    expected = [place.clip for place in index_of(shards)]
    rewrite(shards, [in_another_order(example) for example in examples(shards)[2:]])
    places = index_of(shards)
    assert [place.clip for place in places] == expected
    assert_windows_are_whole(shards)


def test_a_record_of_another_form_is_said_to_be_one(shards):
    records = []
    for example in examples(shards)[2:]:
        numbers = example.features.feature[schema.CLIP_NUM_FRAMES].int64_list
        numbers.value.append(7)
        records.append(example.SerializeToString(deterministic=True))
    rewrite(shards, records)
    sentence = (
        f"Shard {shards / SHARD}, record 0, must have the form .* no single `clip/num_frames`"
    )
    with pytest.raises(UnusualRecordError, match=sentence):
        index_of(shards)


def test_frames_of_different_sizes_are_no_index(shards):
    example = examples(shards)[3]
    frames = example.features.feature[schema.FRAMES_FEATURES].bytes_list.value
    frames[2], frames[3] = frames[2][:-1], frames[3] + b"1"  # the sum stays
    rewrite(shards, [examples(shards)[2].SerializeToString(), example.SerializeToString()])
    index_of(shards)  # headers in the middle are looked at when the frames are read
    with pytest.raises(tf.errors.InvalidArgumentError, match="record 1, cannot be read"):
        list(clip_windows(shards, "train", 5, 4))
    frames[4] += b"1"
    assert_sizes_differ(shards, example)
    frames[4] = frames[4][:-1]
    frames[3] = frames[3][:-1]
    frames[2] = frames[2][:-1]  # the first and the last are well
    assert_sizes_differ(shards, example)


def assert_sizes_differ(shards, example) -> None:
    rewrite(shards, [examples(shards)[2].SerializeToString(), example.SerializeToString()])
    with pytest.raises(UnusualRecordError, match="record 1, .* differ in size"):
        index_of(shards)


def test_what_stands_behind_the_last_record_is_no_index(shards, caplog):
    records = [example.SerializeToString() for example in examples(shards)[2:]]
    rewrite(shards, [*records, records[0]])
    with pytest.raises(UnusualRecordError, match="must end behind its record 1. Received: .* more"):
        index_of(shards)
    # Such shards are read in order, and the log says so.
    assert [clip.num_frames for clip in clips_in_split(shards, "train")] == FRAMES_OF_CLIPS
    assert "The shards are read from beginning to end" in caplog.text
    assert_windows_are_whole(shards)


def assert_windows_are_whole(shards) -> None:
    for inputs, _, clip_index in clip_windows(shards, "train", 8, 1):
        clip = int(clip_index[0])
        expected = features_of_clip(clip, FRAMES_OF_CLIPS[clip])
        length = FRAMES_OF_CLIPS[clip]
        np.testing.assert_array_equal(inputs["features"][0, :length], expected)


def test_compressed_shards_are_no_index(shards):
    records = [example.SerializeToString() for example in examples(shards)[2:]]
    rewrite(shards, records, options="GZIP")
    with pytest.raises(ValueError, match=f"Shard {shards / SHARD}, record 0, cannot be read"):
        index_of(shards)


def test_scales_that_do_not_fit_are_named(tmp_path):
    write_small_shards(tmp_path, FRAMES_OF_CLIPS, feature_dtype="int8")
    example = examples(tmp_path)[3]
    del example.features.feature[schema.FRAMES_SCALES].bytes_list.value[-1]
    rewrite(tmp_path, [examples(tmp_path)[2].SerializeToString(), example.SerializeToString()])
    with pytest.raises(ValueError, match="record 1, holds 4 times 16 bytes of scales: each of its"):
        index_of(tmp_path)
    with pytest.raises(tf.errors.InvalidArgumentError, match="record 1, holds 4 scales: each"):
        list(clip_windows(tmp_path, "train", 5, 4, reading="sequential"))
