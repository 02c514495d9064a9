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
from cham_keras.settings import settings_to_dict

_STEM = "table"
#: Sentences compare this method with each other one.
_COMPARED = "cham"


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
            said.append(
                f"CHAM against {row.method.label}: {points:+.1f} points, "
                f"P(CHAM better) = {sure:.2f}"
            )
        return said

    def to_markdown(self) -> str:
        """The table with its notes."""
        title = self.paper.name if self.paper else f"Methods on {Path(self.settings.root).name}"
        lines = [
            f"# {title}",
            "",
            f"Percent; {SCORE_TITLES[self.figure]}.",
            "",
            "| method | paper | here | difference | 95 % interval | runs |",
            "|---|---:|---:|---:|---|---:|",
            *(self._line(row) for row in self.rows),
            "",
            "Mean ± standard deviation over seeds. The interval draws groups of clips and seeds.",
        ]
        lines += ["", *(f"- {sentence}." for sentence in self.sentences())]
        if self.paper and self.paper.percent_of_class:
            lines += ["", *self._class_lines(self.paper)]
        if self.paper:
            lines += ["", "Notes:", "", *(f"- {note}" for note in self.paper.notes)]
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
            "runs": len(row.units),
        }

    def _line(self, row: Row) -> str:
        values = self._values(row)
        paper, value = values["paper"], values["value"]
        cells = [
            row.method.label,
            _percent(paper),
            _percent(value)
            + (f" ± {100 * row.deviation:.1f}" if row.deviation is not None else ""),
            "" if None in (paper, value) else f"{100 * (value - paper):+.1f}",
            "" if row.interval is None else " to ".join(_percent(end) for end in row.interval),
            str(values["runs"]),
        ]
        return f"| {' | '.join(cells)} |"

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


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _ordinal(stride: int) -> str:
    return "" if stride == 1 else f"{stride}th "


def _hardware() -> str:
    facts = environment()
    return f"{facts['processor_count']} cores of {facts['processor']}."
