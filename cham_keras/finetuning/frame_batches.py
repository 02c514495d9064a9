"""The clips that a CNN is tuned on, and their batches of frames.

Comes in: a clip list and settings. Goes out: data sets for `fit`, and what a manifest says of the
clips. `finetune` calls it.
"""

import dataclasses
import functools
from collections import Counter
from pathlib import Path
from typing import Any

import tensorflow as tf

from cham_keras.data import ClipList, Manifest, UnreadableClip
from cham_keras.data.frames import Resizing
from cham_keras.data.reading.frame_choice import FrameChoice
from cham_keras.data.reading.frame_clips import FrameClip, FrameClips
from cham_keras.data.reading.frame_dataset import readable_clips
from cham_keras.data.shards.manifest import SplitInfo
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings
from cham_keras.training.training_data import class_weights

# Batches that are made while the model works on another one.
_BATCHES_AHEAD = 2


@dataclasses.dataclass(frozen=True)
class FrameSplits:
    """The clips of each split that can be read.

    Attributes:
        clip_list: where they are from.
        clips: by split; splits without clips are left out.
        unreadable: what was left out.
    """

    clip_list: ClipList
    clips: dict[str, list[FrameClip]]
    unreadable: tuple[UnreadableClip, ...]

    def infos(self) -> dict[str, SplitInfo]:
        """The splits as a manifest states them; there are no shards."""
        return {
            split: SplitInfo(
                clips=len(clips),
                frames=sum(clip.num_frames for clip in clips),
                clips_per_class={
                    name: Counter(clip.clip.label for clip in clips)[name]
                    for name in self.clip_list.classes
                },
                shards=(),
            )
            for split, clips in self.clips.items()
        }


def frame_splits(
    clip_list: ClipList, manifest: Manifest, settings: FinetuningSettings, index: Path
) -> FrameSplits:
    """Finds the clips that tuning takes: those for training and for validation.

    Args:
        clip_list: the clip list; must have the classes of the manifest.
        manifest: of the run that is tuned; says which frames of a clip count.
        settings: whether a clip that cannot be read is an error.
        index: a file for the counts of frames.

    Raises:
        ValueError: the classes are others, or a split has no clip that can be read.
    """
    if clip_list.classes != manifest.classes:
        raise ValueError(
            f"The clip list must have the classes of the run: {', '.join(manifest.classes)}. "
            f"Received: {', '.join(clip_list.classes)}."
        )
    clips, unreadable = {}, []
    for split in ("train", "validation"):
        if not clip_list.clips_of_split(split):
            continue
        clips[split], without = readable_clips(
            clip_list, split, manifest.frame_stride, manifest.max_frames, index, settings.strict
        )
        unreadable += without
    for clip in unreadable:
        stderr.print(f"Unreadable: {clip.path}: {clip.reason}", markup=False, highlight=False)
    return FrameSplits(clip_list, clips, tuple(unreadable))


class FrameBatches:
    """The batches of a fit.

    Args:
        splits: the clips.
        manifest: of the run as it is tuned: backbone, stride, classes, numbers of clips.
        settings: of the tuning.
        run_settings: of the run as it is tuned: frames a clip, short clips, class weights.
    """

    def __init__(
        self,
        splits: FrameSplits,
        manifest: Manifest,
        settings: FinetuningSettings,
        run_settings: RunSettings,
    ) -> None:
        self._splits = splits
        self._manifest = manifest
        self._settings = settings
        self._run_settings = run_settings
        spec = manifest.backbone
        self._resizing = Resizing(spec.image_size, spec.interpolation)
        self._part = settings.batch_size // settings.optimizer.accumulation_steps

    def training(self, start_batch: int = 0) -> tf.data.Dataset:
        """The training clips, random and without end, from a batch, or part of a step, on."""
        clips = self._clips("train", "random", True, self._settings.augmentation)
        batches = clips.batches(self._part, repeat=True, start_batch=start_batch)
        if self._run_settings.class_weights == "none":
            chosen = batches.map(lambda inputs, targets, _: (inputs, targets))
        else:
            weights = tf.constant(class_weights(self._manifest))
            chosen = batches.map(
                # The first frame of a clip is never padding.
                lambda inputs, targets, _: (inputs, targets, tf.gather(weights, targets[:, 0]))
            )
        return chosen.prefetch(_BATCHES_AHEAD)

    def validation(self) -> tf.data.Dataset | None:
        """The validation clips in order, evenly spaced whole frames; None where there are none."""
        if "validation" not in self._splits.clips:
            return None
        batches = self._clips("validation", "uniform", False, None).batches(self._part)
        return batches.map(lambda inputs, targets, _: (inputs, targets)).prefetch(_BATCHES_AHEAD)

    def ids_of_batch(self, batch: int) -> list[str]:
        """The clips of a training batch, counted since the fit began."""
        clips = self._clips("train", "random", True, None)
        *_, index = clips.read(0, batch, self._part, repeat=True)
        return [self._splits.clips["train"][number].clip.id for number in index]

    @functools.cached_property
    def num_short_clips(self) -> int:
        """Training clips of fewer frames than are sampled."""
        wanted = self._run_settings.num_frames
        return sum(clip.num_frames < wanted for clip in self._splits.clips["train"])

    def _clips(self, split: str, sampling: str, shuffle: bool, augmentation: Any) -> FrameClips:
        run = self._run_settings
        return FrameClips(
            self._splits.clip_list,
            self._splits.clips[split],
            FrameChoice(
                run.num_frames, sampling, run.data.short_clips == "repeat", self._settings.seed
            ),
            self._resizing,
            self._manifest.frame_stride,
            shuffle,
            augmentation,
        )
