"""A run scored from frames: evenly spaced frames of a clip times crops, their scores averaged.

Comes in: a run, tuned or not, and clips. Goes out: the `Results` of a split in the run's
evaluation folder. This is how Simonyan and Zisserman (the paper's [2], Sec. 5) test: 25 frames, of
each the four corners and the centre with their mirror images.
"""

from pathlib import Path

import keras
import numpy as np

from cham_keras import models
from cham_keras.data import ClipList, ClipRecord, load_backbone_from_spec, read_clip_list
from cham_keras.data.frames.cropping import WHOLE_FRAME, ten_crops
from cham_keras.data.reading.frame_clips import clip_errors_named
from cham_keras.data.reading.frame_dataset import frame_views, readable_clips
from cham_keras.evaluation import Results, summarize
from cham_keras.finetuning.settings import FrameEvaluationSettings
from cham_keras.paths import AnyPath
from cham_keras.progress import stderr, track
from cham_keras.runs import Run
from cham_keras.runs.run_folder import EVALUATION_FOLDER

#: Frames a clip in the protocol of [2].
_FRAMES_OF_SPATIAL_CONVNET = 25


def evaluate_from_frames(
    run: Run,
    clips: ClipList | AnyPath | str,
    settings: FrameEvaluationSettings | None = None,
    weights: Path | None = None,
    *,
    pictures: bool = True,
) -> Results:
    """Scores a run on frames and writes what it found into the run folder.

    A clip's score is the mean of the softmax over its frames and over the crops. Each crop of
    all frames goes through the model as a clip of its own.

    Args:
        run: a finished run; its backbone is loaded as its manifest describes it.
        clips: a clip list with the run's classes, or where it lies.
        settings: the split, the frames a clip, the crops.
        weights: where the weights file of the run's backbone lies now, if it was moved.
        pictures: whether to draw pictures of the results.

    Returns:
        the results, also written to `evaluation/<split>-from-frames.{json,csv,md}` and pictures.

    Raises:
        ValueError: the split is none or has no clips, the clips have other classes, or one that
            could be read before cannot be.
    """
    settings = settings or FrameEvaluationSettings()
    if settings.split == "none":
        raise ValueError("`evaluation.split` must be test or validation. Received: 'none'.")
    clip_list = clips if isinstance(clips, ClipList) else read_clip_list(clips)
    manifest = run.manifest
    if clip_list.classes != manifest.classes:
        raise ValueError(
            f"The clip list must have the classes of the run: {', '.join(manifest.classes)}. "
            f"Received: {', '.join(clip_list.classes)}."
        )
    readable, unreadable = readable_clips(
        clip_list, settings.split, manifest.frame_stride, manifest.max_frames
    )
    for clip in unreadable:
        stderr.print(f"Unreadable: {clip.path}: {clip.reason}", markup=False, highlight=False)
    backbone = load_backbone_from_spec(manifest.backbone, weights)
    model = models.from_frames(backbone.model, run.load_model(), backbone.preprocess)
    is_spatial = run.settings.model.name == "spatial_convnet"
    views = frame_views(
        clip_list,
        readable,
        settings.num_frames or (_FRAMES_OF_SPATIAL_CONVNET if is_spatial else run.num_frames),
        backbone.resizing,
        (WHOLE_FRAME,) if settings.crops == 1 else ten_crops(),
        run.settings.data.short_clips,
        manifest.frame_stride,
    )
    probabilities = []
    with clip_errors_named():
        for inputs in track(views, f"scoring {settings.split} from frames, clips"):
            probabilities.append(_score_of_clip(model, inputs))
    results = summarize(
        [
            ClipRecord(clip.clip.id, clip.label, clip.clip.group, clip.num_frames, 0.0)
            for clip in readable
        ],
        np.stack(probabilities),
        classes=manifest.classes,
        split=f"{settings.split}-from-frames",
        seed=run.settings.seed,
        model_sha256=run.model_sha256(),
    )
    results.write(run.folder / EVALUATION_FOLDER, pictures=pictures)
    return results


def _score_of_clip(model: keras.Model, inputs: dict) -> np.ndarray:
    """Mean softmax `(classes,)` over the valid frames of all views of a clip."""
    scores = []
    # One view at a time, which bounds the memory.
    for frames, length in zip(inputs["frames"], inputs["lengths"].numpy(), strict=True):
        view = {"frames": frames[None], "lengths": np.array([length], np.int32)}
        probabilities = keras.ops.convert_to_numpy(model.predict_on_batch(view))
        scores.append(probabilities[0, :length].mean(axis=0, dtype=float))
    return np.mean(scores, axis=0)
