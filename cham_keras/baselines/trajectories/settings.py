"""The settings of the trajectory-based method; `cham trajectories` makes options of them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt

from cham_keras.settings import settings

Channel = Literal["global", "local", "hog", "hof", "mbh"]


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("must hold each name once")
    return names


Channels = Annotated[tuple[Channel, ...], Field(min_length=1), AfterValidator(_each_once)]


@settings
class TrackingSettings:
    """How points are followed and described; what is kept of a clip depends on these."""

    frame_stride: PositiveInt = 1
    """1 takes every frame, 2 every other one."""
    max_frames: PositiveInt | None = None
    """Take at most this many frames of a clip, after the stride."""
    longest_side_pixels: PositiveInt = 320
    """Larger frames are made as small as this; smaller ones stay as they are."""
    grid_pixels: PositiveInt = 5
    """Distance of the points that are followed."""
    num_steps: PositiveInt = 15
    """L, the steps of a trajectory."""
    start_every: PositiveInt = 15
    """New trajectories start every so many frames."""
    reference_clusters: PositiveInt = 3
    """Clusters of motions, of which the largest is the global reference point."""
    neighbourhood_pixels: PositiveFloat = 32.0
    """Radius in which a trajectory's neighbours are its local reference point."""
    channels: Channels = ("global", "local", "hog", "hof", "mbh")
    """What a trajectory is described by."""
    trajectories_per_clip: PositiveInt = 2000
    """Keep at most this many of a clip, drawn at random."""
    seed: NonNegativeInt = 0
    """Seed of the clusters and draws."""


@settings
class TrajectorySettings:
    """The trajectory-based method."""

    tracking: TrackingSettings = TrackingSettings()
    """How points are followed and described."""
    num_words: PositiveInt = 500
    """Words of each channel's codebook."""
    codebook_descriptors: PositiveInt = 100_000
    """About as many descriptors of training clips make a codebook."""
    num_folds: PositiveInt = 5
    """Folds of the cross-validation over groups that chooses C and the probabilities."""
    seed: NonNegativeInt = 0
    """Seed of codebooks, folds and intervals."""
