"""What scoring the attention of a run comes to: figures with intervals, curves, and their files.

Comes in: a value a clip for each measure and each way to look. Goes out: `scores.json`,
`scores.md`, `scores.csv` and `scores.png`. `score_attention` makes it, `cham score-attention`
prints it, and `cham report` shows it.
"""

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.attention.scores.measures import MEASURES, MODEL, POINTING
from cham_keras.attention.scores.score_plots import plot_scores
from cham_keras.data import ClipRecord
from cham_keras.evaluation.bootstrap import draw_groups, interval
from cham_keras.evaluation.results_files import without_nan
from cham_keras.files import replacing_file, write_json

SCORES_JSON, SCORES_TABLE = "scores.json", "scores.md"
SCORES_CLIPS, SCORES_PICTURE = "scores.csv", "scores.png"
SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class MapScore:
    """One measure of one way to look.

    Attributes:
        measure: a key of `MEASURES`.
        map: the model's own maps, or what they are held against.
        value: mean over the clips that have one.
        interval: 95 % of it, over draws of groups of clips; nan where all are of one group.
        difference: of the model to this map, on the same clips; None for the model itself and
            where a measure is no contest.
        difference_interval: 95 % of it, over the same draws.
    """

    measure: str
    map: str
    value: float
    interval: tuple[float, float]
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class AttentionScores:
    """The scores of a run's attention on the clips of a split.

    Attributes:
        model: name of the model.
        model_sha256: checksum of its file.
        split: name of the split.
        seed: of draws, orders of chance and shuffles.
        num_shuffles: shuffles that a value of shuffled weights is the mean of.
        clips: the clips.
        frames_with_boxes: steps that have a box, over all clips; 0 without boxes.
        values: by measure and map, `(clips,)`; nan where a clip has none.
        shares: `(points,)`, shares of the cells that go or come; empty without removal.
        curves: by measure and map, `(points,)`: means over the clips.
        entropy_by_step: `(steps,)`, mean over the clips that have the step.
    """

    model: str
    model_sha256: str
    split: str
    seed: int
    num_shuffles: int
    clips: tuple[ClipRecord, ...]
    frames_with_boxes: int
    values: dict[str, dict[str, np.ndarray]]
    shares: np.ndarray
    curves: dict[str, dict[str, np.ndarray]]
    entropy_by_step: np.ndarray

    @property
    def clips_with_boxes(self) -> int:
        """How many clips have a step with a box."""
        of_model = self.values.get(POINTING, {}).get(MODEL)
        return 0 if of_model is None else int(np.isfinite(of_model).sum())

    @property
    def rows(self) -> list[MapScore]:
        """Every measure of every way to look."""
        rows = []
        for measure in MEASURES:
            of_maps = self.values.get(measure, {})
            for name, values in of_maps.items():
                contest = MODEL in of_maps and name != MODEL
                rows.append(self._row(measure, name, values, of_maps[MODEL] if contest else None))
        return rows

    def to_markdown(self) -> str:
        """The table and what the words in it mean."""
        boxes = (
            f"Boxes: {self.frames_with_boxes} frames of {self.clips_with_boxes} clips. "
            if self.frames_with_boxes
            else ""
        )
        lines = [
            f"# Attention of {self.model}: split {self.split}, {len(self.clips)} clips",
            "",
            "| measure | map | value [95 % interval] | model − map |",
            "|---|---|---|---|",
        ]
        for row in self.rows:
            value = _in_words(row.value, row.interval, "")
            difference = ""
            if row.difference is not None and row.difference_interval is not None:
                difference = _in_words(row.difference, row.difference_interval, "+")
            lines.append(f"| {row.measure} | {row.map} | {value} | {difference} |")
        lines += [
            "",
            f"{boxes}{self._intervals_in_words()} Shuffled weights: mean of {self.num_shuffles} "
            "shuffles; shuffled attention: of the attention's weights alone. Seed "
            f"{self.seed}.",
            "",
            *(f"- {name}: {MEASURES[name]}." for name in MEASURES if name in self.values),
        ]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """What stands in `scores.json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "split": self.split,
            "clips": len(self.clips),
            "clips_with_boxes": self.clips_with_boxes,
            "frames_with_boxes": self.frames_with_boxes,
            "num_shuffles": self.num_shuffles,
            "seed": self.seed,
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "shares": self.shares.tolist(),
            "curves": {
                measure: {name: curve.tolist() for name, curve in of_maps.items()}
                for measure, of_maps in self.curves.items()
            },
            "entropy_by_step": self.entropy_by_step.tolist(),
        }

    def write(self, folder: Path | str) -> None:
        """Writes a row a clip, the table, the picture, and last the figures.

        Args:
            folder: where; files of an earlier call are replaced.
        """
        folder = Path(folder)
        # An older one would vouch for what is only being written.
        (folder / SCORES_JSON).unlink(missing_ok=True)
        columns = [(measure, name) for measure in self.values for name in self.values[measure]]
        with (
            replacing_file(folder / SCORES_CLIPS) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["path", "group", *(f"{of}: {name}" for of, name in columns)])
            for index, clip in enumerate(self.clips):
                cells = [self.values[of][name][index] for of, name in columns]
                shown = ["" if math.isnan(cell) else f"{cell:.9g}" for cell in cells]
                writer.writerow([clip.id, clip.group, *shown])
        with replacing_file(folder / SCORES_TABLE) as temporary:
            temporary.write_text(self.to_markdown(), encoding="utf-8")
        plot_scores(self, folder / SCORES_PICTURE)
        write_json(folder / SCORES_JSON, without_nan(self.to_json()))

    def _intervals_in_words(self) -> str:
        groups = len({clip.group for clip in self.clips})
        if groups < 2:
            return "No intervals: all clips are of one group."
        return f"Intervals: draws of {groups} groups of clips."

    def _row(
        self, measure: str, name: str, values: np.ndarray, of_model: np.ndarray | None
    ) -> MapScore:
        value, ends = self._mean(values)
        if of_model is None:
            return MapScore(measure, name, value, ends)
        return MapScore(measure, name, value, ends, *self._mean(of_model - values))

    def _mean(self, values: np.ndarray) -> tuple[float, tuple[float, float]]:
        """Mean over the clips that have a value, and its interval."""
        known = np.isfinite(values)
        groups = np.array([clip.group for clip in self.clips])[known]
        if len(set(groups)) < 2:  # nothing says how much another group would differ
            return float(values[known].mean()), (math.nan, math.nan)
        draws = draw_groups(groups, self.seed)
        drawn = draws.totals(values[known]) / draws.totals(np.ones(known.sum()))
        return float(values[known].mean()), interval(drawn)


def _in_words(value: float, ends: tuple[float, float], sign: str) -> str:
    said = f"{value:{sign}.3f}"
    if any(map(math.isnan, ends)):
        return said
    return f"{said} [{ends[0]:{sign}.3f}, {ends[1]:{sign}.3f}]"
