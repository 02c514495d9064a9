"""`cham explain` from end to end, and how clips are chosen."""

import pytest

from cham_keras.attention import explain_split, explain_video
from cham_keras.attention.clip_choice import spread_over_classes
from cham_keras.cli.explain import explain
from cham_keras.data import (
    Clip,
    ClipList,
    ClipRecord,
    clips_in_split,
    extract,
    load_backbone,
    probe_video,
)


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
    explain(tiny_run.run.folder, shards=tiny_run.shards, num_clips=2)
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
        explain(tiny_run.run.folder, shards=shards, video=video)
