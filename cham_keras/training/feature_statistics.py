"""Mean and variance of what training feeds a model, channel by channel.

Comes in: shards. Goes out: what a model with `standardize=True` subtracts and divides by.
`train` calls it before the first step of a new run; a checkpoint holds the result.
"""

import numpy as np

from cham_keras.data import clip_dataset, clips_in_split, read_manifest, shard_errors_named
from cham_keras.models.temporal_differences import TemporalDifferences
from cham_keras.paths import AnyPath
from cham_keras.progress import track
from cham_keras.training.bad_batches import broken_features


def feature_statistics(
    shards: AnyPath | str,
    num_frames: int,
    temporal_differences: str = "none",
    split: str = "train",
) -> tuple[np.ndarray, np.ndarray]:
    """Reads evenly spaced frames of every clip once, and adds up in float64.

    Args:
        shards: the folder of shards.
        num_frames: the most frames of a clip; a shorter clip gives those that it has.
        temporal_differences: as the model has them; "none" for the features themselves.
        split: the split whose clips count.

    Returns:
        mean and variance over frames and positions, both float32 (channels,); of the features
        and their differences, (2 * channels,).

    Raises:
        NonFiniteFeaturesError: a clip holds NaN or infinite features; it is named.
        FileNotFoundError: a shard is missing.
        ValueError: a record is damaged.
    """
    num_clips = read_manifest(shards).split(split).clips
    # A clip at a time: float64 of a whole batch would need as much memory as two of them.
    clips = clip_dataset(shards, split, num_frames, batch_size=1, short_clips="pad")
    differences = None
    if temporal_differences != "none":
        differences = TemporalDifferences(temporal_differences, dtype="float32")
    count = 0
    mean = np.zeros(())
    squares = np.zeros(())  # sum of squared distances to the mean
    with shard_errors_named():
        for number, (inputs, _) in enumerate(track(clips, "feature statistics", num_clips)):
            length = int(inputs["lengths"][0])
            features = inputs["features"][0, :length].numpy().astype(np.float64)
            if not np.isfinite(features).all():
                clip = clips_in_split(shards, split)[number]
                raise broken_features("features to standardize", [clip.id])
            if differences is not None:
                features = np.asarray(differences(features[None]), np.float64)[0]
            # (time, height, width, channels) -> (values, channels)
            values = features.reshape(-1, features.shape[-1])
            mean_of_clip = values.mean(axis=0)
            squares_of_clip = np.square(values - mean_of_clip).sum(axis=0)
            # Chan, Golub and LeVeque: no small difference of large sums.
            distance, total = mean_of_clip - mean, count + len(values)
            mean = mean + distance * len(values) / total
            squares = squares + squares_of_clip + distance**2 * count * len(values) / total
            count = total
    return mean.astype(np.float32), (squares / count).astype(np.float32)
