"""Baselines on pooled features: what a linear classifier gets out of the same shards.

Comes in: shards. Goes out: a folder with one method folder for each pooling and
classifier, a table of all, and the pooled features. `cham baselines` calls this. A model
that loses to these on the same clips is not worth serving.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from cham_keras.baselines.linear_classifiers import (
    STRENGTH_NAMES,
    Classifier,
    LinearClassifier,
    fit_linear_classifier,
)
from cham_keras.baselines.method_folder import write_method
from cham_keras.baselines.pooled_clips import PooledClips, manifest_checksum, pooled_clips
from cham_keras.baselines.pooling import STATISTICS_OF_POOLING, Pooling
from cham_keras.data import Manifest, read_manifest, write_manifest
from cham_keras.evaluation import Results
from cham_keras.evaluation.results import summarize
from cham_keras.files import replacing_file
from cham_keras.paths import AnyPath, local_path
from cham_keras.progress import track
from cham_keras.runs.run_folder import MANIFEST_FILE

#: All poolings, in the order of the table.
POOLINGS: tuple[Pooling, ...] = tuple(STATISTICS_OF_POOLING)
#: All classifiers, in the order of the table.
CLASSIFIERS: tuple[Classifier, ...] = get_args(Classifier)
#: The name under which the share of each class in training stands in the results.
MAJORITY = "majority"
#: The table of all methods in the output folder.
TABLE_FILE = "baselines.md"


# Of more clips, logistic regression takes an hour; ridge regression takes minutes.
_MOST_CLIPS_OF_LOGISTIC = 1000
_MOST_FOLDS = 5


def pooled_baselines(
    shards: AnyPath | str,
    out: Path | str,
    *,
    split: str = "test",
    poolings: Sequence[Pooling] = POOLINGS,
    classifiers: Sequence[Classifier] = CLASSIFIERS,
    add_validation: bool = False,
    num_folds: int = 5,
    seed: int = 0,
    pictures: bool = False,
) -> dict[str, Results]:
    """Fits linear classifiers on pooled features and evaluates them.

    The strength of the regularization is chosen by cross-validation over whole groups inside
    the clips that are fitted on; `split` takes no part in any choice. `out` keeps the pooled
    features, so that a second call on the same shards does not read them again.

    Args:
        shards: the folder of shards; a path or a URL.
        out: the folder to write: new, or of an earlier call on the same shards.
        split: what is evaluated.
        poolings: which poolings; see `pooling.STATISTICS_OF_POOLING`.
        classifiers: "logistic" and "ridge", or one of them.
        add_validation: also fit on the clips of the split `validation`. A deep model needs
            these to choose its epoch, so the comparison is fair without as well as with them.
        num_folds: folds of the cross-validation.
        seed: of the folds and of the draws of the intervals.
        pictures: whether to draw pictures of the results, which takes a second a method.

    Returns:
        the results by name of the method, `<classifier>_<pooling>`, and those of always
        stating the classes' shares in training, `majority`. Each also lies in
        `<out>/<name>/`, and the table in `<out>/baselines.md`.

    Raises:
        FileNotFoundError: the shards or their manifest are missing.
        FileExistsError: `out` holds something else than baselines of the same shards.
        ValueError: an argument breaks its rule, the split was fitted on, a record cannot be
            read, a feature is not finite, or a class has too few groups for the folds.
    """
    _check_names("poolings", poolings, POOLINGS)
    _check_names("classifiers", classifiers, CLASSIFIERS)
    fitted_on = ("train", "validation") if add_validation else ("train",)
    if split in fitted_on:
        raise ValueError(
            f"`split` must be one that is not fitted on ({', '.join(fitted_on)}). "
            f"Received: {split!r}."
        )
    manifest = read_manifest(shards)
    for name in (*fitted_on, split):
        manifest.split(name)
    out = local_path(out, "`out`")
    _check_out(out, manifest)
    write_manifest(manifest, out / MANIFEST_FILE)
    training = pooled_clips(shards, "train", out)
    if add_validation:
        training = training.joined_with(pooled_clips(shards, "validation", out))
    tested = pooled_clips(shards, split, out)

    results: dict[str, Results] = {}
    methods: dict[str, dict[str, Any]] = {}

    def add(name: str, probabilities: np.ndarray, **method: Any) -> None:
        methods[name] = {
            "method": name,
            **method,
            "fitted_on": list(fitted_on),
            "clips_fitted_on": len(training.clips),
            "folds": num_folds,
            "seed": seed,
        }
        results[name] = summarize(
            tested.clips, probabilities, classes=manifest.classes, split=split, seed=seed
        )
        write_method(out / name, methods[name], results[name], pictures=pictures)

    wanted = [(kind, pooling) for kind in classifiers for pooling in poolings]
    for kind, pooling in track(wanted, "fitting, classifiers"):
        fitted = fit_linear_classifier(
            kind,
            training.pooled(pooling),
            training.labels,
            training.groups,
            manifest.classes,
            num_folds,
            seed,
        )
        probabilities = fitted.probabilities(tested.pooled(pooling))
        add(f"{kind}_{pooling}", probabilities, **_facts(fitted, pooling))
    add(MAJORITY, _shares(training, len(tested.clips), len(manifest.classes)))
    with replacing_file(out / TABLE_FILE) as temporary:
        temporary.write_text(baselines_table(results, methods))
    return results


def classifiers_for(num_clips: int) -> tuple[Classifier, ...]:
    """The classifiers that so many clips can be fitted with in minutes.

    Example:

    >>> classifiers_for(300), classifiers_for(3570)
    (('logistic', 'ridge'), ('ridge',))
    """
    return CLASSIFIERS if num_clips <= _MOST_CLIPS_OF_LOGISTIC else ("ridge",)


def folds_for(groups: Collection[str]) -> int:
    """Folds to choose a strength by: five, or as many as there are groups."""
    return max(2, min(_MOST_FOLDS, len(groups)))


def baselines_table(results: dict[str, Results], methods: dict[str, dict[str, Any]]) -> str:
    """The table of all methods in Markdown, the best on held-out training clips first.

    Args:
        results: what was found, by name of the method.
        methods: what each method's `method.json` states, by the same names.
    """
    first = next(iter(results.values()))
    num_clips = next(iter(methods.values()))["clips_fitted_on"]
    lines = [
        f"# Pooled baselines: split {first.split}, {len(first.labels)} clips "
        f"({num_clips} to fit on)",
        "",
        "Clip accuracy with its 95 % interval; mean average precision; accuracy on the clips that "
        "were fitted on, while they were held out; the strength that was chosen by these.",
        "",
        "| method | accuracy | mAP | held out | chosen |",
        "|---|---|---|---|---|",
    ]
    order = sorted(results, key=lambda name: methods[name].get("held_out_log_loss", np.inf))
    for name in order:
        scores, method = results[name].scores, methods[name]
        lower, upper = scores["clip_accuracy_interval"]
        held_out = chosen = ""
        if "strength" in method:
            held_out = f"{method['held_out_accuracy']:.3f}"
            chosen = f"{method['strength_name']} = {method['strength']:g}"
        lines.append(
            f"| {name} | {scores['clip_accuracy']:.3f} ({lower:.3f} to {upper:.3f}) "
            f"| {scores['mean_average_precision']:.3f} | {held_out} | {chosen} |"
        )
    return "\n".join(lines) + "\n"


def _facts(fitted: LinearClassifier, pooling: Pooling) -> dict[str, Any]:
    return {
        "pooling": pooling,
        "statistics": list(STATISTICS_OF_POOLING[pooling]),
        "classifier": fitted.kind,
        "strength_name": STRENGTH_NAMES[fitted.kind],
        "strength": fitted.strength,
        "sharpness": fitted.choice.sharpness,
        "held_out_accuracy": fitted.choice.accuracy,
        "held_out_log_loss": fitted.choice.log_loss,
    }


def _shares(training: PooledClips, num_clips: int, num_classes: int) -> np.ndarray:
    counts = np.bincount(training.labels, minlength=num_classes)
    return np.tile(counts / counts.sum(), (num_clips, 1))


def _check_names(name: str, values: Sequence[str], known: Sequence[str]) -> None:
    unknown = [value for value in values if value not in known]
    if unknown or not values or len(set(values)) < len(values):
        raise ValueError(
            f"`{name}` must be one or more of {', '.join(known)}, each once. "
            f"Received: {', '.join(values) or 'none'}."
        )


def _check_out(out: Path, manifest: Manifest) -> None:
    """Refuses a folder that holds something else than baselines of these shards."""
    if not out.exists() or not any(out.iterdir()):
        return
    kept = out / MANIFEST_FILE
    if not kept.is_file() or manifest_checksum(read_manifest(kept)) != manifest_checksum(manifest):
        raise FileExistsError(
            "The output folder must be new, empty, or of baselines on the same shards. "
            f"Received: {out}. Name another folder."
        )
