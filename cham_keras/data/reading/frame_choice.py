"""Which frames of a clip make a sample, and whether mirrored, by the arguments of `clip_dataset`.

Comes in: the clip's number of frames, and which epoch and clip it is. Goes out: the
indices, and one decision. `random_access_clips` takes them in NumPy, `sequential_clips` in
TensorFlow; they are the same.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cham_keras.data.reading import frame_sampling
from cham_keras.data.reading.stateless_random import random_numbers, random_tensor

#: Stands in the place of a frame where a clip has none.
NO_FRAME = -1
#: What `targets` holds there.
PADDING_TARGET = -1

#: Streams of random numbers of one seed and epoch, which must not meet.
ORDER_STREAM, FRAMES_STREAM, MIRROR_STREAM = 0, 1, 2


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a clip make a sample.

    Attributes:
        num_frames: T.
        sampling: "random", "uniform" or "all_frames".
        repeat_last: whether a clip of fewer frames repeats its last one.
        seed: seed of the data set.
        mirror: whether every other clip, by chance, is mirrored.
    """

    num_frames: int
    sampling: str
    repeat_last: bool
    seed: int
    mirror: bool = False

    @property
    def is_random(self) -> bool:
        """Whether another epoch has other frames, or mirrors other clips."""
        return self.has_random_frames or self.mirror

    @property
    def has_random_frames(self) -> bool:
        """Whether another epoch has other frames."""
        return self.sampling == "random"

    @property
    def has_windows(self) -> bool:
        """Whether a clip makes as many samples as its frames need."""
        return self.sampling == "all_frames"

    def frames(self, num_frames: int, epoch: int, clip: int, window: int) -> np.ndarray:
        """Indices of the frames.

        Args:
            num_frames: n, of the clip.
            epoch: number of the epoch.
            clip: the clip's position in its split.
            window: which of the clip's windows; counts where it has windows.

        Returns:
            (T,) int64, -1 behind the last one where the clip has no more.

        Example:
        >>> FrameChoice(4, "uniform", repeat_last=False, seed=0).frames(3, 0, 0, 0).tolist()
        [0, 1, 2, -1]
        """
        wanted = self.num_frames
        if self.has_windows:
            indices = np.arange(window, num_frames, -(-num_frames // wanted))
        elif num_frames <= wanted:
            indices = np.arange(num_frames)
        elif self.has_random_frames:
            numbers = random_numbers((self.seed, epoch, FRAMES_STREAM, clip), num_frames)
            indices = np.sort(np.argpartition(numbers, num_frames - wanted)[-wanted:])
        else:
            indices = (2 * np.arange(wanted) + 1) * num_frames // (2 * wanted)
        filling = indices[-1] if self.repeat_last else NO_FRAME
        return np.concatenate([indices, np.full(wanted - len(indices), filling)])

    def is_mirrored(self, epoch: int, clip: int) -> bool:
        """Whether a clip is mirrored in an epoch: one decision for all of its frames.

        Args:
            epoch: number of the epoch.
            clip: the clip's position in its split.

        Example:
        >>> choice = FrameChoice(4, "random", repeat_last=True, seed=0, mirror=True)
        >>> sum(choice.is_mirrored(epoch, clip=7) for epoch in range(1000))
        525
        """
        if not self.mirror:
            return False
        return bool(random_numbers((self.seed, epoch, MIRROR_STREAM, clip), 1)[0] >> 63)

    def is_mirrored_in_graph(self, epoch: tf.Tensor, clip: tf.Tensor) -> tf.Tensor:
        """The same in TensorFlow, from scalar integers to a scalar bool; `mirror` must be true."""
        words = (self.seed, epoch, MIRROR_STREAM, clip)
        numbers = random_tensor(tf.stack([tf.cast(word, tf.int64) for word in words]), 1)
        # What it gives are the upper 63 bits; `is_mirrored` looks at the first of 64.
        return numbers[0] >= 1 << 62

    def frames_in_graph(
        self, num_frames: tf.Tensor, epoch: tf.Tensor, clip: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor:
        """The same in TensorFlow, from scalar integers to (at most T,) int32 without -1."""
        if self.has_windows:
            return frame_sampling.window(num_frames, self.num_frames, window)
        if self.has_random_frames:
            words = (self.seed, epoch, FRAMES_STREAM, clip)
            seed = tf.stack([tf.cast(word, tf.int64) for word in words])
            indices = frame_sampling.random_subset(num_frames, self.num_frames, seed)
        else:
            indices = frame_sampling.uniform(num_frames, self.num_frames)
        if self.repeat_last:
            indices = frame_sampling.repeat_last(indices, self.num_frames)
        return indices
