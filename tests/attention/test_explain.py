"""`cham explain` from end to end, and how clips are chosen."""

import dataclasses
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cham_keras.attention import AttentionReader, explain_folder, explain_split, explain_video
from cham_keras.attention.clip_choice import spread_over_classes
from cham_keras.attention.wording import when
from cham_keras.cli.explain import explain
from cham_keras.cli.locations import short_names
from cham_keras.data import (
    Clip,
    ClipList,
    ClipRecord,
    clips_in_split,
    extract,
    load_backbone,
    probe_video,
    read_frames,
)
from cham_keras.evaluation.evaluate import clip_probabilities


def records(*labels):
    return [
        ClipRecord(id=f"{number}", label=label, group="", num_frames=9, frame_rate_hz=25.0)
        for number, label in enumerate(labels)
    ]


def test_as_many_classes_as_possible_are_chosen_and_always_the_same_clips():
    clips = records(0, 0, 1, 1, 2, 2)
    assert [clip.id for clip in spread_over_classes(clips, 3)] == ["0", "2", "4"]
    assert [clip.id for clip in spread_over_classes(clips, 5)] == ["0", "2", "4", "1", "5"]
    assert [clip.id for clip in spread_over_classes(clips, 1)] == ["2"]
    assert [clip.id for clip in spread_over_classes(records(1, 1, 1, 0), 4)] == ["3", "0", "1", "2"]


@pytest.mark.parametrize("num_clips", [0, 7])
def test_more_clips_than_there_are_cannot_be_chosen(num_clips):
    with pytest.raises(ValueError, match=f"from 1 to 6, .* Received: {num_clips}"):
        spread_over_classes(records(0, 0, 1, 1, 2, 2), num_clips)


def test_the_verb_writes_a_picture_and_a_film_of_each_clip_and_names_them(tiny_run, capsys):
    explain([tiny_run.run.folder], shards=tiny_run.shards, num_clips=2)
    folder = tiny_run.run.folder / "attention"
    written = ["hop-1-attention", "skip-1-attention"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}{end}" for name in written for end in (".mp4", ".png")
    )
    printed = capsys.readouterr().out
    for name in written:
        assert probe_video(folder / f"{name}.mp4").num_frames == 4
        assert f"{folder / name}.png" in printed
        assert f"{folder / name}.mp4" in printed
    assert "(class: hop)" in printed


def test_mirrored_twins_have_no_video_and_are_passed_over(tiny_run, tmp_path):
    clips = [
        Clip(path=f"{label}/0.mp4", label=label, split="train", group=label)
        for label in tiny_run.run.manifest.classes
    ]
    clip_list = ClipList(tiny_run.clips, tiny_run.run.manifest.classes, tuple(clips))
    shards = tmp_path / "shards"
    extract(clip_list, shards, load_backbone("filter_bank"), frame_stride=2, mirrored=True)
    assert len(clips_in_split(shards, "train")) == 6
    explained = explain_split(tiny_run.run, shards, "train", 3, tmp_path / "out")
    assert [clip.name for clip in explained] == [clip.path for clip in clips]
    with pytest.raises(ValueError, match=r"from 1 to 3, the clips of the split\. Received: 4"):
        explain_split(tiny_run.run, shards, "train", 4, tmp_path / "out")


def test_a_video_of_one_s_own_is_never_written_over(tiny_run, tmp_path):
    video = tmp_path / "mine.mp4"
    content = (tiny_run.clips / "hop" / "1.mp4").read_bytes()
    video.write_bytes(content)
    explained = explain_video(tiny_run.run, video, tmp_path)
    assert explained.true_class is None
    assert explained.predicted_class in tiny_run.run.manifest.classes
    assert 1 / 3 <= explained.probability <= 1
    assert video.read_bytes() == content
    assert {explained.picture, explained.video} < set(tmp_path.iterdir())


def test_videos_that_have_moved_are_found_where_one_says(tiny_run, tmp_path):
    with pytest.raises(FileNotFoundError, match="no video .* folder that --clips-root names"):
        explain_split(tiny_run.run, tiny_run.shards, out=tmp_path / "out", clips_root=tmp_path)
    assert not (tmp_path / "out").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "1.mp4").write_bytes((tiny_run.clips / "hop" / "1.mp4").read_bytes())
    [explained] = explain_split(
        tiny_run.run, tiny_run.shards, num_clips=1, out=tmp_path / "out", clips_root=tmp_path
    )
    assert explained.name == "run/1.mp4"
    assert explained.picture == tmp_path / "out" / "run-1-attention.png"


@pytest.mark.parametrize(("arguments", "received"), [({}, "neither"), ({"shards": 1}, "both")])
def test_the_verb_takes_shards_or_a_video(tiny_run, arguments, received):
    video = tiny_run.clips / "hop" / "1.mp4" if arguments else None
    shards = tiny_run.shards if arguments else None
    with pytest.raises(ValueError, match=f"Either --shards or --video .* Received: {received}"):
        explain([tiny_run.run.folder], shards=shards, video=video)


def test_several_runs_stand_side_by_side_in_a_picture_and_a_film(tiny_run, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(tiny_run.run.folder, other)
    explain([tiny_run.run.folder, other], shards=tiny_run.shards, num_clips=1, out=tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["run-1-comparison.mp4", "run-1-comparison.png"]
    assert probe_video(tmp_path / "out" / "run-1-comparison.mp4").num_frames == 4
    printed = capsys.readouterr().out
    assert re.search(r"run/1.mp4: run: (\w+), \d+%, other: \1, \d+% \(class: run\)", printed)


def test_a_run_is_not_compared_with_itself(tiny_run):
    folder = tiny_run.run.folder
    with pytest.raises(ValueError, match="must be given once. Received: .*run twice"):
        explain([folder, folder], video=tiny_run.clips / "hop" / "1.mp4")


def test_runs_of_one_name_are_told_apart_by_what_differs():
    names = short_names([Path(f"runs/{name}/seed-0") for name in ("cham", "conv", "fc")])
    assert names == ["cham", "conv", "fc"]
    assert short_names([Path("a/b/c"), Path("a/c"), Path("d/c")]) == ["a/b", "a", "d"]


def test_runs_of_other_classes_are_not_compared(tiny_run, tmp_path):
    run = dataclasses.replace(
        tiny_run.run, manifest=dataclasses.replace(tiny_run.run.manifest, classes=("a", "b", "c"))
    )
    with pytest.raises(ValueError, match="must know the same classes. Received: hop, .* of two"):
        explain_video({"one": tiny_run.run, "two": run}, tiny_run.clips / "hop" / "1.mp4", tmp_path)


def test_all_videos_of_a_folder_are_explained_once(tiny_run, tmp_path):
    folder = tmp_path / "videos"
    shutil.copytree(tiny_run.clips, folder, ignore=shutil.ignore_patterns("0.mp4"))
    (folder / ".hidden").mkdir()
    shutil.copy(folder / "hop" / "1.mp4", folder / ".hidden" / "1.mp4")
    (folder / "notes.txt").write_text("no video")
    for _ in range(2):  # what lies there from the first time is no video
        explain([tiny_run.run.folder], video=folder, out=folder)
        pictures = sorted(path.name for path in folder.glob("*-attention.png"))
        names = [f"{label}-{number}" for label in ("hop", "run", "skip") for number in (1, 2)]
        assert pictures == [f"{name}-attention.png" for name in names]
        assert len(list(folder.glob("*-attention.mp4"))) == 6
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no video in .*empty"):
        explain_folder(tiny_run.run, tmp_path / "empty")


def test_a_folder_with_a_broken_file_explains_the_others_and_names_it(tiny_run, tmp_path):
    content = (tiny_run.clips / "hop" / "1.mp4").read_bytes()
    (tmp_path / "pay-attention.mp4").write_bytes(content)  # a name of the user's own
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"1 of 2 that are none: bad.mp4: .* the 1 others .*/out"):
        explain_folder(tiny_run.run, tmp_path, out)
    assert {path.name for path in out.iterdir()} == {
        "pay-attention-attention.png",
        "pay-attention-attention.mp4",
    }


def test_videos_deep_in_folders_with_long_names_are_drawn(tiny_run, tmp_path):
    content = (tiny_run.clips / "hop" / "1.mp4").read_bytes()
    names = ["ä" * 100, "ä" * 99 + "b"]
    for name in names:
        (tmp_path / "videos" / ("d" * 150)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / ("d" * 150) / f"{name}.mp4").write_bytes(content)
    explained = explain_folder(tiny_run.run, tmp_path / "videos", tmp_path / "out")
    assert [Path(of.name).stem for of in explained] == sorted(names)
    assert len({of.picture for of in explained}) == 2
    assert all(of.picture.is_file() and of.video.is_file() for of in explained)


def test_a_rate_that_no_film_has_is_refused_before_anything_is_drawn(tiny_run, tmp_path):
    video = tiny_run.clips / "hop" / "1.mp4"
    with pytest.raises(ValueError, match="`frame_rate_hz` must be from 0.01 to 1000"):
        explain_video(tiny_run.run, video, tmp_path / "out", frame_rate_hz=2000)
    assert not (tmp_path / "out").exists()


def test_a_part_of_a_video_is_shown_as_the_shards_hold_it(tiny_run, tmp_path):
    parts = [
        Clip(path="hop/1.mp4", label="hop", split="train", group="b", end_seconds=0.4),
        Clip(path="hop/1.mp4", label="hop", split="test", group="a", start_seconds=0.4),
    ]
    others = [
        Clip(path=f"{label}/0.mp4", label=label, split="train", group=label)
        for label in ("run", "skip")
    ]
    clip_list = ClipList(tiny_run.clips, tiny_run.run.manifest.classes, (*parts, *others))
    shards = tmp_path / "shards"
    extract(clip_list, shards, load_backbone("filter_bank"), frame_stride=2)
    [explained] = explain_split(tiny_run.run, shards, num_clips=1, out=tmp_path / "out")
    assert explained.name == "hop/1.mp4#t=0.4"
    assert explained.picture.name == "hop-1-0.4s-attention.png"
    run = tiny_run.run
    [expected] = clip_probabilities(run.load_model(), run, shards, "test", 1)
    predicted = run.manifest.classes[int(expected.argmax())]
    assert explained.predictions[""] == (predicted, pytest.approx(expected.max(), abs=1e-5))


def test_a_folder_of_images_is_one_clip_without_times(tiny_run, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, frame in enumerate(read_frames(tiny_run.clips / "hop" / "1.mp4")):
        Image.fromarray(frame).save(folder / f"{number}.png")
    explain([tiny_run.run.folder], video=folder, out=tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["images-attention.mp4", "images-attention.png"]
    reader = AttentionReader(tiny_run.run)
    attention = reader.read(folder)
    of_video = reader.read(tiny_run.clips / "hop" / "1.mp4")
    np.testing.assert_array_equal(attention.frames, of_video.frames)
    assert when(attention, 1) == "frame 4"
    assert when(of_video, 1) == "frame 4, 0.40 s"


def test_the_energy_of_each_layer_s_state_gets_a_row(tiny_run, tmp_path, monkeypatch):
    video = tiny_run.clips / "hop" / "1.mp4"
    attention = AttentionReader(tiny_run.run, layers=True).read(video)
    assert list(attention.layer_maps) == ["layer 1"]
    # Held against the recurrent layer itself.
    model = tiny_run.run.load_model()
    states = keras.Model(model.input, model.get_layer("recurrence").output[0])
    given = []
    reader = AttentionReader(tiny_run.run)
    evaluate = reader.attention_of_features
    monkeypatch.setattr(reader, "attention_of_features", lambda f: given.append(f) or evaluate(f))
    reader.read(video)
    inputs = {"features": given[0][None], "lengths": np.array([4], "int32")}
    energy = (np.asarray(states.predict_on_batch(inputs))[0] ** 2).sum(axis=-1)
    expected = energy / energy.sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(attention.layer_maps["layer 1"], expected, rtol=1e-4)
    heights = []
    for layers in (False, True):
        explained = explain_video(tiny_run.run, video, tmp_path / str(layers), layers=layers)
        with Image.open(explained.picture) as picture:
            heights.append(picture.size[1])
    assert heights[1] > heights[0] + 50
    with pytest.raises(ValueError, match="`layers` must be left out for several runs"):
        explain_video({"a": tiny_run.run, "b": tiny_run.run}, video, tmp_path, layers=True)
