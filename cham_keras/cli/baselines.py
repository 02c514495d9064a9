"""`cham baselines`: shards in, a table of linear classifiers on pooled features out."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout

# The names of `baselines.pooling.Pooling` and `baselines.linear_classifiers.Classifier`, whose
# modules are heavy to import.
_Pooling = Literal[
    "mean",
    "mean_max",
    "mean_std",
    "change",
    "peak_change",
    "drift",
    "mean_change",
    "mean_drift",
    "everything",
]
_Classifier = Literal["logistic", "ridge"]


def baselines(
    shards: Location,
    *,
    out: Path,
    split: str = "test",
    pooling: Annotated[list[_Pooling] | None, Parameter(negative="")] = None,
    classifier: Annotated[list[_Classifier] | None, Parameter(negative="")] = None,
    add_validation: Annotated[bool, Parameter(negative="")] = False,
    folds: int = 5,
    seed: int = 0,
    pictures: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Fit linear classifiers on pooled features of shards, as a yardstick for models.

    Each classifier's strength is chosen by cross-validation over whole groups inside the
    training clips. Each method gets a folder OUT/METHOD with evaluation/SPLIT.json, .csv,
    and .md, as a run has them; OUT/baselines.md is the table. The pooled features
    are kept, so that the same command is quick the second time.

    Examples:

        cham baselines shards --out baselines
        cham baselines shards --out baselines --pooling mean --pooling mean_drift
        cham baselines shards --out baselines_more --add-validation

    Parameters
    ----------
    shards
        Folder that `cham extract` has written; a path or a URL.
    out
        The folder to write: new, or of an earlier call on the same shards.
    split
        What is evaluated.
    pooling
        What is taken over time and space of each channel: mean, max, std (deviation),
        change (mean difference of neighbouring frames), drift (last third less the first),
        some of these, or everything; can be given again. All by default.
    classifier
        logistic (multinomial logistic regression) or ridge; can be given again. Both by
        default.
    add_validation
        Also fit on the clips of the split validation.
    folds
        Folds of the cross-validation; each class needs as many groups.
    seed
        Of the folds and of the intervals.
    pictures
        Draw the pictures of each method, as a run has them; takes a second a method.
    """
    from cham_keras.baselines import pooled_baselines
    from cham_keras.baselines.pooled_baselines import CLASSIFIERS, POOLINGS, TABLE_FILE

    pooled_baselines(
        shards,
        out,
        split=split,
        poolings=pooling or POOLINGS,
        classifiers=classifier or CLASSIFIERS,
        add_validation=add_validation,
        num_folds=folds,
        seed=seed,
        pictures=pictures,
    )
    stdout.print(Markdown((out / TABLE_FILE).read_text()))
    stdout.print(
        escape(f"Written to {out}. A model should beat the best of these: cham train {shards}"),
        soft_wrap=True,
    )
