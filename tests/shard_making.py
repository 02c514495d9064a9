"""Tiny shards whose classes can be told apart, for the tests of what reads shards."""

import numpy as np

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.shards.shards import ClipFeatures, write_shards

CLASSES = ("brighter", "darker", "steady")
FEATURE_SHAPE = (3, 4, 5)
BACKBONE = BackboneSpec(
    name="filter_bank",
    weights="none",
    weights_sha256=None,
    image_size=112,
    feature_shape=FEATURE_SHAPE,
    preprocessing="none",
)


def make_clip(label, index, split, rng, num_frames=None):
    """A clip whose first channel rises, falls or stays over time."""
    num_frames = num_frames or int(rng.integers(6, 10))
    slope = (1.0, -1.0, 0.0)[label]
    features = rng.normal(scale=0.1, size=(num_frames, *FEATURE_SHAPE))
    features[..., 0] += slope * np.linspace(-1, 1, num_frames)[:, None, None]
    return ClipFeatures(
        id=f"{CLASSES[label]}/{split}{index}.mp4",
        split=split,
        label=label,
        group=f"{split}{index // 2}",
        frame_rate_hz=10.0,
        features=features.astype("float32"),
    )


def make_shards(folder, clips_per_class=None, num_frames=None, backbone=BACKBONE, seed=0):
    """Writes shards with the classes of `CLASSES` and returns their folder."""
    rng = np.random.default_rng(seed)
    counts = clips_per_class or {"train": 6, "validation": 2, "test": 3}
    clips = [
        make_clip(label, index, split, rng, num_frames)
        for split, count in counts.items()
        for index in range(count)
        for label in range(len(CLASSES))
    ]
    write_shards(folder, clips, classes=CLASSES, backbone=backbone, feature_dtype="float32")
    return folder
