"""Shards and another split of their clips, for the tests of views."""

from pathlib import Path

from shard_testing import CLASSES, SPEC, clip_features, write_small_shards

from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.shards.shards import write_shards

#: Twelve clips, four a shard: of each shard two to train on, one to validate and one to test on.
FRAMES_OF_CLIPS = [3, 8, 1, 5, 12, 6, 4, 9, 2, 7, 5, 3]
SPLITS_OF_CLIPS = ["train", "test", "train", "validation"] * 3
CLIPS_OF_SHARD = {"train": 2, "validation": 1, "test": 1}


def write_source(folder: Path, **arguments) -> Path:
    """Shards that hold all clips in the split train."""
    write_small_shards(folder, FRAMES_OF_CLIPS, **({"clips_per_shard": 4} | arguments))
    return folder


def listed(splits=SPLITS_OF_CLIPS, groups=None, classes=CLASSES) -> ClipList:
    """A clip list that gives the clips of the source other splits; None leaves a clip out."""
    clips = [
        Clip(
            f"train/{clip}.mp4",
            CLASSES[clip % len(CLASSES)],
            split,
            groups[clip] if groups else f"group-train-{clip}",
        )
        for clip, split in enumerate(splits)
        if split is not None
    ]
    return ClipList(Path("/videos"), classes, clips)


def write_real_shards(folder: Path, split: str, **arguments) -> Path:
    """The clips of one split as shards of their own, in the order of the source."""
    clips = [
        clip_features(clip, frames)
        for clip, frames in enumerate(FRAMES_OF_CLIPS)
        if SPLITS_OF_CLIPS[clip] == split
    ]
    defaults = {"classes": CLASSES, "backbone": SPEC, "clips_per_shard": CLIPS_OF_SHARD[split]}
    write_shards(folder, clips, **(defaults | arguments))
    return folder
