"""Where a fit stands: what a checkpoint holds beside the variables.

Comes in: figures of one epoch after the other. Goes out: which epoch's model is kept, whether
to stop, and a dictionary for the checkpoint. `callbacks.keep_run` moves it on.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from cham_keras.runs import RunSettings


@dataclass(frozen=True)
class FitPlan:
    """How long a fit is, and what ends it sooner.

    Attributes:
        num_epochs: passes over the training clips.
        steps_per_epoch: steps of each; a step changes the weights once.
        accumulation_steps: parts, or batches, that a step is computed in.
        monitor: the figure of `logs` that decides, such as "val_loss"; None without
            validation, where the last epoch's model is kept.
        patience: stop after so many epochs without a better figure; None: never.
        min_delta: with patience: only what is better by more than this counts.
        min_epochs: do not stop before so many epochs.
    """

    num_epochs: int
    steps_per_epoch: int
    accumulation_steps: int = 1
    monitor: str | None = None
    patience: int | None = None
    min_delta: float = 0.0
    min_epochs: int = 0

    @property
    def batches_per_epoch(self) -> int:
        """Batches, or parts of steps, of an epoch."""
        return self.steps_per_epoch * self.accumulation_steps

    def is_better(self, figure: float, best: float | None, by: float = 0.0) -> bool:
        """Whether a figure of the monitor is better than the best so far, and by more than `by`.

        Example:

        >>> FitPlan(1, 1, monitor="val_loss").is_better(0.5, best=0.7)
        True
        >>> FitPlan(1, 1, monitor="val_clip_accuracy").is_better(0.5, best=0.7)
        False
        """
        if best is None:
            return True
        gain = best - figure if str(self.monitor).endswith("loss") else figure - best
        return gain > by


@dataclass
class FitState:
    """Where a fit stands.

    Attributes:
        epoch: epochs that are done, validation included.
        batch: batches, or parts of steps, that are done of the epoch after these.
        history: a row of figures for each epoch that is done.
        best: the best figure of the monitor; None before the first one.
        kept_epoch: the epoch that has it, counted from 1; 0 before the first one.
        stopped: whether early stopping has ended the fit.
        seconds: how long the fit has taken, over all its starts.
    """

    epoch: int = 0
    batch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    kept_epoch: int = 0
    stopped: bool = False
    seconds: float = 0.0

    def end_epoch(self, logs: dict[str, float], plan: FitPlan) -> None:
        """Takes up an epoch's figures: a row of history, the best one, whether to stop."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.history.append({"epoch": self.epoch, **logs})
        if plan.monitor is None:
            self.kept_epoch = self.epoch
            return
        if plan.is_better(logs[plan.monitor], self.best):
            self.best, self.kept_epoch = logs[plan.monitor], self.epoch
        self.stopped = (
            plan.patience is not None
            and self._epochs_without_better(plan) >= plan.patience
            and self.epoch >= plan.min_epochs
        )

    def _epochs_without_better(self, plan: FitPlan) -> int:
        """Epochs since the last one that was better by more than `min_delta`."""
        monitor, best, at = str(plan.monitor), None, 0
        for row in self.history:
            if plan.is_better(row[monitor], best, by=plan.min_delta):
                best, at = row[monitor], int(row["epoch"])
        return self.epoch - at

    def batches_done(self, plan: FitPlan) -> int:
        """Batches since the fit began: where in the training clips it stands."""
        return self.epoch * plan.batches_per_epoch + self.batch

    def step(self, plan: FitPlan) -> int:
        """Whole steps since the fit began."""
        return self.batches_done(plan) // plan.accumulation_steps

    def is_finished(self, plan: FitPlan) -> bool:
        """Whether nothing is left to train."""
        return self.stopped or self.epoch >= plan.num_epochs

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FitState":
        """From what `to_dict` gave."""
        return cls(**values)


def fit_plan(settings: RunSettings, num_training_clips: int, has_validation: bool) -> FitPlan:
    """How long the fit of settings is.

    Args:
        settings: of the run.
        num_training_clips: clips of the split `train`.
        has_validation: whether there is a split `validation`.

    Raises:
        ValueError: early stopping is asked for, and there is nothing to watch.
    """
    steps_per_epoch = math.ceil(num_training_clips / settings.data.batch_size)
    if settings.patience is not None and not has_validation:
        raise ValueError(
            "`patience` needs a split `validation`. "
            f"Received: patience={settings.patience} and shards without one."
        )
    return FitPlan(
        num_epochs=settings.epochs or math.ceil(settings.iterations / steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        accumulation_steps=settings.optimizer.accumulation_steps,
        monitor=f"val_{settings.monitor}" if has_validation else None,
        patience=settings.patience,
        min_delta=settings.min_delta,
        min_epochs=settings.min_epochs,
    )
