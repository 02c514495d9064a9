"""What a search has found so far, from keras-tuner's books onto the disk and the terminal.

Comes in: an oracle. Goes out: a `Search`, and the files of `report`. `tune` has it written when it
begins and after each trial.
"""

from collections import Counter
from pathlib import Path

import keras_tuner
from rich.table import Table

from cham_keras.progress import stderr
from cham_keras.runs.run_folder import LAST_MODEL_FILE, MODEL_FILE
from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.oracles import OBJECTIVE
from cham_keras.tuning.report import write_failures, write_report
from cham_keras.tuning.search_space import Values
from cham_keras.tuning.trade_offs import best_trade_offs
from cham_keras.tuning.trials import FailedTrial, Search, Trial
from cham_keras.tuning.tuner import ended_trials
from cham_keras.tuning.watch import SearchWatch, log_hparams

LOGS_FOLDER = "tensorboard"


class Books:
    """What has been found so far, from keras-tuner's books, and on the disk.

    Args:
        oracle: with the books.
        hyper_model: makes settings of its values.
        out: the folder of the search.
        validation_clips: number of clips that give the scores.
        first: values of the settings as they stood.

    Attributes:
        is_live: whether somebody else shows the table.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hyper_model: CHAMHyperModel,
        out: Path,
        validation_clips: int,
        first: Values | None,
    ):
        self._oracle, self._hyper_model, self._out = oracle, hyper_model, out
        self._validation_clips, self._first = validation_clips, first
        self._watch = SearchWatch(oracle)
        self.is_live = False

    def search(self) -> Search:
        """What the trials that have ended found.

        Raises:
            ValueError: none has ended well.
        """
        trials, failed = self._ended()
        if not trials:
            reasons = Counter(failure.reason for failure in failed)
            why = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
            raise ValueError(
                f"A search must have at least one trial that ends well. Of {len(failed)} in "
                f"{self._out} none did: {why}. Name another folder, with smaller models or a "
                "lower `optimizer.learning_rate`."
            )
        return self._search_of(trials, failed)

    def write(self) -> None:
        """Writes what has been found so far, also what a kill left out before."""
        trials, failed = self._ended()
        if not trials:
            if failed:
                write_failures(failed, self._out)
            return
        for trial in trials:
            if not (self._out / LOGS_FOLDER / trial.name).exists():
                metrics = {OBJECTIVE: trial.score, **trial.cost.to_metrics()}
                log_hparams(self._out / LOGS_FOLDER, trial.name, trial.values, metrics)
        kept = {trial.name for trial in best_trade_offs(trials)}
        for trial in trials:  # models are large, and the run can be made again
            gone = [LAST_MODEL_FILE] if trial.name in kept else [LAST_MODEL_FILE, MODEL_FILE]
            for file in (file for name in gone for file in trial.run.rglob(name)):
                file.unlink(missing_ok=True)
        write_report(self._search_of(trials, failed))

    def write_and_show(self) -> None:
        """Writes what has been found so far, and shows it."""
        self.write()
        if not self.is_live:
            stderr.print(self.table())

    def table(self) -> Table:
        """The table of the terminal."""
        return self._watch.table(self._ended()[0])

    def _ended(self) -> tuple[tuple[Trial, ...], tuple[FailedTrial, ...]]:
        return ended_trials(self._oracle, self._hyper_model, self._out)

    def _search_of(self, trials: tuple[Trial, ...], failed: tuple[FailedTrial, ...]) -> Search:
        return Search(trials, failed, self._out, self._validation_clips, self._first)
