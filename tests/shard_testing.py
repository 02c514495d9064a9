"""Small shards for tests: features whose numbers tell the clip and the frame they are of."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.shards.clip_record import ClipFeatures
from cham_keras.data.shards.manifest import Manifest
from cham_keras.data.shards.shards import write_shards

SPEC = BackboneSpec(
    name="filter_bank",
    weights="none",
    weights_sha256=None,
    image_size=112,
    feature_shape=(2, 3, 4),
    preprocessing="none",
)
CLASSES = ("hop", "run", "skip")


def features_of_clip(clip: int, num_frames: int) -> np.ndarray:
    """(num_frames, 2, 3, 4) float32, small whole numbers that float16 holds exactly."""
    position = np.arange(24).reshape(2, 3, 4)
    frame = np.arange(num_frames)[:, None, None, None]
    return (position + 32 * frame + 0.0).astype("float32") * (1 if clip % 2 else -1) + clip


def clip_features(clip: int, num_frames: int, split: str = "train") -> ClipFeatures:
    return ClipFeatures(
        id=f"{split}/{clip}.mp4",
        split=split,
        label=clip % len(CLASSES),
        group=f"group-{split}-{clip}",
        frame_rate_hz=12.5,
        features=features_of_clip(clip, num_frames),
    )


def write_small_shards(
    folder: Path, num_frames: list[int], split: str = "train", **arguments
) -> Manifest:
    """Writes one clip for each number of frames, two clips a shard."""
    clips = [clip_features(clip, frames, split) for clip, frames in enumerate(num_frames)]
    defaults = {"classes": CLASSES, "backbone": SPEC, "clips_per_shard": 2}
    return write_shards(folder, clips, **(defaults | arguments))


def examples(folder: Path, split: str = "train") -> list:
    """The records of a split as `tf.train.Example`, in their order."""
    paths = sorted(str(path) for path in folder.glob(f"{split}-*.tfrecord"))
    records = tf.data.TFRecordDataset(paths).as_numpy_iterator()
    return [tf.train.Example.FromString(record) for record in records]
