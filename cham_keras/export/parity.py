"""Served = predicted: an export's answers against those of the Keras model.

Comes in: an export, the run that it was made of, clips. Goes out: a report, or an
error where the answers differ. The export is run twice, each time by a program of its own in
which neither Keras nor this package can be imported: by TensorFlow's Python (`loading.py`),
and by its C library with XLA off, as a model server does (`serving/run_requests.py`), which
also gives the latencies. `cham export --check` and the demo call it.
"""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cham_keras.data import Backbone, clip_dataset, read_manifest, shard_errors_named
from cham_keras.export import loading
from cham_keras.export.export_folder import version_folder
from cham_keras.export.frame_signature import FRAMES_SIGNATURE
from cham_keras.export.parity_cases import Case, parity_cases
from cham_keras.export.streaming import STEP_SIGNATURE
from cham_keras.progress import stderr, track
from cham_keras.runs import Run
from cham_keras.runs.run_folder import require_same_features
from cham_keras.serving import run_requests

#: Where `export_saved_model` puts the report in an export.
PARITY_FILE = Path("assets.extra") / "parity.json"

#: The largest difference that rounding may make.
TOLERANCE = 1e-5
#: The same where pixels go in: features near the middle between two numbers of half precision
#: are rounded either way, and the difference is carried on.
TOLERANCE_OF_FRAMES = 1e-3

#: The two programs that answer, and what they are called in reports.
PROGRAMS = {
    "TensorFlow's C library": Path(run_requests.__file__),
    "TensorFlow's Python": Path(loading.__file__),
}
#: Calls that the latencies are taken of.
_REPEATS = 20

_CLIPS_FROM_SHARDS = 8

Batch = dict[str, np.ndarray]
Outputs = Mapping[str, np.ndarray]


class ParityError(RuntimeError):
    """An export gives other answers than its run, or cannot be run."""


@dataclass(frozen=True)
class ParityReport:
    """What a comparison found.

    Attributes:
        clips: what was scored.
        batches: [clips, steps] of each batch of clips.
        differences: by program and then by `signature/output`: the largest difference,
            absolute, or as a share of the output's largest number where that is above one.
        latency: of the C library, a row for each request: signature, `shape` of its largest
            input, `median_ms` and `p95_ms` of 20 calls, or of as many as five seconds allow.
        tolerance: what the differences had to stay below; frames have their own.
    """

    clips: str
    batches: list[list[int]]
    differences: dict[str, dict[str, float]]
    latency: list[dict[str, Any]]
    tolerance: float

    @property
    def largest_difference(self) -> float:
        """The largest of all differences, frames apart; not a number where one is not."""
        found = [
            difference
            for of_program in self.differences.values()
            for name, difference in of_program.items()
            if not name.startswith(FRAMES_SIGNATURE)
        ]
        return float(np.max(found))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def check_parity(
    export: Path,
    run: Run,
    shards: Path | None = None,
    split: str = "test",
    *,
    backbone: Backbone | None = None,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> ParityReport:
    """Compares the answers of an export with those of the Keras model, on the CPU.

    Args:
        export: folder of one version, or the folder above the versions.
        run: the run that it was made of.
        shards: shards to take clips from; by default features are drawn.
        split: their split.
        backbone: the one in its graph; where it is left out, frames are not compared.
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
    folder = version_folder(export)
    streams = STEP_SIGNATURE in loading.signatures_of(folder)
    # Other hardware rounds in another way, which is no fault of the export.
    with keras.device("cpu:0"), stderr.status("asking the Keras model"):
        cases = parity_cases(run, batches, streams=streams, backbone=backbone)
    requests = [(case.signature, case.inputs) for case in cases]
    differences, latency = {}, []
    for name, program in track(list(PROGRAMS.items()), "asking the export, programs"):
        timed = program == PROGRAMS["TensorFlow's C library"]
        found = answers_without_keras(folder, requests, program, _REPEATS if timed else 0)
        differences[name] = case_differences(cases, found["answers"], run.manifest.classes)
        if timed:
            latency = _latencies(requests, found["seconds"])
    report = ParityReport(
        clips=clips,
        batches=[list(batch["features"].shape[:2]) for batch in batches],
        differences=differences,
        latency=latency,
        tolerance=tolerance,
    )
    _require_agreement(report, run)
    return report


def _require_agreement(report: ParityReport, run: Run) -> None:
    for program, differences in report.differences.items():
        worst = {}
        for name, difference in differences.items():
            frames = name.startswith(FRAMES_SIGNATURE)
            if not difference <= (TOLERANCE_OF_FRAMES if frames else report.tolerance):
                worst[name] = difference
        if worst:
            told = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
            raise ParityError(
                f"The export must give the scores of the run {run.folder} to "
                f"{report.tolerance:.0e} ({FRAMES_SIGNATURE}: {TOLERANCE_OF_FRAMES:.0e}). "
                f"Received differences with {program}: {told}."
            )


def _latencies(
    requests: Sequence[tuple[str, Batch]], seconds: Sequence[Sequence[float]]
) -> list[dict[str, Any]]:
    rows = []
    for (signature, inputs), times in zip(requests, seconds, strict=True):
        largest = max(inputs.values(), key=np.size)
        median, late = np.percentile(np.array(times) * 1000, [50, 95])
        rows.append(
            {
                "signature": signature,
                "shape": list(largest.shape),
                "median_ms": round(float(median), 3),
                "p95_ms": round(float(late), 3),
            }
        )
    return rows


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


def answers_without_keras(
    folder: Path, requests: Sequence[tuple[str, Batch]], program: Path, repeats: int = 0
) -> dict[str, Any]:
    """Has requests answered in a new process, in which Keras and this package are shut off.

    Args:
        folder: folder of one version.
        requests: a signature and its inputs each.
        program: one of `PROGRAMS`.
        repeats: so many times each is called again and timed; fewer, where that would take
            more than five seconds.

    Returns:
        `answers`, a dictionary of arrays for each request, and `seconds`.

    Raises:
        ParityError: the process failed, or refused a request.
    """
    with tempfile.TemporaryDirectory() as temporary:
        requests_file, answers_file = Path(temporary) / "requests", Path(temporary) / "answers"
        requests_file.write_bytes(pickle.dumps(list(requests)))
        files = [str(Path(folder).absolute()), str(requests_file), str(answers_file)]
        # -P: not from this package's folder, whose files would hide other modules.
        process = subprocess.run(
            [sys.executable, "-P", str(program), *files, str(repeats)],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            reason = (process.stderr.strip().splitlines() or ["no message"])[-1]
            raise ParityError(f"The export {folder} cannot be run without Keras: {reason}")
        found: dict[str, Any] = pickle.loads(answers_file.read_bytes())
    for (signature, _), answer in zip(requests, found["answers"], strict=True):
        if isinstance(answer, tuple):
            reason = answer[1].splitlines()[0]
            raise ParityError(f"The export {folder} refused {signature}: {reason}")
    return found


def case_differences(
    cases: Sequence[Case], answers: Sequence[Outputs], classes: Sequence[str]
) -> dict[str, float]:
    """The largest difference of each output of each signature, over all cases.

    Args:
        cases: what must come out.
        answers: what came out.
        classes: names of the classes.

    Returns:
        by `signature/output`; infinite where shapes or names do not agree.
    """
    found: dict[str, list[float]] = {}
    for case, answer in zip(cases, answers, strict=True):
        for name, difference in output_differences(case.expected, answer, classes).items():
            found.setdefault(f"{case.signature}/{name}", []).append(difference)
    # np.max and not max: it passes on what is not a number.
    return {name: float(np.max(differences)) for name, differences in found.items()}


def output_differences(
    expected: Outputs, served: Outputs, classes: Sequence[str]
) -> dict[str, float]:
    """The largest difference of each output; infinite where shapes or names do not agree.

    Args:
        expected: outputs of the Keras model by name.
        served: outputs of the export; names of classes as str or bytes.
        classes: names of the classes.
    """
    found = {
        name: _difference(array, served.get(name, np.empty(0))) for name, array in expected.items()
    }
    if "top_scores" in expected:
        found["top_classes"] = _difference_of_names(
            expected["clip_probabilities"],
            *(served.get("top_classes"), served.get("top_scores"), classes),
        )
    if "classes" in served:
        as_labels = _as_text(served["classes"]).tolist() == [list(classes)] * len(served["classes"])
        found["classes"] = 0.0 if as_labels else float("inf")
    return found


def _difference_of_names(
    probabilities: np.ndarray,
    names: np.ndarray | None,
    scores: np.ndarray | None,
    classes: Sequence[str],
) -> float:
    # By the scores of the classes that are named: near ties may stand in either order.
    if names is None or scores is None or not set(_as_text(names).ravel()) <= set(classes):
        return float("inf")
    index = np.vectorize(list(classes).index, otypes=[int])(_as_text(names))
    return _difference(np.take_along_axis(probabilities, index, axis=1), scores)


def _as_text(names: np.ndarray) -> np.ndarray:
    return np.vectorize(
        lambda name: name.decode() if isinstance(name, bytes) else str(name), otypes=[object]
    )(names)


def _difference(expected: np.ndarray, served: np.ndarray) -> float:
    if expected.shape != served.shape:
        return float("inf")
    # 64 bits: whole numbers of few could overflow.
    expected, served = expected.astype("float64"), served.astype("float64")
    return float(np.abs(expected - served).max() / max(1.0, np.abs(expected).max()))
