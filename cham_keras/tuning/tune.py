"""The search: shards in, the best trade-offs out, as files that `cham train` takes.

`proposals` says what is tried, `tuner` how a trial runs, `report` what is left to read,
`cluster` how several machines share the work.
"""

import contextlib
import hashlib
import json
import math
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras_tuner
from rich.live import Live

from cham_keras.data import Manifest, read_manifest, resplit_to_validate
from cham_keras.paths import AnyPath, as_path
from cham_keras.process_memory import physical_memory_bytes
from cham_keras.progress import stderr
from cham_keras.runs import RunSettings
from cham_keras.runs.model_size import num_parameters
from cham_keras.settings import settings_to_dict
from cham_keras.training import resolve
from cham_keras.tuning.books import Books
from cham_keras.tuning.cluster import Cluster, chief_errors_named, listening, run_chief
from cham_keras.tuning.hyper_model import CHAMHyperModel
from cham_keras.tuning.oracles import Strategy, make_oracle
from cham_keras.tuning.proposals import Proposals
from cham_keras.tuning.search_folder import mark_runs, opened_search_folder, require_folder
from cham_keras.tuning.search_space import (
    SearchSpace,
    Values,
    values_in,
    why_invalid,
    with_values,
)
from cham_keras.tuning.settings import SearchSettings
from cham_keras.tuning.trials import Search
from cham_keras.tuning.tuner import TrainingTuner

#: Trials where no number is given.
_MAX_TRIALS = 10

#: Among the values of each trial: what is searched, and the search's own name.
_PLAN, _SEARCH = "plan", "search"


def tune(
    shards: AnyPath | str,
    out: Path,
    settings: RunSettings | None = None,
    space: SearchSpace | None = None,
    max_trials: int | None = None,
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
        max_trials: number of combinations, by default 10; all, if there are fewer. Hyperband's
            follows from `settings.epochs`.
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
        FileExistsError, NotADirectoryError: the folder holds files and no search, or is none.
        BlockingIOError: another program searches in the folder.
        ChiefUnreachableError: a worker's chief is away for longer than its patience.
        OSError: a chief cannot listen at its address, or a worker does not know it.
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
    if strategy == "hyperband":
        _check_hyperband(base, max_trials)
    plan = SearchSettings.of(
        base,
        space=space or SearchSpace(),
        strategy=strategy,
        max_parameters=max_parameters,
        folds=folds,
    )
    manifest = read_manifest(shards)
    if folds is None and "validation" not in manifest.splits:
        raise ValueError(
            "A search needs shards with a split `validation`, whose clips score the trials. "
            f"Received: {shards} with {', '.join(manifest.splits)}. Give some clips of the clip "
            "list that split and extract again, or validate on folds (`folds`)."
        )
    hyper_model = CHAMHyperModel(
        base,
        manifest.feature_shape,
        len(manifest.classes),
        plan.space,
        math.ceil(manifest.split("train").clips / base.data.batch_size),
    )
    hyper_model.check()
    proposals = _proposals(plan, manifest)
    oracle = make_oracle(strategy, proposals, max_trials or _MAX_TRIALS, base.epochs or 1)
    # Workers see by them whether settings and runs are those of their chief.
    oracle.hyperparameters.Fixed(_PLAN, _digest(plan))
    oracle.hyperparameters.Fixed(_SEARCH, secrets.token_hex(8))
    memory_limit_bytes = memory_limit_bytes or physical_memory_bytes()
    with contextlib.ExitStack() as stack:
        stack.enter_context(cluster.environment())
        stack.enter_context(chief_errors_named(cluster))
        scored = [shards]
        if folds is not None:
            scored = _views(shards, stack.enter_context(TemporaryDirectory()), folds, base.seed)
        require_folder(out)
        if cluster.role == "worker":
            cluster.require_host()
            tuner = TrainingTuner(oracle, hyper_model, scored, out, memory_limit_bytes)
            _check_chief(tuner, plan, cluster, out)
            tuner.search()
            return None
        # What is refused by now leaves no folder.
        server = stack.enter_context(listening(cluster)) if cluster.role == "chief" else None
        stack.enter_context(opened_search_folder(out, plan, manifest))
        tuner = TrainingTuner(oracle, hyper_model, scored, out, memory_limit_bytes)
        mark_runs(out, _search_id(tuner))
        clips = sum(read_manifest(place).split("validation").clips for place in scored)
        books = Books(oracle, hyper_model, out, clips, proposals.first)
        books.write()
        oracle.on_trial_ended = books.write_and_show
        if server is None:
            tuner.search()
        else:
            _serve(server, oracle, cluster, books)
        return books.search()


def _check_hyperband(base: RunSettings, max_trials: int | None) -> None:
    if base.epochs is None:
        raise ValueError(
            "Hyperband divides epochs among trials, so `epochs` must be given. Received: none. "
            "Give --epochs, the longest that a trial may train."
        )
    if max_trials is not None:
        raise ValueError(
            "`max_trials` goes with the strategies random and bayesian; the number of Hyperband's "
            f"trials follows from `epochs`. Received: {max_trials}. Leave it out."
        )


def _views(shards: AnyPath, folder: str, folds: int, seed: int) -> list[AnyPath]:
    """A view of the shards for each fold; the same in every process of a search."""
    views = Path(folder) / "folds"
    resplit_to_validate(shards, views, folds, seed=seed)
    return [views / f"fold-{fold}" for fold in range(folds)]


def _proposals(plan: SearchSettings, manifest: Manifest) -> Proposals:
    base, shape = plan.run, manifest.feature_shape

    def problem(values: Values) -> str:
        run = with_values(base, values)
        reason = why_invalid(run, shape)
        if reason or plan.max_parameters is None:
            return reason
        parameters = num_parameters(run.model, shape, len(manifest.classes))
        if parameters > plan.max_parameters:
            return f"{parameters:,} parameters, the limit is {plan.max_parameters:,}"
        return ""

    def goes(values: Values) -> bool:
        return not problem({name: values[name] for name in plan.space.choices()})

    proposals = Proposals(plan.space, values_in(base, plan.space), base.seed, goes)
    if proposals.draw(0, ()) is None:
        reason = problem(plan.space.combination(0))
        raise ValueError(
            "A search space must hold a combination that goes together. Received one where "
            f"none was found; for instance, {reason}."
        )
    return proposals


def _serve(server: Any, oracle: keras_tuner.Oracle, cluster: Cluster, books: Books) -> None:
    stderr.print(f"Chief at {cluster.address}. Workers: cham tune … --role worker", markup=False)
    books.is_live = stderr.is_terminal
    live = Live(books.table(), console=stderr, auto_refresh=False)
    with live if books.is_live else contextlib.nullcontext():
        run_chief(
            *(server, oracle, cluster),
            tell=lambda sentence: stderr.print(sentence, markup=False),
            watch=lambda: live.update(books.table(), refresh=True) if books.is_live else None,
        )


def _digest(plan: SearchSettings) -> str:
    text = json.dumps(settings_to_dict(plan), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_chief(tuner: TrainingTuner, plan: SearchSettings, cluster: Cluster, out: Path) -> None:
    """Waits for the chief; refuses one with other settings, and a folder with others' trials."""
    stderr.print(
        f"Worker {cluster.worker} waits for the chief at {cluster.address}, "
        f"{cluster.patience_s:.0f} seconds at most.",
        markup=False,
    )
    theirs = tuner.oracle.get_space().values.get(_PLAN)
    stderr.print("The chief is there.")
    if theirs != _digest(plan):
        raise ValueError(
            f"A worker must have the settings of its chief at {cluster.address}. Received other "
            "ones. Call it with the same options and settings file as the chief."
        )
    mark_runs(out, _search_id(tuner))


def _search_id(tuner: TrainingTuner) -> str:
    """The search's own name: that of its books, where it goes on."""
    return str(tuner.oracle.get_space().values[_SEARCH])
