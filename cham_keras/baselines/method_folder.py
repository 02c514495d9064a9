"""What a method that is no Keras model leaves behind: a folder like a run's evaluation.

Comes in: results of clips. Goes out: `evaluation/<split>.*` as for a run, so that
methods can be compared clip by clip, and `method.json`. `pooled_baselines` and
`trajectory_baseline` call this.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cham_keras.data.shards.manifest import versions_of
from cham_keras.evaluation import Results
from cham_keras.files import write_json
from cham_keras.runs.run_folder import EVALUATION_FOLDER

#: How a method came to be: settings, what was chosen, on which clips, with which versions.
METHOD_FILE = "method.json"

_PACKAGES = ("cham-keras", "numpy", "scikit-learn")


def write_method(
    folder: Path,
    method: dict[str, Any],
    results: Results,
    packages: Sequence[str] = (),
    *,
    pictures: bool = True,
) -> None:
    """Writes a method's folder; what is there of an earlier run is replaced.

    Args:
        folder: where.
        method: what `method.json` states, beside the versions.
        results: what the method gives on a split.
        packages: packages, beside the usual ones, whose versions matter.
        pictures: whether to draw pictures of the results.
    """
    results.write(folder / EVALUATION_FOLDER, pictures=pictures)
    versions = versions_of((*_PACKAGES, *packages))
    write_json(folder / METHOD_FILE, {**method, "versions": versions})
