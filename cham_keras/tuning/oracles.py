"""What is tried next: keras-tuner's oracles, which propose what goes together, each thing once.

Comes in: `Proposals`. Goes out: an oracle for random, Bayesian or Hyperband search, with the books
of what was tried. `tuner` runs what they propose, `tune` chooses one.
"""

import functools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import keras_tuner
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from cham_keras.files import replacing_file
from cham_keras.tuning.proposals import Proposals
from cham_keras.tuning.search_space import Values

OBJECTIVE = "val_clip_accuracy"

Strategy = Literal["random", "bayesian", "hyperband"]

#: keras-tuner's own, beside a folder for each trial.
BOOKS_FILE = "oracle.json"

#: Asks for trials where there is no worker.
_NOBODY = "nobody"

Method = TypeVar("Method", bound=Callable[..., Any])


def _locked(method: Method) -> Method:
    """keras-tuner's lock of an oracle, which is let go after an error, too; its own is not."""

    @keras_tuner.synchronized
    def caught(*arguments: Any) -> tuple[Any, BaseException | None]:
        try:
            return method(*arguments), None
        except BaseException as error:
            return None, error

    @functools.wraps(method)
    def locked(*arguments: Any) -> Any:
        result, error = caught(*arguments)
        if error is not None:
            raise error
        return result

    return locked  # type: ignore[return-value]


class _NumberOfTrials(int):
    """A number of trials, as wide in writing as the names of trials are in every search."""

    def __str__(self) -> str:
        return "0" * 3  # keras-tuner takes the width of names from it


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
    max_trials: int
    start_order: list[str]
    end_order: list[str]
    _retry_queue: list[str]
    _project_dir: str
    _get_oracle_fname: Callable[[], str]
    _get_trial_dir: Callable[[str], str]
    get_state: Callable[[], dict[str, Any]]

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
        self.max_trials = _NumberOfTrials(self.max_trials or 0)  # 0: as many as there are
        self.proposals = proposals
        self.on_trial_ended: Callable[[], None] = lambda: None

    @_locked
    def create_trial(self, tuner_id: str) -> Any:
        """The next trial; where none is left, the word to wait while others still run."""
        trial = super().create_trial(tuner_id)  # type: ignore[misc]
        # One of them may be given back, and who has left does not come again.
        if trial.status == "STOPPED" and self.ongoing_trials:
            trial.status = "IDLE"
            self.tuner_ids.add(tuner_id)
        return trial

    @_locked
    def end_trial(self, trial: Any) -> None:
        """Enters the end in the books."""
        # Given to another worker meanwhile, which was quicker?
        is_news = trial.trial_id not in self.end_order
        if is_news:
            super().end_trial(trial)  # type: ignore[misc]
        # keras-tuner saves first and forgets then, so that a kill in between makes an ended trial
        # one to go on with.
        self._forget_ended()
        self.save()
        if is_news:
            self.on_trial_ended()

    def reload(self) -> None:
        """Reads the books of a search that goes on.

        Raises:
            ValueError: they are broken; the file is named.
        """
        place = Path(self._project_dir)
        broken = f"The books of the search in {place.parent} are broken"
        then = "Put it back from a copy, or name another folder with --out."
        for path in [place / BOOKS_FILE, *sorted(place.glob("trial_*/trial.json"))]:
            try:
                json.loads(path.read_text())
            except ValueError as error:
                raise ValueError(f"{broken}: {path} must be JSON ({error}). {then}") from None
        try:
            super().reload()  # type: ignore[misc]
        except (KeyError, RuntimeError) as error:
            path = place / BOOKS_FILE
            raise ValueError(
                f"{broken}: {path} and the trials beside it do not fit. {then}"
            ) from error
        if lost := set(self.start_order) - set(self.trials):
            path = place / f"trial_{min(lost)}" / "trial.json"
            raise ValueError(f"{broken}: there is no {path}. {then}")
        # A trial that was killed before the books knew of it; its values are drawn again.
        for trial_id in set(self.trials) - set(self.start_order):
            del self.trials[trial_id]
        self._forget_ended()

    def save(self) -> None:
        """Writes the books, whole or not at all."""
        with replacing_file(Path(self._get_oracle_fname())) as temporary:
            temporary.write_text(json.dumps(self.get_state()))

    def _save_trial(self, trial: Any) -> None:
        path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        with replacing_file(path) as temporary:
            temporary.write_text(json.dumps(trial.get_state()))

    def _forget_ended(self) -> None:
        """Takes what has ended out of what runs and what waits."""
        ended = set(self.end_order)
        self._retry_queue[:] = [name for name in self._retry_queue if name not in ended]
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id in ended:
                del self.ongoing_trials[tuner_id]

    @_locked
    def waiting_trials(self) -> list[str]:
        """Trials that were begun and that nobody works on."""
        return list(self._retry_queue)

    @_locked
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

    @_locked
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

    @_locked
    def has_ended(self) -> bool:
        """Whether no trial runs, waits or is left to try, and no worker is there."""
        if self.ongoing_trials or self._retry_queue or self.tuner_ids:
            return False
        if not self.end_order:
            return False  # of a space something can be tried
        status = self.create_trial(_NOBODY).status
        self.give_back(_NOBODY)  # if there was one left, whoever comes gets it
        return status == "STOPPED"

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
    max_trials = proposals.count(max_trials)
    if strategy == "random":
        return RandomOracle(proposals, max_trials=max_trials)
    # keras-tuner takes three for each setting, which few searches get beyond.
    dimensions = sum(len(choices) > 1 for choices in proposals.space.choices().values())
    initial = max(3, min(3 * dimensions, max_trials // 3))
    return BayesianOracle(proposals, max_trials=max_trials, num_initial_points=initial)
