"""Served = predicted: an export's scores against those of the Keras model.

Comes in: an export, the run that it was made of, clips. Goes out: a report, or an
error where the scores differ. The export is run by `loading.py` as a program of
its own, in which neither Keras nor this package can be imported. `cham export
--check` and the demo call it.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cham_keras.data import clip_dataset, read_manifest, shard_errors_named
from cham_keras.export import loading
from cham_keras.export.export_folder import version_folder
from cham_keras.export.inference import KerasScorer
from cham_keras.runs import Run
from cham_keras.runs.run_folder import require_same_features

#: Where `export_saved_model` puts the report in an export.
PARITY_FILE = Path("assets.extra") / "parity.json"

#: The largest difference that rounding may make.
TOLERANCE = 1e-5

_CLIPS_FROM_SHARDS = 8

Batch = dict[str, np.ndarray]
Outputs = Mapping[str, np.ndarray]


class ParityError(RuntimeError):
    """An export gives other scores than its run, or cannot be run."""


@dataclass(frozen=True)
class ParityReport:
    """What a comparison found.

    Attributes:
        clips: what was scored.
        batches: [clips, steps] of each batch.
        differences: the largest difference of each output, absolute, or as a share
            of the output's largest number where that is above one.
        tolerance: what they had to stay below.
    """

    clips: str
    batches: list[list[int]]
    differences: dict[str, float]
    tolerance: float

    @property
    def largest_difference(self) -> float:
        """The largest of all differences; not a number where one is not."""
        return float(np.max(list(self.differences.values())))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def check_parity(
    export: Path,
    run: Run,
    shards: Path | None = None,
    split: str = "test",
    *,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> ParityReport:
    """Compares the scores of an export with those of the Keras model, on the CPU.

    Args:
        export: folder of one version, or the folder above the versions.
        run: the run that it was made of.
        shards: shards to take clips from; by default features are drawn.
        split: their split.
        tolerance: largest difference that is no error.
        seed: of the draw, and of the lengths.

    Returns:
        the report.

    Raises:
        ParityError: a difference is above `tolerance`, or the export cannot be run.
        ValueError: the shards hold other features than the run's.
    """
    if shards is None:
        batches, clips = drawn_batches(run, seed), f"drawn with seed {seed}"
    else:
        batches, clips = batches_of_shards(run, shards, split), f"{split} of {shards}"
    # Other hardware rounds in another way, which is no fault of the export.
    with keras.device("cpu:0"):
        scorer = KerasScorer(run)
        expected = [scorer(**batch) for batch in batches]
    folder = version_folder(export)
    served = scores_without_keras(folder, batches)
    pairs = zip(expected, served, strict=True)
    found = [output_differences(ours, theirs, run.manifest.classes) for ours, theirs in pairs]
    report = ParityReport(
        clips=clips,
        batches=[list(batch["features"].shape[:2]) for batch in batches],
        # np.max and not max: it passes on what is not a number.
        differences={
            name: float(np.max([differences[name] for differences in found])) for name in found[0]
        },
        tolerance=tolerance,
    )
    if not report.largest_difference <= tolerance:
        worst = ", ".join(f"{name} {value:.1e}" for name, value in report.differences.items())
        raise ParityError(
            f"The export must give the scores of the run {run.folder} to {tolerance:.0e}. "
            f"Received differences: {worst}."
        )
    return report


def drawn_batches(run: Run, seed: int) -> list[Batch]:
    """Batches of several sizes and lengths, with clips that are padded, from a generator."""
    generator = np.random.default_rng(seed)
    sizes = [(1, 1), (4, run.num_frames), (3, run.num_frames + 3)]
    batches = []
    for num_clips, num_steps in sizes:
        lengths = generator.integers(1, num_steps + 1, num_clips)
        lengths[0] = num_steps
        # Features behind a rectifier are not negative. The padding is not zero: it must not count.
        shape = (num_clips, num_steps, *run.manifest.feature_shape)
        features = np.abs(generator.standard_normal(shape)).astype("float32")
        batches.append({"features": features, "lengths": lengths.astype("int32")})
    return batches


def batches_of_shards(run: Run, shards: Path, split: str) -> list[Batch]:
    """A batch of the first clips of a split, and the first one's first half."""
    require_same_features(run, read_manifest(shards), shards)
    clips = clip_dataset(
        shards,
        split,
        num_frames=run.num_frames,
        batch_size=_CLIPS_FROM_SHARDS,
        short_clips=run.settings.data.short_clips,
    )
    with shard_errors_named():
        inputs, _ = next(clips.as_numpy_iterator())
    half = (int(inputs["lengths"][0]) + 1) // 2
    first_half = {"features": inputs["features"][:1, :half], "lengths": np.array([half], "int32")}
    return [inputs, first_half]


def scores_without_keras(folder: Path, batches: Sequence[Batch]) -> list[Batch]:
    """Scores batches in a new process, in which Keras and this package cannot be imported.

    Args:
        folder: folder of one version.
        batches: `features` and `lengths` of each.

    Returns:
        the outputs of each batch.

    Raises:
        ParityError: the process failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        batches_file, scores_file = Path(temporary) / "batches.npz", Path(temporary) / "scores.npz"
        arrays = {
            f"{name}/{number}": array
            for number, batch in enumerate(batches)
            for name, array in batch.items()
        }
        np.savez(batches_file, **arrays)  # type: ignore[arg-type]
        files = [str(Path(folder).absolute()), str(batches_file), str(scores_file)]
        # -P: not from this package's folder, whose files would hide other modules.
        process = subprocess.run(
            [sys.executable, "-P", str(Path(loading.__file__)), *files],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
            raise ParityError(f"The export {folder} cannot be run without Keras: {reason}")
        scores: list[Batch] = [{} for _ in batches]
        with np.load(scores_file) as archive:
            for key in archive.files:
                name, _, number = key.partition("/")
                scores[int(number)][name] = archive[key]
    return scores


def output_differences(
    expected: Outputs, served: Outputs, classes: Sequence[str]
) -> dict[str, float]:
    """The largest difference of each output; infinite where shapes or names do not agree.

    Args:
        expected: outputs of the Keras model, as `KerasScorer` gives them.
        served: outputs of the export, `top_classes` and `top_scores` among them.
        classes: names of the classes.
    """
    found = {
        name: _difference(array, served.get(name, np.empty(0))) for name, array in expected.items()
    }
    best_first = -np.sort(-expected["clip_probabilities"], axis=1)
    num_top = served["top_scores"].shape[1]
    found["top_scores"] = _difference(best_first[:, :num_top], served["top_scores"])
    # By the scores of the classes that are named: near ties may stand in either order.
    named = served["top_classes"]
    if set(named.ravel()) <= set(classes):
        index = np.vectorize(list(classes).index, otypes=[int])(named)
        scores = np.take_along_axis(expected["clip_probabilities"], index, axis=1)
        found["top_classes"] = _difference(scores, served["top_scores"])
    else:
        found["top_classes"] = float("inf")
    return found


def _difference(expected: np.ndarray, served: np.ndarray) -> float:
    if expected.shape != served.shape:
        return float("inf")
    return float(np.abs(expected - served).max() / max(1.0, np.abs(expected).max()))
