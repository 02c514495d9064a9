"""Why a loss is no finite number: broken features of which clips, or a diverging training.

Comes in: the number of the batch. Goes out: an error that names the step, the clips and what to
do. The batch is read a second time: which clips and frames it holds is a function of the seed
and its number. `callbacks.bad_loss` calls it.
"""

from collections.abc import Iterator

import numpy as np

from cham_keras.data import clips_in_split, read_manifest
from cham_keras.data.reading.frame_choice import FrameChoice
from cham_keras.data.reading.random_access_clips import RandomAccessClips
from cham_keras.data.reading.sequential_clips import SequentialClips
from cham_keras.data.reading.shard_file import shard_files
from cham_keras.data.reading.shard_reader import places_of_clips
from cham_keras.paths import AnyPath
from cham_keras.runs import RunSettings
from cham_keras.training.compilation import learning_rate_at
from cham_keras.training.training_data import batch_size_of_part

# More clips than these would hide what the sentence says.
_MOST_CLIPS_NAMED = 8


class NonFiniteLossError(ValueError):
    """Training has diverged: its input is finite and its loss is not. Another model may not."""


class NonFiniteFeaturesError(ValueError):
    """Features are not finite, so no model can be trained on them.

    Attributes:
        clip_ids: the clips that hold them, as far as they were looked for.
    """

    def __init__(self, message: str, clip_ids: list[str]):
        super().__init__(message)
        self.clip_ids = clip_ids


class BadBatches:
    """Finds what is wrong with a batch.

    Args:
        shards: the folder of shards.
        settings: of the run.
    """

    def __init__(self, shards: AnyPath | str, settings: RunSettings):
        self._shards, self._settings = shards, settings

    def error_in_training(self, loss: float, batch: int, epoch: int) -> ValueError:
        """The error for a training loss that is not finite.

        Args:
            loss: the loss.
            batch: number of the batch since the fit began, counted from 0.
            epoch: the epoch, counted from 1.
        """
        settings = self._settings
        step = batch // settings.optimizer.accumulation_steps
        when = f"{loss} at step {step + 1} (epoch {epoch})"
        batches = self._batches("train", shuffle=True, repeat=True, start_batch=batch)
        ids, broken = next(batches)
        if broken:
            return broken_features(when, broken)
        rate = learning_rate_at(settings.optimizer, step)
        advice = "Lower `optimizer.learning_rate` or set `optimizer.clip_norm`"
        if settings.precision != "float32":
            advice += f", or compute in float32 (`precision` is {settings.precision})"
        return NonFiniteLossError(
            f"The loss must be a finite number. Received: {when}, with the learning rate {rate:g}, "
            f"on the clips {_named(ids)}. Their features are finite, so training has diverged. "
            f"{advice}."
        )

    def error_in_validation(self, loss: float, epoch: int) -> ValueError:
        """The error for a validation loss that is not finite.

        Args:
            loss: the loss.
            epoch: the epoch before it, counted from 1.
        """
        when = f"a validation loss of {loss} after epoch {epoch}"
        broken: list[str] = []
        for _, broken_of_batch in self._batches("validation", shuffle=False):
            broken += broken_of_batch
        if broken:
            return broken_features(when, broken)
        return NonFiniteLossError(
            f"The loss must be a finite number. Received: {when}. The features are finite, so "
            "training has diverged. Lower `optimizer.learning_rate` or set `optimizer.clip_norm`."
        )

    def _batches(
        self, split: str, *, shuffle: bool, repeat: bool = False, start_batch: int = 0
    ) -> Iterator[tuple[list[str], list[str]]]:
        """The ids of each batch's clips, and of those with features that are not finite."""
        settings, manifest = self._settings, read_manifest(self._shards)
        ids = [clip.id for clip in clips_in_split(self._shards, split)]
        files = shard_files(self._shards, manifest, split)
        places = places_of_clips(files, manifest)
        choice = FrameChoice(
            settings.num_frames,
            "random" if split == "train" else "uniform",
            settings.data.short_clips == "repeat",
            settings.seed,
        )
        clips: RandomAccessClips | SequentialClips
        if places is not None:
            clips = RandomAccessClips(files, places, manifest, choice, shuffle)
        else:
            clips = SequentialClips(files, manifest, choice, shuffle)
        batches = clips.batches(
            batch_size_of_part(settings), repeat=repeat, start_batch=start_batch
        )
        for inputs, _, clip_index in batches:
            of_batch = [ids[index] for index in clip_index.numpy()]
            finite = [np.isfinite(features).all() for features in inputs["features"].numpy()]
            yield of_batch, [i for i, ok in zip(of_batch, finite, strict=True) if not ok]


def broken_features(when: str, clip_ids: list[str]) -> NonFiniteFeaturesError:
    """The error for clips whose features are not finite.

    Args:
        when: what was met, and at which step.
        clip_ids: the clips.
    """
    clip_ids = sorted(set(clip_ids))
    return NonFiniteFeaturesError(
        f"The loss must be a finite number, and so must the features. Received: {when}, and NaN "
        f"or infinite features in {_named(clip_ids)}. `cham verify` lists all such clips; extract "
        "them again or leave them out.",
        clip_ids,
    )


def _named(ids: list[str]) -> str:
    more = len(ids) - _MOST_CLIPS_NAMED
    return ", ".join(ids[:_MOST_CLIPS_NAMED]) + (f" and {more} more" if more > 0 else "")
