"""Which frames of a clip make a sample, by the arguments of `clip_dataset`.

Comes in: the clip's number of frames, and which epoch and clip it is. Goes out: the
indices. `random_access_clips` takes them in NumPy, `sequential_clips` in TensorFlow;
they are the same.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from cham_keras.data.reading import frame_sampling
from cham_keras.data.reading.stateless_random import random_numbers

#: Stands in the place of a frame where a clip has none.
NO_FRAME = -1
#: What `targets` holds there.
PADDING_TARGET = -1

#: Streams of random numbers of one seed and epoch, which must not meet.
ORDER_STREAM, FRAMES_STREAM = 0, 1


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a clip make a sample.

    Attributes:
        num_frames: T.
        sampling: "random", "uniform" or "all_frames".
        repeat_last: whether a clip of fewer frames repeats its last one.
        seed: seed of the data set.
    """

    num_frames: int
    sampling: str
    repeat_last: bool
    seed: int

    @property
    def is_random(self) -> bool:
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
        elif self.is_random:
            numbers = random_numbers((self.seed, epoch, FRAMES_STREAM, clip), num_frames)
            indices = np.sort(np.argpartition(numbers, num_frames - wanted)[-wanted:])
        else:
            indices = (2 * np.arange(wanted) + 1) * num_frames // (2 * wanted)
        filling = indices[-1] if self.repeat_last else NO_FRAME
        return np.concatenate([indices, np.full(wanted - len(indices), filling)])

    def frames_in_graph(
        self, num_frames: tf.Tensor, epoch: tf.Tensor, clip: tf.Tensor, window: tf.Tensor
    ) -> tf.Tensor:
        """The same in TensorFlow, from scalar integers to (at most T,) int32 without -1."""
        if self.has_windows:
            return frame_sampling.window(num_frames, self.num_frames, window)
        if self.is_random:
            words = (self.seed, epoch, FRAMES_STREAM, clip)
            seed = tf.stack([tf.cast(word, tf.int64) for word in words])
            indices = frame_sampling.random_subset(num_frames, self.num_frames, seed)
        else:
            indices = frame_sampling.uniform(num_frames, self.num_frames)
        if self.repeat_last:
            indices = frame_sampling.repeat_last(indices, self.num_frames)
        return indices
