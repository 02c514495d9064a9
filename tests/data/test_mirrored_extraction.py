"""`cham extract --mirrored`: twins of the training clips, of flipped frames, continued like all."""

import numpy as np
import pytest
from extraction_testing import bytes_of, make_clips, small_backbone

from cham_keras.cli.main import run_command
from cham_keras.data import (
    Clip,
    ClipList,
    clip_windows,
    clips_in_split,
    extract,
    load_backbone,
    read_frames,
    read_manifest,
    resplit,
    verify_shards,
    write_clip_list,
)
from cham_keras.data.extraction.extraction import extraction_order
from cham_keras.data.mirrored_clips import mirrored_id


@pytest.fixture(scope="module")
def clip_list(tmp_path_factory):
    return make_clips(tmp_path_factory.mktemp("videos"))


def features_by_id(shards, split) -> dict[str, np.ndarray]:
    clips = clips_in_split(shards, split)
    found = {}
    for inputs, _, clip_index in clip_windows(shards, split, num_frames=20, batch_size=1):
        length = int(inputs["lengths"][0])
        found[clips[int(clip_index[0])].id] = inputs["features"][0, :length].numpy()
    return found


def test_each_training_clip_has_a_twin_of_its_flipped_frames(clip_list, tmp_path):
    backbone = load_backbone("filter_bank", image_size=32)
    shards = tmp_path / "shards"
    manifest = extract(
        clip_list, shards, backbone, mirrored=True, feature_dtype="float32", clips_per_shard=5
    )
    records = {record.id: record for record in clips_in_split(shards, "train")}
    assert manifest.split("train").clips == len(records) == 12
    features = features_by_id(shards, "train")
    for clip in clip_list.clips_of_split("train"):
        if clip.id not in records:
            continue  # the damaged one
        one, other = records[clip.id], records[mirrored_id(clip.id)]
        assert (one.label, one.group, one.num_frames) == (
            other.label,
            other.group,
            other.num_frames,
        )
        frames = np.stack(list(read_frames(clip_list.path_of(clip), resizing=backbone.resizing)))
        expected = backbone.features_of_resized(frames[:, :, ::-1])
        np.testing.assert_allclose(features[mirrored_id(clip.id)], expected, atol=1e-4)
        # Which is another thing than the flipped features.
        difference = np.abs(features[mirrored_id(clip.id)] - features[clip.id][:, :, ::-1]).max()
        assert difference > 1e-2
    for split in ("validation", "test"):
        assert not any("#mirrored" in clip.id for clip in clips_in_split(shards, split))
    damaged = [clip.path for clip in manifest.unreadable]
    assert sorted(damaged) == [min(damaged), mirrored_id(min(damaged))]
    assert verify_shards(shards) == []


def test_twins_do_not_change_the_order_of_the_others(clip_list):
    mixed = extraction_order(clip_list, mirrored=True)
    originals = [clip for clip in mixed if "#mirrored" not in clip.id]
    assert originals == extraction_order(clip_list)
    ids = [clip.id for clip in mixed]
    assert len(set(ids)) == len(ids) == len(originals) + len(clip_list.clips_of_split("train"))
    distances = [ids.index(mirrored_id(clip.id)) - ids.index(clip.id) for clip in originals[:7]]
    assert any(abs(distance) > 1 for distance in distances)  # mixed, not one behind the other


class InterruptedBackbone:
    """A backbone that is interrupted in one of its batches."""

    def __init__(self, backbone, batch: int) -> None:
        self._backbone, self._left = backbone, batch

    def __getattr__(self, name):
        return getattr(self._backbone, name)

    def features_of_resized(self, frames):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return self._backbone.features_of_resized(frames)


def test_an_interrupted_extraction_with_twins_gives_the_same_bytes(clip_list, tmp_path):
    backbone = small_backbone()
    which = {"mirrored": True, "clips_per_shard": 4}
    extract(clip_list, tmp_path / "whole" / "shards", backbone, **which)
    expected = bytes_of(tmp_path / "whole")
    for batch in (1, 5, 9, 14):
        out = tmp_path / str(batch) / "shards"
        with pytest.raises(KeyboardInterrupt):
            extract(clip_list, out, InterruptedBackbone(backbone, batch), **which)
        with pytest.raises(ValueError, match=r"another command began: clips, mirrored differ\(s\)"):
            extract(clip_list, out, backbone, clips_per_shard=4)
        extract(clip_list, out, backbone, **which)
        assert bytes_of(out.parent) == expected


def test_a_view_uses_twins_of_what_it_trains_on_only(clip_list, tmp_path):
    shards = tmp_path / "shards"
    extract(clip_list, shards, small_backbone(), mirrored=True)
    stored = [clip.id for clip in clips_in_split(shards, "train") if "#" not in clip.id]
    clips = [
        Clip(clip.path, clip.label, "test" if i % 3 == 0 else "train", clip.group)
        for i, clip in enumerate(c for c in clip_list.clips if c.id in stored)
    ]
    resplit(shards, ClipList(clip_list.root, clip_list.classes, clips), tmp_path / "view")
    sides = {s: [c.id for c in clips_in_split(tmp_path / "view", s)] for s in ("train", "test")}
    originals = [clip.id for clip in clips if clip.split == "train"]
    assert sorted(sides["train"]) == sorted([*originals, *map(mirrored_id, originals)])
    assert sorted(sides["test"]) == sorted(clip.id for clip in clips if clip.split == "test")
    assert verify_shards(tmp_path / "view") == []


def test_a_clip_with_the_id_of_a_twin_is_refused(clip_list):
    twin = Clip("a.mp4#mirrored", "hop", "train", "b")
    listed = ClipList(clip_list.root, ("hop", "run"), [Clip("a.mp4", "hop", "train", "a"), twin])
    assert len(extraction_order(listed)) == 2
    with pytest.raises(ValueError, match=r"twin. Received: a.mp4#mirrored. Rename its file"):
        extraction_order(listed, mirrored=True)


def test_the_option_is_for_this_machine_only(clip_list, tmp_path, capsys):
    write_clip_list(clip_list, tmp_path / "clips.json")
    arguments = ["extract", str(tmp_path), "--backbone", "filter_bank", "--image-size", "32"]
    arguments += ["--out", str(tmp_path / "shards"), "--mirrored"]
    assert run_command([*arguments, "--runner", "DirectRunner"]) == 2
    assert "`--mirrored` goes without --runner" in capsys.readouterr().err
    assert run_command(arguments) == 0
    assert read_manifest(tmp_path / "shards").split("train").clips == 12
