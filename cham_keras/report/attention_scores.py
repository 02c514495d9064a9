"""How well attention finds the place that matters: the figures of `cham score-attention`.

Comes in: a run folder. Goes out: a table, a measure a row and a kind of map a column.
`write_report` calls it.
"""

import dataclasses
from pathlib import Path
from typing import Any

from cham_keras.attention.explain import ATTENTION_FOLDER
from cham_keras.attention.scores.attention_scores import SCORES_JSON, SCORES_PICTURE
from cham_keras.attention.scores.measures import MEASURES
from cham_keras.files import read_json
from cham_keras.report.wording import NOTHING, number


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """The table.

    Attributes:
        split: the split that was scored; empty where it is not said.
        clips: of how many clips; None where it is not said.
        maps: the columns: the model's maps, and what they are compared with.
        rows: name of the measure, and for each map value and interval in words.
        meanings: of the measures that are known here, what is good of each.
        picture: the PNG that belongs to it; None where there is none.
    """

    split: str
    clips: int | None
    maps: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    meanings: tuple[tuple[str, str], ...]
    picture: Path | None


def read_attention_scores(run_folder: Path) -> ScoreTable | None:
    """Reads the scores of a run.

    Args:
        run_folder: the run's folder.

    Returns:
        the table; None where nobody has scored the run's attention.

    Raises:
        ValueError: the file is no JSON, or holds something else.
    """
    path = run_folder / ATTENTION_FOLDER / SCORES_JSON
    if not path.is_file():
        return None
    stored = read_json(path)
    try:
        of_measure = _by_measure(stored["rows"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must hold `rows` with `measure`, `map`, `value` and `interval`. Received: "
            f"{type(error).__name__} {error}. `cham score-attention` writes it anew."
        ) from error
    maps = tuple(dict.fromkeys(name for row in of_measure.values() for name in row))
    picture = path.with_name(SCORES_PICTURE)
    return ScoreTable(
        split=str(stored.get("split", "")),
        clips=stored.get("clips"),
        maps=maps,
        rows=tuple(
            (measure, tuple(row.get(name, (NOTHING, "")) for name in maps))
            for measure, row in of_measure.items()
        ),
        meanings=tuple((name, said) for name, said in MEASURES.items() if name in of_measure),
        picture=picture if picture.is_file() else None,
    )


def _by_measure(rows: list[dict[str, Any]]) -> dict[str, dict[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for row in rows:
        value, ends = row["value"], row.get("interval")
        said = ""
        if ends is not None and None not in ends:
            lower, upper = ends
            said = f"{number(float(lower))} to {number(float(upper))}"
        value = NOTHING if value is None else number(float(value))
        found.setdefault(str(row["measure"]), {})[str(row["map"])] = (value, said)
    return found
