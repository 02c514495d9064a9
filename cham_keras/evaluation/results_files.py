"""Results as the files of an `evaluation/` folder, and back.

Comes in: `Results`. Goes out: `<split>.json`, `.csv`, `.md` and pictures, as
`docs/map.md` lists them. Every method's results lie in these files; `cham paired` and
whoever makes tables of several methods reads them here.
"""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.evaluation.frames_seen import FrameFigures
from cham_keras.evaluation.results import Results
from cham_keras.files import read_json, replacing_file, write_json
from cham_keras.runs.run_folder import EVALUATION_FOLDER

#: What stands before the classes in a row of the CSV.
CLIP_COLUMNS = ("path", "label", "group", "predicted")


def write_results(results: Results, folder: Path, *, pictures: bool = True) -> None:
    """Writes `<split>.csv` (a row a clip), `<split>.md`, the pictures and `<split>.json`.

    The JSON comes last: whoever finds it finds all of them, also after a kill.
    """
    from cham_keras.evaluation.report import PICTURES, plot_results

    # An older one would vouch for what is only being written.
    (folder / f"{results.split}.json").unlink(missing_ok=True)
    for suffix, text in ((".csv", to_csv(results)), (".md", results.to_markdown())):
        with replacing_file(folder / f"{results.split}{suffix}") as temporary:
            temporary.write_text(text)
    for ending in PICTURES:  # those of an earlier evaluation would belie the figures
        (folder / f"{results.split}{ending}").unlink(missing_ok=True)
    if pictures:
        plot_results(results, folder)
    write_json(folder / f"{results.split}.json", _json_of(results))


def read_results(folder: Path | str, split: str = "test") -> Results:
    """Reads what `Results.write` wrote; every probability is the same to the last bit.

    Args:
        folder: that folder, or a run folder with an `evaluation/` in it.
        split: name of the split.

    Raises:
        FileNotFoundError: the split has not been evaluated there.
        ValueError: the files are no results, or do not belong together.
    """
    folder = Path(folder)
    if (folder / EVALUATION_FOLDER).is_dir():
        folder = folder / EVALUATION_FOLDER
    path = folder / f"{split}.csv"
    if not (path.is_file() and path.with_suffix(".json").is_file()):
        raise FileNotFoundError(
            f"There are no results {path}. `cham evaluate RUN --shards SHARDS --split {split}` "
            "writes those of a run."
        )
    stored = read_json(folder / f"{split}.json")
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    classes = tuple(stored.get("classes", ()))
    wanted = (*CLIP_COLUMNS, *classes)
    if tuple(header) != wanted or any(len(row) != len(wanted) for row in rows):
        raise ValueError(
            f"{path} must have the columns {', '.join(wanted)}, as {split}.json beside it says. "
            f"Received: {', '.join(header)}. Evaluate again."
        )
    unknown = {row[1] for row in rows} - set(classes)
    if unknown:
        raise ValueError(
            f"{path} must name labels among {', '.join(classes)}. Received: {min(unknown)!r}. "
            "Evaluate again."
        )
    frames = stored.get("frame_figures")
    try:
        return Results(
            classes=classes,
            clip_ids=tuple(row[0] for row in rows),
            labels=np.array([classes.index(row[1]) for row in rows], dtype=int),
            groups=np.array([row[2] for row in rows], dtype=str),
            probabilities=np.array([row[len(CLIP_COLUMNS) :] for row in rows], dtype=float),
            split=stored["split"],
            frames=None if frames is None else FrameFigures.from_dict(frames),
            seed=stored["seed"],
            model_sha256=stored.get("model_sha256", ""),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} holds no results: {error} Evaluate again.") from error


def to_csv(results: Results) -> str:
    """A row a clip: path, label, group, prediction, and the exact probability of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CLIP_COLUMNS, *results.classes])
    for index, clip in enumerate(results.clip_ids):
        names = (results.classes[of_clip[index]] for of_clip in (results.labels, results.predicted))
        label, predicted = names
        # `repr` gives as few digits as lead back to the very same float64.
        probabilities = map(repr, results.probabilities[index].tolist())
        writer.writerow([clip, label, results.groups[index], predicted, *probabilities])
    return text.getvalue()


def without_nan(value: Any) -> Any:
    """JSON has no nan: it becomes null."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _json_of(results: Results) -> Any:
    found = results.calibration
    return without_nan(
        {
            **results.scores,
            "per_class": results.per_class,
            "classes": results.classes,
            "confusion": results.confusion.tolist(),
            "calibration": {
                field.name: np.asarray(getattr(found, field.name)).tolist()
                for field in dataclasses.fields(found)
            },
            "frame_figures": None if results.frames is None else results.frames.to_dict(),
        }
    )
