"""How well attention finds the place that matters: the figures of `cham score-attention`.

Comes in: a run folder. Goes out: a table, a row a measure of a kind of map.
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
class ScoreRow:
    """A measure of one kind of map, in words; empty where there is nothing.

    Attributes:
        measure: what was measured.
        map: the model's own maps, or what they are held against.
        value: the mean.
        interval: its 95 % interval.
        difference: the model's value less this one.
        difference_interval: its 95 % interval.
    """

    measure: str
    map: str
    value: str
    interval: str
    difference: str
    difference_interval: str


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """The table.

    Attributes:
        split: the split that was scored; empty where it is not said.
        clips: of how many clips; None where it is not said.
        rows: those of a measure one behind the other.
        meanings: of the measures that are known here, what is good of each.
        picture: the PNG that belongs to it; None where there is none.
        is_of_another_model: whether the run holds another model by now.
    """

    split: str
    clips: int | None
    rows: tuple[ScoreRow, ...]
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
        rows = tuple(_row(row) for row in stored["rows"])
        clips = None if stored.get("clips") is None else int(stored["clips"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must hold `rows` with `measure`, `map`, `value` and `interval`. Received: "
            f"{type(error).__name__} {error}. `cham score-attention` writes it anew."
        ) from error
    measures = {row.measure for row in rows}
    picture = path.with_name(SCORES_PICTURE)
    return ScoreTable(
        split=str(stored.get("split", "")),
        clips=clips,
        rows=rows,
        meanings=tuple((name, said) for name, said in MEASURES.items() if name in measures),
        picture=picture if picture.is_file() else None,
        is_of_another_model=run.holds_another_model(str(stored.get("model_sha256", ""))),
    )


def _row(stored: dict[str, Any]) -> ScoreRow:
    value, difference = stored["value"], stored.get("difference")
    return ScoreRow(
        measure=str(stored["measure"]),
        map=str(stored["map"]),
        value=NOTHING if value is None else number(float(value)),
        interval=_said(stored["interval"], number),
        difference="" if difference is None else signed(float(difference)),
        difference_interval=_said(stored.get("difference_interval"), signed),
    )


def _said(ends: Sequence[float | None] | None, say: Callable[[float], str]) -> str:
    if ends is None:
        return ""
    lower, upper = ends
    return "" if lower is None or upper is None else f"{say(float(lower))} to {say(float(upper))}"
