"""How long a table takes and how much disk, told before it is begun.

Comes in: settings and clips. Goes out: an `Estimate`. Frames are counted in some clips,
the backbone is timed on one batch of noise, and each method on two training steps of
noise, so it takes a minute or a few itself and is right to a factor of about two.
"""

import dataclasses
import random
import time
from collections.abc import Sequence

import keras
import numpy as np
from rich.table import Table as RichTable

from cham_keras.data import Backbone, ClipList
from cham_keras.data.frames.clip_frames import probe_clip
from cham_keras.files import local_copy
from cham_keras.progress import track
from cham_keras.reproduce.data_sets import Division
from cham_keras.reproduce.method_settings import methods_of, recipe_of
from cham_keras.reproduce.methods import Method
from cham_keras.reproduce.settings import TableSettings
from cham_keras.runs import RunSettings, build_model
from cham_keras.training import compile_model

_MOST_PROBED = 40
_MOST_FRAMES_TIMED = 8
_CLIPS_TIMED = 2
#: Bytes of a stored number: float16.
_BYTES = 2
#: Weights and Adam's two moments in float32, in the kept and in the last model.
_BYTES_A_PARAMETER = 3 * 4 * 2


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a table will take.

    Attributes:
        clips: number of clips.
        frames: number of frames that are extracted, estimated from some clips.
        disk_bytes: of the features of all of them.
        runs_bytes: of the models that the runs leave, by method.
        extraction_seconds: time of the extraction.
        training_seconds: time of all runs, by method; of methods that `train` does not
            carry out there is none.
    """

    clips: int
    frames: int
    disk_bytes: int
    extraction_seconds: float
    training_seconds: dict[str, float]
    runs_bytes: dict[str, int]

    @property
    def seconds(self) -> float:
        """Time of everything."""
        return self.extraction_seconds + sum(self.training_seconds.values())

    def to_table(self) -> RichTable:
        """A row a stage."""
        table = RichTable(
            "stage",
            "time",
            "disk",
            title="Estimate",
            title_justify="left",
            caption="Not timed: evaluation, pooled baselines, trajectories, fine-tuning.",
            caption_justify="left",
        )
        table.add_row(
            f"features of {self.clips} clips, about {self.frames} frames",
            _duration(self.extraction_seconds),
            _size(self.disk_bytes),
        )
        for label, seconds in self.training_seconds.items():
            table.add_row(f"training {label}", _duration(seconds), _size(self.runs_bytes[label]))
        table.add_section()
        disk = self.disk_bytes + sum(self.runs_bytes.values())
        table.add_row("all", _duration(self.seconds), _size(disk))
        return table


def estimate(
    settings: TableSettings, parts: Sequence[Division], clips: ClipList, backbone: Backbone
) -> Estimate:
    """Estimates what a table takes on this machine.

    Args:
        settings: of the table.
        parts: the divisions.
        clips: every clip once.
        backbone: what computes the features.
    """
    frames = _num_frames(clips) // settings.frame_stride
    seconds_a_frame, shape = _timed(backbone)
    methods = [m for m in methods_of(settings) if m.kind in ("features", "frames")]
    seconds, runs_bytes = {}, {}
    num_runs = sum(len(part.seeds) for part in parts)
    for method in track(methods, "timing two steps of each method"):
        seconds[method.label], parameters = _time_and_size(method, settings, parts, shape)
        runs_bytes[method.label] = num_runs * parameters * _BYTES_A_PARAMETER
    return Estimate(
        clips=len(clips.clips),
        frames=frames,
        disk_bytes=frames * int(np.prod(shape)) * _BYTES,
        extraction_seconds=frames * seconds_a_frame,
        training_seconds=seconds,
        runs_bytes=runs_bytes,
    )


def _num_frames(clips: ClipList) -> int:
    """Frames of all clips, from those of some where the list does not state them."""
    known = [clip.num_frames for clip in clips.clips if clip.num_frames is not None]
    unknown = [clip for clip in clips.clips if clip.num_frames is None]
    if not unknown:
        return sum(known)
    some = random.Random(0).sample(unknown, min(_MOST_PROBED, len(unknown)))
    counts = []
    for clip in track(some, "counting frames of some clips"):
        try:
            with local_copy(clips.path_of(clip)) as path:
                info = probe_clip(path)
        except ValueError:  # extraction lists it
            continue
        if info.num_frames:
            counts.append(info.num_frames)
    mean = float(np.mean(counts)) if counts else 0.0
    return sum(known) + round(mean * len(unknown))


def _timed(backbone: Backbone) -> tuple[float, tuple[int, int, int]]:
    """Seconds a frame, and the shape of a frame's features."""
    size = backbone.spec.image_size
    noise = np.random.default_rng(0).integers(256, size=(backbone.batch_size, size, size, 3))
    batch = noise.astype(np.uint8)
    backbone.features_of_resized(batch)  # the first call traces
    started = time.perf_counter()
    features = backbone.features_of_resized(batch)
    return (time.perf_counter() - started) / len(batch), features.shape[1:]


def _time_and_size(
    method: Method,
    settings: TableSettings,
    parts: Sequence[Division],
    shape: tuple[int, int, int],
) -> tuple[float, int]:
    """Time of a method's runs (that of a short step, times clips and frames), and parameters."""
    recipe = recipe_of(method, settings, seed=0)
    if recipe is None:
        return 0.0, 0
    a_frame, parameters = _seconds_a_trained_frame(recipe, shape, len(parts[0].clip_list.classes))
    clips_seen = 0
    for part in parts:
        training_clips = len(part.clip_list.clips_of_split("train"))
        epochs = recipe.epochs or recipe.iterations * recipe.data.batch_size / training_clips
        clips_seen += int(epochs * training_clips) * len(part.seeds)
    return clips_seen * recipe.num_frames * a_frame, parameters


def _seconds_a_trained_frame(
    recipe: RunSettings, shape: tuple[int, int, int], num_classes: int
) -> tuple[float, int]:
    """Seconds, and the model's parameters."""
    model = build_model(recipe.model, shape, num_classes, seed=0)
    compile_model(model, recipe, steps_per_epoch=1)  # no rate is slower than another
    num_frames = min(recipe.num_frames, _MOST_FRAMES_TIMED)
    features = np.random.default_rng(0).random((_CLIPS_TIMED, num_frames, *shape), np.float32)
    inputs = {"features": features, "lengths": np.full(_CLIPS_TIMED, num_frames, np.int32)}
    targets = np.zeros((_CLIPS_TIMED, num_frames), np.int32)
    model.train_on_batch(inputs, targets)  # the first step traces
    started = time.perf_counter()
    model.train_on_batch(inputs, targets)
    seconds = time.perf_counter() - started
    keras.backend.clear_session()
    return seconds / (_CLIPS_TIMED * num_frames), model.count_params()


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2g} GB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"
