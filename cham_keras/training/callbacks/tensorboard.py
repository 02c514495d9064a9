"""TensorBoard: scalars of each epoch, the model's graph, and where the model looks.

Comes in: Keras's figures and the model. Goes out: `tensorboard/` in the run folder.
"""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cham_keras.data import clip_dataset
from cham_keras.models import with_attention
from cham_keras.paths import AnyPath
from cham_keras.runs import RunSettings
from cham_keras.training.input_wait import InputWait

# A long fit has thousands of epochs; so many sets of pictures at the most.
_MOST_EPOCHS_WITH_MAPS = 100
_NUM_CLIPS, _MAPS_A_CLIP = 3, 8
# A position of a map becomes so many pixels in height and width.
_PIXELS = 8


class TensorBoardLog(keras.callbacks.TensorBoard):
    """Keras's log with the learning rate, and the share of time that steps waited for input.

    Args:
        folder: where the logs lie.
        wait: measures how long the model waits for input.
        write_graph: whether to write the graph of layers: once a run.
    """

    def __init__(self, folder: Path, wait: InputWait, write_graph: bool):
        super().__init__(folder, write_graph=write_graph)
        self._wait = wait
        self._before = (0.0, 0.0)

    def on_epoch_begin(self, epoch, logs=None):
        """Begins to measure."""
        super().on_epoch_begin(epoch, logs)
        self._before = (self._wait.training_seconds, self._wait.seconds)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch's scalars, with the optimizer's own learning rate."""
        share = self._wait.share_since(*self._before)
        super().on_epoch_end(epoch, {**logs, "input_wait": share})


class AttentionLog(keras.callbacks.Callback):
    """Pictures of the attention maps of a few validation clips, the same ones each time.

    A clip is a row: some of its frames' maps in the order of time, each position a square,
    white where the model looks most in this clip.

    Args:
        folder: where the logs lie.
        shards: the folder of shards, with a split `validation`.
        settings: of the run.
        num_epochs: epochs of the fit; a long one gets pictures of some epochs only.
    """

    def __init__(self, folder: Path, shards: AnyPath | str, settings: RunSettings, num_epochs: int):
        super().__init__()
        self._every = math.ceil(num_epochs / _MOST_EPOCHS_WITH_MAPS)
        self._folder = folder / "attention"
        # Drawn, for neighbours tend to be of one class. They are read again for each picture,
        # which costs little beside the memory to keep them.
        self._clips = clip_dataset(
            shards,
            "validation",
            settings.num_frames,
            batch_size=_NUM_CLIPS,
            shuffle=True,
            repeat=True,
            seed=settings.seed,
            short_clips=settings.data.short_clips,
        ).take(1)
        self._maps_model: Any = None
        self._writer: Any = None

    def on_epoch_end(self, epoch, logs=None):
        """Writes the pictures."""
        if epoch % self._every:
            return
        if self._maps_model is None:
            self._maps_model = with_attention(self.model)
            self._writer = tf.summary.create_file_writer(str(self._folder))
        for inputs, _ in self._clips:
            numbers = {name: value.numpy() for name, value in inputs.items()}
            # Each device of a MirroredStrategy computes all of them.
            maps = self._maps_model.predict_on_batch(numbers)["attention"][:_NUM_CLIPS]
            rows = [
                attention_row(of_clip[:length])
                for of_clip, length in zip(maps, numbers["lengths"], strict=True)
            ]
            with self._writer.as_default(step=epoch):
                for number, row in enumerate(rows):
                    tf.summary.image(f"attention/clip_{number}", row[None, :, :, None])
        self._writer.flush()


def attention_row(maps: np.ndarray) -> np.ndarray:
    """Attention maps of a clip as one small picture.

    Args:
        maps: `(time, height, width)`.

    Returns:
        float32 `(height * 8, width * 8 * maps + gaps)` from 0 to 1: evenly spaced maps side
        by side, a grey line between two.

    Example:

    >>> attention_row(np.ones((2, 3, 4), "float32")).shape
    (24, 65)
    """
    number = min(len(maps), _MAPS_A_CLIP)
    chosen = maps[(2 * np.arange(number) + 1) * len(maps) // (2 * number)]
    chosen = chosen.astype(np.float32) / max(float(chosen.max()), 1e-12)
    large = chosen.repeat(_PIXELS, axis=1).repeat(_PIXELS, axis=2)
    gap = np.full((large.shape[1], 1), 0.5, np.float32)
    parts = [part for each in large for part in (gap, each)]
    return np.concatenate(parts[1:], axis=1)
