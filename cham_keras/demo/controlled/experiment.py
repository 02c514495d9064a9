"""The controlled proof: every method on every controlled set, with several seeds.

Comes in: which sets, methods and seeds. Goes out: a folder with clips, shards and a run
folder for each method, and what each came to. A seed stands for everything that is
drawn: the clips of all splits, the weights, the order. So the spread over the seeds
holds for other clips too, and all methods of one seed see the same clips.

What is finished is not done again; what was broken off goes on.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import PositiveInt

from cham_keras.baselines import pooled_baselines
from cham_keras.data import clips_in_split, extract, load_backbone, read_clip_list
from cham_keras.demo.controlled.clips import controlled_set, write_controlled_set
from cham_keras.demo.controlled.methods import METHODS, Method, run_settings
from cham_keras.demo.controlled.plans import CONTROLLED_SETS
from cham_keras.evaluation.scoring import frame_probabilities
from cham_keras.files import read_json, write_json
from cham_keras.progress import stderr
from cham_keras.runs import Run
from cham_keras.runs.run_folder import METRICS_FILE, open_run
from cham_keras.settings import read_settings, settings, write_settings
from cham_keras.training import train

SETTINGS_FILE = "controlled_proof.toml"
#: What a method came to on the test clips; written last, so a run that has it is finished.
OUTCOME_FILE = "outcome.json"

#: Linear classifiers on pooled features, by name: title and pooling. The first knows nothing
#: of the order, the second also has how things change and drift.
POOLED_BASELINES = {
    "pooled_mean_std": ("logistic regression, mean and deviation", "mean_std"),
    "pooled_everything": ("logistic regression, all poolings", "everything"),
}

#: All methods by name, with their titles, in the order of the tables.
TITLES = {name: title for name, (title, _) in POOLED_BASELINES.items()} | {
    name: method.title for name, method in METHODS.items()
}


@settings
class ProofSettings:
    """The size of the proof; a folder holds one size only."""

    train_clips: PositiveInt = 240
    """Training clips of a set, all classes together."""
    validation_clips: PositiveInt = 60
    """Validation clips."""
    test_clips: PositiveInt = 180
    """Test clips."""
    max_epochs: PositiveInt = 40
    """The most passes over the training clips."""


def run_proof(
    out: Path,
    proof: ProofSettings | None = None,
    *,
    sets: Sequence[str] = tuple(CONTROLLED_SETS),
    methods: Sequence[str] = tuple(TITLES),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> list[dict[str, Any]]:
    """Trains and scores whatever of this is not there yet.

    Seed by seed, so that after the first one there is a table of all.

    Args:
        out: the folder; new, or of the same proof.
        proof: its size.
        sets: names of `CONTROLLED_SETS`.
        methods: names of `TITLES`.
        seeds: seeds from 0 on.

    Returns:
        the outcomes of all that lies in the folder, these and earlier ones; see `outcomes`.

    Raises:
        ValueError: a name is not known, or the folder is of a proof with other settings.
    """
    out, proof = Path(out), proof or ProofSettings()
    for name in sets:
        controlled_set(name)
    unknown = [name for name in methods if name not in TITLES]
    if unknown:
        raise ValueError(
            f"The methods must be of {', '.join(TITLES)}. Received: {', '.join(unknown)}."
        )
    _check_folder(out, proof)
    wanted = list(itertools.product(seeds, sets, methods))
    missing = [one for one in wanted if not _outcome_file(out, *one).is_file()]
    stderr.print(f"{len(wanted)} runs, of which {len(wanted) - len(missing)} are there already.")
    for number, (seed, set_name, method) in enumerate(missing, start=1):
        stderr.print(
            f"[bold]{number}/{len(missing)}[/bold] {set_name}, {TITLES[method]}, seed {seed}"
        )
        shards = _shards(out, proof, set_name, seed)
        if method in POOLED_BASELINES:
            outcome = _pooled(shards, out, set_name, method, seed)
        else:
            outcome = _trained(shards, out, proof, set_name, METHODS[method], seed)
        write_json(_outcome_file(out, seed, set_name, method), outcome)
    return outcomes(out)


def take_over(out: Path, proof: ProofSettings, results: Path) -> int:
    """Counts the outcomes of a report as finished, so that a new folder goes on from there.

    Args:
        out: the folder; new, or of the same proof.
        proof: its size.
        results: `results.json` of a report.

    Returns:
        how many outcomes were not there yet.

    Raises:
        FileNotFoundError: there is no such report.
        ValueError: it is of a proof of another size.
    """
    known = read_json(results)
    if known["settings"] != dataclasses.asdict(proof):
        raise ValueError(
            f"{results} must be of a controlled proof with {dataclasses.asdict(proof)}. "
            f"Received: {known['settings']}."
        )
    _check_folder(out, proof)
    new = 0
    for outcome in known["outcomes"]:
        path = _outcome_file(out, outcome["seed"], outcome["set"], outcome["method"])
        if not path.is_file():
            write_json(path, outcome)
            new += 1
    return new


def outcomes(out: Path) -> list[dict[str, Any]]:
    """What lies finished in a proof's folder.

    Returns:
        a dictionary a run: `set`, `method`, `seed`, `test_clips`, `clip_accuracy` (of the
        mean softmax over a clip's frames), `last_frame_accuracy` (of the softmax at its last
        frame; None for classifiers of whole clips), `parameters`, `epochs`, `kept_epoch`,
        `validation_accuracy` and `seconds` (None likewise).
    """
    found = [
        read_json(_outcome_file(out, seed, set_name, method))
        for set_name, method in itertools.product(CONTROLLED_SETS, TITLES)
        for seed in _seeds_in(Path(out) / set_name)
        if _outcome_file(out, seed, set_name, method).is_file()
    ]
    return found


def _trained(
    shards: Path, out: Path, proof: ProofSettings, set_name: str, method: Method, seed: int
) -> dict[str, Any]:
    folder = _outcome_file(out, seed, set_name, method.name).parent
    num_frames = CONTROLLED_SETS[set_name].num_frames
    if (folder / METRICS_FILE).is_file():
        run = open_run(folder)  # it was broken off between training and scoring
    else:
        run = train(shards, folder, run_settings(method, num_frames, seed, proof.max_epochs))
    by_clip, at_last_frame = _test_probabilities(run, shards)
    keras.backend.clear_session()  # or hundreds of graphs pile up
    labels = np.array([clip.label for clip in clips_in_split(shards, "test")])
    metrics = run.metrics()
    return {
        **_names(set_name, method.name, seed, len(labels)),
        "clip_accuracy": _accuracy(by_clip, labels),
        "last_frame_accuracy": _accuracy(at_last_frame, labels),
        "parameters": metrics["parameters"],
        "epochs": metrics["epochs"],
        "kept_epoch": metrics["kept_epoch"],
        "validation_accuracy": metrics["kept"]["val_clip_accuracy"],
        "seconds": metrics["seconds"],
    }


def _test_probabilities(run: Run, shards: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of each test clip, mean softmax and the last frame's: both (clips, classes)."""
    frames = list(
        frame_probabilities(
            run.load_model(), run, shards, "test", batch_size=run.settings.data.batch_size
        )
    )
    return np.stack([clip.mean(axis=0) for clip in frames]), np.stack([clip[-1] for clip in frames])


def _pooled(shards: Path, out: Path, set_name: str, method: str, seed: int) -> dict[str, Any]:
    _, pooling = POOLED_BASELINES[method]
    results = pooled_baselines(
        shards,
        _seed_folder(out, seed, set_name) / "pooled",
        poolings=[pooling],  # type: ignore[list-item]
        classifiers=["logistic"],
        seed=seed,
    )
    found = results[f"logistic_{pooling}"]
    return {
        **_names(set_name, method, seed, len(found.labels)),
        "clip_accuracy": found.point_scores["clip_accuracy"],
        "last_frame_accuracy": None,
        "parameters": None,
        "epochs": None,
        "kept_epoch": None,
        "validation_accuracy": None,
        "seconds": None,
    }


def _shards(out: Path, proof: ProofSettings, set_name: str, seed: int) -> Path:
    """The shards of a set and a seed; drawn and extracted where they are missing."""
    folder = _seed_folder(out, seed, set_name)
    clips, shards = folder / "clips", folder / "shards"
    if not (clips / "clips.json").is_file():
        write_controlled_set(
            clips,
            set_name,
            {
                "train": proof.train_clips,
                "validation": proof.validation_clips,
                "test": proof.test_clips,
            },
            seed,
        )
    if not (shards / "manifest.json").is_file():
        extract(read_clip_list(clips), shards, load_backbone("filter_bank"))
    return shards


def _check_folder(out: Path, proof: ProofSettings) -> None:
    path = out / SETTINGS_FILE
    if not path.is_file():
        if out.exists() and any(out.iterdir()):
            raise FileExistsError(
                f"The folder must be new, empty, or of a controlled proof. Received: {out}."
            )
        write_settings(path, proof, comment="The size of this controlled proof.")
    elif (found := read_settings(ProofSettings, path)) != proof:
        raise ValueError(
            f"{out} holds a controlled proof with {dataclasses.asdict(found)}. Received: "
            f"{dataclasses.asdict(proof)}. Name another folder."
        )


def _names(set_name: str, method: str, seed: int, test_clips: int) -> dict[str, Any]:
    return {"set": set_name, "method": method, "seed": seed, "test_clips": test_clips}


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def _seed_folder(out: Path, seed: int, set_name: str) -> Path:
    return out / set_name / f"seed-{seed}"


def _outcome_file(out: Path, seed: int, set_name: str, method: str) -> Path:
    return _seed_folder(Path(out), seed, set_name) / method / OUTCOME_FILE


def _seeds_in(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("seed-")) for path in folder.glob("seed-*"))
