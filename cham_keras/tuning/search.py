"""What a search has found, as a table and as a settings file.

`tune` makes it after each trial, so a search that is broken off leaves both.
"""

import dataclasses
from pathlib import Path

from cham_keras.files import replacing_file
from cham_keras.runs import RunSettings
from cham_keras.settings import write_settings

BEST_FILE = "best.toml"
TRIALS_FILE = "trials.md"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One combination that was tried.

    Attributes:
        values: what was chosen, by setting.
        run: the trial's run folder; the best trial's holds its model.
        settings: the settings that it trained with.
        score: best accuracy over the validation clips; None where the trial failed.
        parameters: number of weights; None where the trial failed.
        failure: why the trial failed; empty where it did not.
    """

    values: dict[str, int]
    run: Path
    settings: RunSettings
    score: float | None = None
    parameters: int | None = None
    failure: str = ""

    @property
    def rank(self) -> tuple[float, float]:
        """Sorts trials: the best first, of equal scores the smaller model, failed ones last."""
        if self.score is None or self.parameters is None:
            return (1.0, 0.0)
        return (-self.score, self.parameters)


@dataclasses.dataclass(frozen=True)
class Search:
    """A search: what was tried so far, and the best of it.

    Attributes:
        trials: all trials that have ended, in the order of their rank. At least the
            first one ended well.
        folder: where `best.toml`, `trials.md` and the trials' run folders lie.
    """

    trials: tuple[Trial, ...]
    folder: Path

    @property
    def best(self) -> RunSettings:
        """The settings of the best trial."""
        return self.trials[0].settings

    def to_markdown(self) -> str:
        """A table with a row a trial."""
        names = list(self.trials[0].values)
        rows = [
            f"| {' | '.join(names)} | parameters | validation accuracy | run |",
            "|" + "---|" * (len(names) + 3),
        ]
        for trial in self.trials:
            values = " | ".join(str(trial.values[name]) for name in names)
            parameters = "" if trial.parameters is None else f"{trial.parameters:,}"
            score = f"failed: {trial.failure}" if trial.score is None else f"{trial.score:.3f}"
            run = trial.run.relative_to(self.folder)
            rows.append(f"| {values} | {parameters} | {score} | {run} |")
        return "\n".join(rows) + "\n"

    def write(self) -> None:
        """Writes `best.toml` and `trials.md`."""
        write_settings(
            self.folder / BEST_FILE,
            self.best,
            comment=f"The best of {len(self.trials)} trials: accuracy {self.trials[0].score:.3f} "
            f"over the validation clips.\nTrain with: cham --settings {BEST_FILE} train SHARDS "
            "--out RUN",
        )
        with replacing_file(self.folder / TRIALS_FILE) as temporary:
            temporary.write_text(self.to_markdown())
