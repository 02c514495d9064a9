"""What a search is at: best so far, running, left, time.

Comes in: an oracle. Goes out: a table for the terminal, and TensorBoard's HParams. `tune` shows
the table after each trial, a chief all the time.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cham_keras.tuning.search_space import Values
from cham_keras.tuning.trials import Trial, shown_values, varied_settings

_ROWS = 5


class SearchWatch:
    """The table of a search, as it stands whenever it is asked for.

    Args:
        oracle: keras-tuner's books.
    """

    def __init__(self, oracle: Any):
        self._oracle = oracle
        self._start = time.monotonic()
        self._ended_before = len(oracle.end_order)

    def table(self, trials: Sequence[Trial]) -> Table:
        """The best trials so far, and a line about the rest.

        Args:
            trials: those that have ended well, in the order of their rank.
        """
        table = table_of_trials(trials[:_ROWS], "best so far", varied_settings(trials))
        table.caption = self._line(len(trials))
        return table

    def _line(self, num_good: int) -> str:
        oracle = self._oracle
        ended = len(oracle.end_order)
        failed = ended - num_good
        running = sorted(trial.trial_id for trial in list(oracle.ongoing_trials.values()))
        seconds = time.monotonic() - self._start
        parts = [f"{ended} ended" + (f" ({failed} failed)" if failed else "")]
        parts.append(f"running: {', '.join(running) or 'none'}")
        ended_here = ended - self._ended_before
        if oracle.max_trials:
            left = oracle.max_trials - ended
            if left > 0:
                parts.append(f"{left} left")
            if ended_here and left > 0:
                parts.append(f"about {_as_time(left * seconds / ended_here)} more")
        parts.append(f"{_as_time(seconds)} so far")
        return "; ".join(parts)


def table_of_trials(trials: Sequence[Trial], title: str, names: Sequence[str]) -> Table:
    """A table for a terminal.

    Args:
        trials: in the order of the rows.
        title: what stands above.
        names: the settings that are shown, such as those that vary over all trials.
    """
    table = Table(
        *("trial", "accuracy", "parameters", "ms a clip", "chosen"),
        title=title,
        title_justify="left",
        caption_justify="left",
    )
    for trial in trials:
        table.add_row(
            trial.name,
            f"{trial.score:.3f}",
            f"{trial.cost.parameters:,}",
            f"{trial.cost.seconds_per_clip * 1000:.3g}",
            ", ".join(f"{name} {shown_values(trial)[name]}" for name in names),
        )
    return table


def _as_time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def log_hparams(folder: Path, name: str, values: Values, metrics: dict[str, float]) -> None:
    """Writes a trial for TensorBoard's HParams.

    Args:
        folder: the logs of the search.
        name: the trial's.
        values: what was chosen.
        metrics: its score and costs.
    """
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    with tf.summary.create_file_writer(str(folder / name)).as_default():
        api.hparams(values, trial_id=name)
        for metric, value in metrics.items():
            tf.summary.scalar(metric, value, step=0)
