"""What is tried next: keras-tuner's oracles, which propose what goes together, each thing once.

Comes in: a space and the settings around it. Goes out: an oracle for random, Bayesian or
Hyperband search. `tuner` runs what they propose, `tune` chooses one.
"""

import random
import warnings
from collections.abc import Callable, Collection
from typing import Any, Literal

import keras_tuner
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from cham_keras.tuning.search_space import SearchSpace, Values

OBJECTIVE = "val_clip_accuracy"

Strategy = Literal["random", "bayesian", "hyperband"]

#: Of a space with more combinations not all are looked at.
_MOST_LISTED = 10_000
_MOST_DRAWS = 2_000


class Proposals:
    """Combinations in a random order that the seed decides.

    Args:
        space: the choices.
        first: what is proposed first, such as the settings as they stand; None for nothing.
        seed: decides the order. A search that goes on has the same order.
        goes: whether values go together.
    """

    def __init__(
        self, space: SearchSpace, first: Values | None, seed: int, goes: Callable[[Values], bool]
    ):
        self.space, self.first, self.seed, self.goes = space, first, seed, goes

    def draw(self, number: int, tried: Collection[tuple]) -> Values | None:
        """The values of a trial.

        Args:
            number: of the trial, from 0.
            tried: what `key` gives for each of the trials before.

        Returns:
            None where nothing is left.
        """
        if self.first is not None and self.key(self.first) not in tried and self.goes(self.first):
            return dict(self.first)  # keras-tuner adds to it
        generator = random.Random(f"{self.seed} {number}")
        total = self.space.num_combinations()
        if total <= _MOST_LISTED:
            numbers = generator.sample(range(total), total)
        else:
            numbers = [generator.randrange(total) for _ in range(_MOST_DRAWS)]
        for combination in map(self.space.combination, numbers):
            if self.key(combination) not in tried and self.goes(combination):
                return combination
        return None

    def key(self, values: Values) -> tuple:
        """Values as something that can be compared, whatever else stands among them."""
        return tuple(values[name] for name in self.space.choices())


class _OfProposals:
    """An oracle whose random values are those of `Proposals`.

    Args:
        proposals: what can be tried.
        arguments: of keras-tuner's oracle.

    Attributes:
        on_trial_ended: is called after each trial that has ended.
    """

    proposals: Proposals
    trials: dict[str, Any]
    ongoing_trials: dict[str, Any]
    tuner_ids: set[str]
    end_order: list[str]
    _retry_queue: list[str]
    save: Callable[[], None]

    def __init__(self, proposals: Proposals, **arguments: Any):
        super().__init__(  # type: ignore[call-arg]
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            # keras-tuner takes 0 for none, and draws one.
            seed=proposals.seed + 1,
            # A model that is too large for the memory says nothing of the others.
            max_consecutive_failed_trials=2**31,
            **arguments,
        )
        self.verbose = 0
        self.proposals = proposals
        self.on_trial_ended: Callable[[], None] = lambda: None

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Any:
        """The next trial; where none is left, the word to wait while others still run."""
        trial = super().create_trial(tuner_id)  # type: ignore[misc]
        # One of them may be given back, and who has left does not come again.
        if trial.status == "STOPPED" and self.ongoing_trials:
            trial.status = "IDLE"
            self.tuner_ids.add(tuner_id)
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial: Any) -> None:
        """Enters the end in the books."""
        if trial.trial_id in self.end_order:
            return  # given to another worker meanwhile, which was quicker
        super().end_trial(trial)  # type: ignore[misc]
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        self.on_trial_ended()

    @keras_tuner.synchronized
    def waiting_trials(self) -> list[str]:
        """Trials that were begun and that nobody works on."""
        return list(self._retry_queue)

    @keras_tuner.synchronized
    def give_back(self, tuner_id: str) -> str | None:
        """Takes a worker off the books; whoever asks next gets its trial.

        Args:
            tuner_id: of the worker.

        Returns:
            the trial; None if it had none.
        """
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial is None:
            return None
        self._retry_queue.append(trial.trial_id)
        self.save()
        return trial.trial_id

    @keras_tuner.synchronized
    def take_again(self, tuner_id: str, trial_id: str) -> None:
        """Gives a trial that waits to the worker that was at it all the time.

        Args:
            tuner_id: of the worker.
            trial_id: what it works on; nothing happens if that does not wait.
        """
        if trial_id in self._retry_queue:
            self._retry_queue.remove(trial_id)
            trial = self.trials[trial_id]
            trial.status = "RUNNING"
            self.ongoing_trials[tuner_id] = trial
            self.tuner_ids.add(tuner_id)
            self.save()

    @keras_tuner.synchronized
    def is_idle(self) -> bool:
        """Whether no trial runs or waits and no worker is there."""
        return not (self.ongoing_trials or self._retry_queue or self.tuner_ids)

    def _random_values(self) -> Values | None:
        return self.proposals.draw(len(self.trials), self._tried())

    def _tried(self) -> set[tuple]:
        return {self.proposals.key(trial.hyperparameters.values) for trial in self.trials.values()}

    def _answer(self, values: Values | None) -> dict[str, Any]:
        if values is None:
            return {"status": "STOPPED", "values": None}
        return {"status": "RUNNING", "values": values}


class RandomOracle(_OfProposals, keras_tuner.Oracle):
    """Every combination at most once, in a random order.

    keras-tuner's random search draws again and again and gives up after some combinations that
    it has had, so it often misses the last ones of a small space.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial."""
        return self._answer(self._random_values())


class BayesianOracle(_OfProposals, keras_tuner.oracles.BayesianOptimizationOracle):
    """keras-tuner's Gaussian process over what has been tried, after some random trials."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial."""
        ended = sum(trial.status == "COMPLETED" for trial in self.trials.values())
        if ended < self.num_initial_points:
            return self._answer(self._random_values())
        # By the number of trials, so that a search that goes on goes on as it would have.
        self._random_state = np.random.RandomState(self.seed + len(self.trials))
        with warnings.catch_warnings():
            # The process is fitted anew for each trial; that a fit is rough changes little.
            warnings.simplefilter("ignore", ConvergenceWarning)
            values = super().populate_space(trial_id)["values"]
        if self.proposals.key(values) in self._tried() or not self.proposals.goes(values):
            values = self._random_values()
        return self._answer(values)


class HyperbandOracle(_OfProposals, keras_tuner.oracles.HyperbandOracle):
    """keras-tuner's Hyperband: many models for a few epochs, the better ones for more."""


def make_oracle(
    strategy: Strategy, proposals: Proposals, max_trials: int, max_epochs: int
) -> keras_tuner.Oracle:
    """The oracle of a strategy.

    Args:
        strategy: which.
        proposals: what can be tried.
        max_trials: number of trials; Hyperband's follow from the epochs.
        max_epochs: of Hyperband's longest trials.
    """
    if strategy == "hyperband":
        return HyperbandOracle(proposals, max_epochs=max_epochs)
    max_trials = min(max_trials, proposals.space.num_combinations())
    if strategy == "random":
        return RandomOracle(proposals, max_trials=max_trials)
    # keras-tuner takes three for each setting, which few searches get beyond.
    dimensions = sum(len(choices) > 1 for choices in proposals.space.choices().values())
    initial = max(3, min(3 * dimensions, max_trials // 3))
    return BayesianOracle(proposals, max_trials=max_trials, num_initial_points=initial)
