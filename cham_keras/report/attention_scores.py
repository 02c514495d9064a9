"""How well attention finds the place that matters: the figures of `cham score-attention`.

Comes in: a run folder. Goes out: a table, a measure a row and a kind of map a column.
`write_report` calls it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cham_keras.attention.explain import ATTENTION_FOLDER
from cham_keras.attention.scores.attention_scores import SCORES_JSON, SCORES_PICTURE
from cham_keras.attention.scores.measures import MEASURES
from cham_keras.files import read_json
from cham_keras.report.wording import NOTHING, number, signed
from cham_keras.runs import Run


@dataclasses.dataclass(frozen=True)
class ScoreCell:
    """A measure of one kind of map, in words; empty where there is nothing.

    Attributes:
        value: the mean.
        interval: its 95 % interval.
        difference: the model's value less this one, with its 95 % interval.
    """

    value: str = NOTHING
    interval: str = ""
    difference: str = ""


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """The table.

    Attributes:
        split: the split that was scored; empty where it is not said.
        clips: of how many clips; None where it is not said.
        maps: the columns: the model's maps, and what they are compared with.
        rows: name of the measure, and a cell for each map.
        meanings: of the measures that are known here, what is good of each.
        picture: the PNG that belongs to it; None where there is none.
        is_of_another_model: whether the run holds another model by now.
    """

    split: str
    clips: int | None
    maps: tuple[str, ...]
    rows: tuple[tuple[str, tuple[ScoreCell, ...]], ...]
    meanings: tuple[tuple[str, str], ...]
    picture: Path | None
    is_of_another_model: bool


def read_attention_scores(run: Run) -> ScoreTable | None:
    """Reads the scores of a run.

    Args:
        run: the run.

    Returns:
        the table; None where nobody has scored the run's attention.

    Raises:
        ValueError: the file is no JSON, or holds something else.
    """
    path = run.folder / ATTENTION_FOLDER / SCORES_JSON
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
            (measure, tuple(row.get(name, ScoreCell()) for name in maps))
            for measure, row in of_measure.items()
        ),
        meanings=tuple((name, said) for name, said in MEASURES.items() if name in of_measure),
        picture=picture if picture.is_file() else None,
        is_of_another_model=run.holds_another_model(str(stored.get("model_sha256", ""))),
    )


def _by_measure(rows: list[dict[str, Any]]) -> dict[str, dict[str, ScoreCell]]:
    found: dict[str, dict[str, ScoreCell]] = {}
    for row in rows:
        value, difference = row["value"], row.get("difference")
        more = ""
        if difference is not None:
            ends = _said(row.get("difference_interval"), signed)
            more = signed(float(difference)) + (f" ({ends})" if ends else "")
        found.setdefault(str(row["measure"]), {})[str(row["map"])] = ScoreCell(
            NOTHING if value is None else number(float(value)),
            _said(row.get("interval"), number),
            more,
        )
    return found


def _said(ends: Sequence[float | None] | None, say: Callable[[float], str]) -> str:
    if ends is None:
        return ""
    lower, upper = ends
    return "" if lower is None or upper is None else f"{say(float(lower))} to {say(float(upper))}"
