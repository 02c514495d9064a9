"""The search: shards in, the best trade-offs out, as files that `cham train` takes.

`proposals` says what is tried, `tuner` how a trial runs, `report` what is left to read,
`cluster` how several machines share the work.
"""

import contextlib
import hashlib
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import keras_tuner
from rich.live import Live

from cham_keras.data import Manifest, read_manifest, resplit_to_validate, write_manifest
from cham_keras.paths import AnyPath, as_path
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings
from cham_keras.runs.model_size import num_parameters
from cham_keras.runs.run_folder import LAST_MODEL_FILE, MODEL_FILE
from cham_keras.settings import read_settings, settings, settings_to_dict, write_settings
from cham_keras.training import resolve
from cham_keras.tuning.cluster import Cluster, chief_errors_named, run_chief
from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.proposals import OBJECTIVE, Proposals, Strategy, make_oracle
from cham_keras.tuning.report import write_report
from cham_keras.tuning.search_space import (
    SearchSpace,
    Values,
    values_in,
    why_invalid,
    with_values,
)
from cham_keras.tuning.trade_offs import best_trade_offs
from cham_keras.tuning.trial_cost import physical_memory_bytes
from cham_keras.tuning.trials import FailedTrial, Search, Trial
from cham_keras.tuning.tuner import BOOKS_FOLDER, RUNS_FOLDER, TrainingTuner, ended_trials
from cham_keras.tuning.watch import SearchWatch, log_hparams

SEARCH_FILE = "search.toml"
LOGS_FOLDER = "tensorboard"
_PLAN = "plan"


@settings
class SearchSettings:
    """What decides the trials of a search, and must not change while it goes on."""

    run: RunSettings
    """All settings that are not searched."""
    space: SearchSpace
    """The values that are tried."""
    strategy: Strategy = "random"
    """How the next trial is chosen."""
    max_parameters: int | None = None
    """A model with more weights is not proposed."""
    folds: int | None = None
    """In how many folds the clips to train and validate on are laid; None for the splits."""


def tune(
    shards: AnyPath | str,
    out: Path,
    settings: RunSettings | None = None,
    space: SearchSpace | None = None,
    max_trials: int = 10,
    *,
    strategy: Strategy = "random",
    max_parameters: int | None = None,
    folds: int | None = None,
    memory_limit_bytes: int | None = None,
    cluster: Cluster | None = None,
) -> Search | None:
    """Searches kernel sizes, channels and whatever else the space names.

    Each trial is a run of `train` with the same seed, on the split `train`; the best
    accuracy over the clips of `validation` is its score. The first trial is that of the settings
    as they stand, where they are in the space. No combination is tried twice, and none that
    does not go together. A model that is too large for the memory, or whose loss diverges,
    fails and stands at the end of the table. A search that was broken off goes on where it
    was, and the trial in it from its checkpoint; one that has ended goes on with a larger
    `max_trials`.

    Args:
        shards: a folder that `cham extract` has written, with a split `validation`.
        out: the folder to write: new, empty, or with a search to go on with.
        settings: all settings that are not searched.
        space: the values that are tried.
        max_trials: number of combinations; all, if there are fewer. Hyperband has its own.
        strategy: "random"; "bayesian", by a Gaussian process over what was tried; "hyperband",
            many models for a few epochs and the better ones anew for more, up to
            `settings.epochs`.
        max_parameters: a model with more weights is not proposed.
        folds: train each combination so many times, each time without another part of the clips
            of `train` and `validation`, by groups; the score is the accuracy over all these
            clips, each scored by the run that did not see it.
        memory_limit_bytes: one that needs more memory to train is not started; by default this
            machine's memory.
        cluster: what this process is in a search on several machines.

    Returns:
        the search; None of a worker, whose chief has it. In `out` lie `best.toml`, `report.md`
        with `trade-offs.png`, `trials.md` and `trade-offs/<trial>.toml`, written anew after each
        trial, a run folder a trial, of which the best trade-offs' hold their models,
        TensorBoard's logs and keras-tuner's books.

    Raises:
        ValueError: the shards have no split `validation`, the model has no kernels or not
            a setting that it was given or that is searched, the folder holds a search with
            other settings or shards, or no trial ended well.
        FileExistsError: the folder holds files and no search.
        ChiefUnreachableError: a worker's chief is away for longer than its patience.
        OSError: a chief cannot listen at its address.
    """
    shards, out, cluster = as_path(shards), Path(out), cluster or Cluster()
    for name, limit in (
        ("max_trials", max_trials),
        ("max_parameters", max_parameters),
        ("memory_limit_bytes", memory_limit_bytes),
    ):
        if limit is not None and limit < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {limit}.")
    if folds is not None and folds < 2:
        raise ValueError(f"`folds` must be at least 2. Received: {folds}.")
    base = resolve(settings or RunSettings())
    if strategy == "hyperband" and base.epochs is None:
        raise ValueError(
            "Hyperband divides epochs among trials, so `epochs` must be given. Received: none. "
            "Give --epochs, the longest that a trial may train."
        )
    plan = SearchSettings(base, space or SearchSpace(), strategy, max_parameters, folds)
    manifest = read_manifest(shards)
    if folds is None and "validation" not in manifest.splits:
        raise ValueError(
            "A search needs shards with a split `validation`, whose clips score the trials. "
            f"Received: {shards} with {', '.join(manifest.splits)}. Give some clips of the clip "
            "list that split and extract again, or validate on folds (`folds`)."
        )
    hyper_model = CHAMHyperModel(
        plan.run,
        manifest.feature_shape,
        len(manifest.classes),
        plan.space,
        math.ceil(manifest.split("train").clips / plan.run.data.batch_size),
    )
    hyper_model.build(keras_tuner.HyperParameters())  # refuses settings before anything is written
    proposals = _proposals(plan, manifest)
    if cluster.role != "worker":
        _open_folder(out, plan, manifest)
    oracle = make_oracle(strategy, proposals, max_trials, base.epochs or 1)
    # Workers see by it that they have the chief's settings.
    oracle.hyperparameters.Fixed(_PLAN, _digest(plan))
    with contextlib.ExitStack() as stack:
        stack.enter_context(cluster.environment())
        stack.enter_context(chief_errors_named(cluster))
        scored = [shards]
        if folds is not None:
            scored = _views(shards, stack.enter_context(TemporaryDirectory()), folds, base.seed)
        tuner = TrainingTuner(
            *(oracle, hyper_model, scored, out), memory_limit_bytes or physical_memory_bytes()
        )
        if cluster.role == "worker":
            _check_plan(tuner, plan, cluster)
            _search(tuner)
            return None
        clips = sum(read_manifest(place).split("validation").clips for place in scored)
        books = Books(oracle, hyper_model, out, clips, proposals.first)
        oracle.on_trial_ended = books.write
        if cluster.role == "chief":
            _serve(oracle, cluster, books)
        else:
            _search(tuner)
    search = books.search()
    if search is None:
        raise ValueError(
            f"A search must have at least one trial that ends well. Received none in {out}; why "
            "stands above. Name another folder, with smaller models or a lower "
            "`optimizer.learning_rate`."
        )
    return search


class Books:
    """What has been found so far, from keras-tuner's books, and on the disk.

    Args:
        oracle: with the books.
        hyper_model: makes settings of its values.
        out: the folder of the search.
        validation_clips: number of clips that give the scores.
        first: values of the settings as they stood.
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

    def search(self) -> Search | None:
        """What the trials that have ended found; None if none has ended well."""
        trials, failed = self._ended()
        if not trials:
            return None
        return Search(trials, failed, self._out, self._validation_clips, self._first)

    def write(self) -> None:
        """Writes what has been found so far, and shows it."""
        search = self.search()
        if search is not None:
            for trial in search.trials:
                if trial.name == self._oracle.end_order[-1]:
                    metrics = {OBJECTIVE: trial.score, **trial.cost.to_metrics()}
                    log_hparams(self._out / LOGS_FOLDER, trial.name, trial.values, metrics)
            kept = {trial.name for trial in best_trade_offs(search.trials)}
            for trial in search.trials:  # models are large, and the run can be made again
                gone = [LAST_MODEL_FILE] if trial.name in kept else [LAST_MODEL_FILE, MODEL_FILE]
                for file in (file for name in gone for file in trial.run.rglob(name)):
                    file.unlink(missing_ok=True)
            write_report(search)
        if not self.is_live:
            stderr.print(self.table())

    def table(self):
        """The table of the terminal."""
        return self._watch.table(self._ended()[0])

    def _ended(self) -> tuple[tuple[Trial, ...], tuple[FailedTrial, ...]]:
        return ended_trials(self._oracle, self._hyper_model, self._out)


def _views(shards: AnyPath, folder: str, folds: int, seed: int) -> list[AnyPath]:
    """A view of the shards for each fold; the same in every process of a search."""
    views = Path(folder) / "folds"
    resplit_to_validate(shards, views, folds, seed=seed)
    return [views / f"fold-{fold}" for fold in range(folds)]


def _proposals(plan: SearchSettings, manifest: Manifest) -> Proposals:
    def problem(values: Values) -> str:
        run, shape = with_values(plan.run, values), manifest.feature_shape
        reason = why_invalid(run, shape)
        if reason or plan.max_parameters is None:
            return reason
        parameters = num_parameters(run.model, shape, len(manifest.classes))
        if parameters > plan.max_parameters:
            return f"{parameters:,} parameters, the limit is {plan.max_parameters:,}"
        return ""

    def goes(values: Values) -> bool:
        return not problem({name: values[name] for name in plan.space.choices()})

    proposals = Proposals(plan.space, values_in(plan.run, plan.space), plan.run.seed, goes)
    if proposals.draw(0, ()) is None:
        reason = problem(plan.space.combination(0))
        raise ValueError(
            "A search space must hold a combination that goes together. Received one where "
            f"none was found; for instance, {reason}."
        )
    return proposals


def _search(tuner: TrainingTuner) -> None:
    try:
        tuner.search()
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ or error from None


def _serve(oracle: keras_tuner.Oracle, cluster: Cluster, books: Books) -> None:
    stderr.print(f"Chief at {cluster.address}. Workers: cham tune … --role worker", markup=False)
    books.is_live = stderr.is_terminal
    live = Live(books.table(), console=stderr, auto_refresh=False)
    with live if books.is_live else contextlib.nullcontext():
        run_chief(
            oracle,
            cluster,
            tell=lambda sentence: stderr.print(sentence, markup=False),
            watch=lambda: live.update(books.table(), refresh=True) if books.is_live else None,
        )


def _digest(plan: SearchSettings) -> str:
    text = json.dumps(settings_to_dict(plan), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_plan(tuner: TrainingTuner, plan: SearchSettings, cluster: Cluster) -> None:
    theirs = tuner.oracle.get_space().values.get(_PLAN)
    if theirs != _digest(plan):
        raise ValueError(
            f"A worker must have the settings of its chief at {cluster.address}. Received other "
            "ones. Call it with the same options and settings file as the chief."
        )


def _open_folder(out: Path, plan: SearchSettings, manifest: Manifest) -> None:
    """Notes in a new folder what is searched; refuses a folder that holds anything else."""
    # Workers that share the folder may have been quicker than their chief.
    if not out.exists() or {path.name for path in out.iterdir()} <= {RUNS_FOLDER, BOOKS_FOLDER}:
        out.mkdir(parents=True, exist_ok=True)
        write_manifest(manifest, out)
        write_settings(out / SEARCH_FILE, plan, comment="What this search tries.")
    if not (out / SEARCH_FILE).is_file():
        raise FileExistsError(
            f"The folder must be new, empty or hold a search. Received: {out}. "
            "Name another with --out."
        )
    before = read_manifest(out)
    same_shards = (before.classes, before.backbone, before.splits) == (
        manifest.classes,
        manifest.backbone,
        manifest.splits,
    )
    if read_settings(SearchSettings, out / SEARCH_FILE) != plan or not same_shards:
        raise ValueError(
            f"A search goes on with the settings and shards that it began with. {out} holds one "
            f"with other {'settings' if same_shards else 'shards'}. Name another folder."
        )
