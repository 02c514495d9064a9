"""The table: a row a method, the paper's number beside what was found here.

`make_table` adds a row when a method is done and writes the table anew.
"""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

from cham_keras.evaluation.report import SCORE_TITLES
from cham_keras.files import replacing_file, write_json
from cham_keras.reproduce.methods import Method
from cham_keras.reproduce.paper_tables import PaperTable
from cham_keras.reproduce.rows import Row, Unit
from cham_keras.reproduce.settings import TableSettings
from cham_keras.runs.run_folder import environment
from cham_keras.settings import flat_settings, settings_to_dict

_STEM = "table"
#: Sentences compare this method with each other one.
_COMPARED = "cham"
_INTERVAL = "95 % interval"
#: Columns that are no numbers.
_TEXTS = ("method", _INTERVAL)


@dataclasses.dataclass(frozen=True)
class Table:
    """What the methods came to on one data set.

    Attributes:
        paper: the paper's table, where the data set is one of its own.
        settings: what the table is made of.
        rows: the methods that are done.
    """

    paper: PaperTable | None
    settings: TableSettings
    rows: tuple[Row, ...]

    @property
    def figure(self) -> str:
        """Name of the score that the table is about."""
        return self.paper.figure if self.paper else "clip_accuracy"

    def with_row(self, method: Method, units: tuple[Unit, ...]) -> "Table":
        """The table with one more row."""
        return dataclasses.replace(self, rows=(*self.rows, Row(method, units, self.figure)))

    def sentences(self) -> list[str]:
        """CHAM against each other method on the same clips, with a probability."""
        of_name = {row.method.name: row for row in self.rows}
        compared = of_name.get(_COMPARED)
        if compared is None or compared.value is None:
            return []
        said = []
        for row in self.rows:
            sure = compared.probability_better_than(row)
            if row is compared or sure is None or row.value is None:
                continue
            points = 100 * (compared.value - row.value)
            sentence = (
                f"CHAM against {row.method.label}: {points:+.1f} points, "
                f"P(CHAM better) = {sure:.2f}"
            )
            if compared.num_seeds > 1:
                sentence += _of_averaged(compared, row)
            said.append(sentence)
        return said

    def to_markdown(self) -> str:
        """The table with its notes."""
        title = self.paper.name if self.paper else f"Methods on {Path(self.settings.root).name}"
        heads = self._heads
        lines = [
            f"# {title}",
            "",
            f"Percent; {SCORE_TITLES[self.figure]}.",
            "",
            f"| {' | '.join(heads)} |",
            f"|{'|'.join('---' if head in _TEXTS else '---:' for head in heads)}|",
            *(self._line(row) for row in self.rows),
            "",
            "Mean ± standard deviation over seeds. The interval draws groups of clips and seeds.",
        ]
        if "averaged" in heads:
            lines[-1] += " Averaged: one method, its probabilities the mean over the seeds."
        lines += ["", *(f"- {sentence}." for sentence in self.sentences())]
        if self.figure == "frame_accuracy":
            lines += ["", *self._lines_over_clips()]
        if self.paper and self.paper.percent_of_class:
            lines += ["", *self._class_lines(self.paper)]
        lines += self._lines_of_divisions()
        if self.paper:
            lines += ["", "Notes:", "", *(f"- {note}" for note in self._notes(self.paper))]
        seeds = ", ".join(map(str, self.settings.seeds))
        lines += [
            "",
            f"Features: {self.settings.backbone}, "
            f"every {_ordinal(self.settings.frame_stride)}frame. "
            f"Seeds {seeds}. {_hardware()}",
        ]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """A row a method; shares, not percent."""
        text = io.StringIO()
        rows = [self._values(row) for row in self.rows]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: "" if v is None else v for name, v in row.items()} for row in rows)
        return text.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "figure": self.figure,
            "settings": settings_to_dict(self.settings),
            "rows": [
                {
                    **self._values(row),
                    "values_of_seeds": row.values_of_seeds,
                    "average_precisions": row.average_precisions(),
                    "divisions": {name: len(r[0].clip_ids) for name, r in row.divisions.items()},
                    "values_of_divisions": row.values_of_divisions,
                    "clip_accuracy": dataclasses.replace(row, figure="clip_accuracy").value,
                }
                for row in self.rows
            ],
            "sentences": self.sentences(),
            "environment": environment(),
        }

    def write(self, folder: Path) -> None:
        """Writes `table.md`, `table.csv` and `table.json`."""
        write_json(folder / f"{_STEM}.json", self.to_dict())
        for suffix, text in ((".md", self.to_markdown()), (".csv", self.to_csv())):
            with replacing_file(folder / f"{_STEM}{suffix}") as temporary:
                temporary.write_text(text)

    def _values(self, row: Row) -> dict[str, Any]:
        paper = self.paper.percent.get(row.method.name) if self.paper else None
        lower, upper = row.interval or (None, None)
        return {
            "method": row.method.name,
            "label": row.method.label,
            "paper": None if paper is None else paper / 100,
            "value": row.value,
            "deviation": row.deviation,
            "lower": lower,
            "upper": upper,
            "averaged": row.averaged_over_seeds.value,
            "runs": len(row.units),
        }

    @property
    def _heads(self) -> list[str]:
        """The columns: the paper's number and ours, or ours alone and the seeds averaged."""
        if self.paper:  # all of them would not fit a terminal; the JSON has them
            return ["method", "paper", "here", "difference", _INTERVAL, "runs"]
        has_seeds = any(row.num_seeds > 1 for row in self.rows)
        return ["method", "here", _INTERVAL, *(["averaged"] if has_seeds else []), "runs"]

    def _line(self, row: Row) -> str:
        values = self._values(row)
        paper, value = values["paper"], values["value"]
        cells = {
            "method": row.method.label,
            "paper": _percent(paper),
            "here": _value_and_deviation(row),
            "difference": "" if None in (paper, value) else f"{100 * (value - paper):+.1f}",
            _INTERVAL: _span(row.interval),
            "averaged": "",
            "runs": str(values["runs"]),
        }
        if row.num_seeds > 1:
            averaged = row.averaged_over_seeds
            cells["averaged"] = f"{_percent(averaged.value)} ({_span(averaged.interval)})"
        return f"| {' | '.join(cells[head] for head in self._heads)} |"

    def _lines_over_clips(self) -> list[str]:
        """Accuracy over whole clips, which every method has."""
        rows = [dataclasses.replace(row, figure="clip_accuracy") for row in self.rows]
        table = dataclasses.replace(self, paper=None, rows=tuple(rows))
        return [
            f"| {SCORE_TITLES['clip_accuracy']}, % | here | {_INTERVAL} |",
            "|---|---:|---|",
            *(
                f"| {row.method.label} | {_value_and_deviation(row)} | {_span(row.interval)} |"
                for row in rows
            ),
            "",
            *(f"- Over clips: {sentence}." for sentence in table.sentences()),
        ]

    def _lines_of_divisions(self) -> list[str]:
        """The figure on each division, where there are several."""
        names = list(self.rows[0].divisions)
        if len(names) < 2:
            return []
        lines = [
            "",
            f"| {SCORE_TITLES[self.figure]}, % | {' | '.join(names)} |",
            "|---|" + "---:|" * len(names),
        ]
        for row in self.rows:
            cells = [_percent(row.values_of_divisions.get(name)) for name in names]
            lines.append(f"| {row.method.label} | {' | '.join(cells)} |")
        return lines

    def _notes(self, paper: PaperTable) -> list[str]:
        """What a reader must know: the paper's notes as far as they hold, and the changes."""
        changes = [f"`{name}` = {value}" for name, value in flat_settings(self.settings.changes)]
        notes = [note.text for note in paper.notes if note.holds(self.settings)]
        if changes:
            notes.append(f"Changed in every recipe that has it: {', '.join(changes)}.")
        return notes

    def _class_lines(self, paper: PaperTable) -> list[str]:
        """Average precision of each class: the paper's and ours, method by method."""
        rows = [row for row in self.rows if row.method.name in paper.percent_of_class]
        if not rows:
            return []
        ours = {row.method.name: row.average_precisions() for row in rows}
        heads = " | ".join(f"{row.method.label}, paper | here" for row in rows)
        lines = [f"| average precision, % | {heads} |", "|---|" + "---:|" * 2 * len(rows)]
        for label in next(iter(ours.values())):
            cells = []
            for row in rows:
                printed = paper.percent_of_class[row.method.name].get(label)
                cells += [
                    "" if printed is None else f"{printed:.1f}",
                    _percent(ours[row.method.name][label]),
                ]
            lines.append(f"| {label} | {' | '.join(cells)} |")
        return lines


def _value_and_deviation(row: Row) -> str:
    spread = "" if row.deviation is None else f" ± {100 * row.deviation:.1f}"
    return _percent(row.value) + spread


def _of_averaged(compared: Row, other: Row) -> str:
    """The end of a sentence: the same with each method's seeds averaged."""
    ours, theirs = compared.averaged_over_seeds, other.averaged_over_seeds
    sure = ours.probability_better_than(theirs)
    if sure is None or ours.value is None or theirs.value is None:
        return ""
    return f"; seeds averaged {100 * (ours.value - theirs.value):+.1f}, P = {sure:.2f}"


def _span(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else " to ".join(_percent(end) for end in ends)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _ordinal(stride: int) -> str:
    """The word before "frame" that says which are taken.

    Example:

    >>> _ordinal(1), _ordinal(2), _ordinal(5)
    ('', '2nd ', '5th ')
    """
    endings = {2: "nd", 3: "rd"}
    return "" if stride == 1 else f"{stride}{endings.get(stride, 'th')} "


def _hardware() -> str:
    facts = environment()
    return f"{facts['processor_count']} cores of {facts['processor']}."
