"""What an evaluation found, as JSON, CSV, Markdown and a picture."""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.files import replacing_file, write_json


@dataclasses.dataclass(frozen=True)
class Results:
    """Scores of one run on one split.

    Attributes:
        split: name of the split.
        classes: names of the classes.
        clip_ids: paths of the clips as in the clip list.
        labels: int `(clips,)`.
        probabilities: `(clips, classes)`, the mean of the softmax over evenly spaced frames.
        scores: figures by name.
        confusion: counts `(classes, classes)`; rows are labels.
        per_class: figures by class.
    """

    split: str
    classes: tuple[str, ...]
    clip_ids: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    scores: dict[str, Any]
    confusion: np.ndarray
    per_class: dict[str, dict[str, float]]

    def write(self, folder: Path) -> None:
        """Writes `<split>.json`, `<split>.csv` (a row a clip), `<split>.md` and `<split>.png`."""
        write_json(
            folder / f"{self.split}.json",
            {
                **self.scores,
                "per_class": self.per_class,
                "classes": list(self.classes),
                "confusion": self.confusion.tolist(),
            },
        )
        for suffix, text in ((".csv", self.to_csv()), (".md", self.to_markdown())):
            with replacing_file(folder / f"{self.split}{suffix}") as temporary:
                temporary.write_text(text)
        self._plot(folder / f"{self.split}.png")

    def to_csv(self) -> str:
        """A row a clip: path, label, prediction, and the probability of each class."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "label", "predicted", *self.classes])
        for clip, label, row in zip(self.clip_ids, self.labels, self.probabilities, strict=True):
            predicted = self.classes[row.argmax()]
            writer.writerow([clip, self.classes[label], predicted, *(f"{p:.6f}" for p in row)])
        return text.getvalue()

    def to_markdown(self) -> str:
        """The figures and the per-class table."""
        lower, upper = self.scores["clip_accuracy_interval"]
        lines = [
            f"# Split {self.split}: {self.scores['clips']} clips, {self.scores['frames']} frames",
            "",
            "| figure | value |",
            "|---|---|",
            f"| clip accuracy (95 % interval over {self.scores['groups']} groups) "
            f"| {self.scores['clip_accuracy']:.3f} ({lower:.3f} to {upper:.3f}) |",
            f"| frame accuracy | {self.scores['frame_accuracy']:.3f} |",
            f"| mean class accuracy | {self.scores['mean_class_accuracy']:.3f} |",
            f"| mean average precision | {self.scores['mean_average_precision']:.3f} |",
            f"| accuracy of always naming the most frequent class "
            f"| {self.scores['majority_accuracy']:.3f} |",
            "",
            "| class | clips | accuracy | average precision |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {row['clips']} | {row['accuracy']:.3f} | {row['average_precision']:.3f} |"
            for name, row in self.per_class.items()
        ]
        return "\n".join(lines) + "\n"

    def _plot(self, path: Path) -> None:
        from cham_keras.evaluation.plots import plot_confusion

        accuracy = self.scores["clip_accuracy"]
        plot_confusion(
            self.confusion,
            self.classes,
            title=f"{self.split}: clip accuracy {accuracy:.1%} of {len(self.labels)} clips",
            path=path,
        )
