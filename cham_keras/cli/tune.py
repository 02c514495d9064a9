"""`cham tune`: shards in, the best trade-offs out."""

import math
import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from cham_keras.cli.locations import Location
from cham_keras.progress import stdout
from cham_keras.runs.settings import RunSettings
from cham_keras.tuning.search_space import SearchSpace, wide_space


def tune(
    shards: Location,
    *,
    out: Path,
    max_trials: int | None = None,
    strategy: Literal["random", "bayesian", "hyperband"] = "random",
    wide: Annotated[bool, Parameter(negative="")] = False,
    max_parameters: int | None = None,
    folds: int | None = None,
    memory_limit_gib: float | None = None,
    role: Literal["alone", "chief", "worker"] | None = None,
    address: str | None = None,
    worker_patience: float = 60.0,
    space: Annotated[  # several values behind one flag
        SearchSpace, Parameter(negative_iterable="", consume_multiple=True)
    ] = SearchSpace(),  # noqa: B008
    run: Annotated[RunSettings, Parameter(name="*")] = RunSettings(),  # noqa: B008  frozen
) -> None:
    """Search kernel sizes, channels and the rest with keras-tuner.

    Each trial is a training run that the split `validation` scores; the first one has the
    settings as they stand. Writes report.md with the best trade-offs of accuracy, parameters
    and operations, a recipe for each that `cham --settings FILE train` takes as it is,
    and best.toml. A search that was broken off goes on where it was.

    Examples:

        cham tune shards --out search --epochs 20
        cham tune shards --out search --wide --max-trials 40 --max-parameters 200000
        cham tune shards --out search --space.filters 16 32 --space.kernel-size 3
        cham --settings search/search.toml tune shards --out another

    On several machines, the same command on each, with the role:

        cham tune shards --out search --role chief --address 10.0.0.1:8765
        cham tune shards --out trials --role worker --address 10.0.0.1:8765

    Parameters
    ----------
    shards
        Folder that `cham extract` has written, with a split `validation`.
    out
        The folder to write; one with a search goes on with it. Of a worker, where its trials
        lie: a folder for each search.
    max_trials
        Number of combinations to try, by default 10; all, if there are fewer. Those of hyperband
        follow from --epochs.
    strategy
        random; bayesian, by a Gaussian process over what was tried; hyperband, many models
        for a few epochs and the better ones for more, up to --epochs.
    wide
        Search every setting: also attention, skip, head, dropout, frames, batch, learning rate.
        Those that --space names have its values.
    max_parameters
        A model with more weights is not proposed.
    folds
        Score by so many folds of the clips to train and validate on, in place of the split
        `validation`; each trial trains as many times.
    memory_limit_gib
        A model that needs more memory to train, in GiB, is not started; by default this machine's
        memory.
    role
        On several machines: one chief, which has the books and trains nothing, and workers. By
        default as KERASTUNER_TUNER_ID says, otherwise alone.
    address
        The chief's HOST:PORT; by default from KERASTUNER_ORACLE_IP and _PORT.
    worker_patience
        Seconds of silence after which a chief gives a worker's trial to another, and a worker
        gives up its chief.
    """
    from cham_keras.tuning import Cluster, best_trade_offs
    from cham_keras.tuning import tune as tune_on_shards
    from cham_keras.tuning.report import PICTURE_FILE, REPORT_FILE, compared_with_default
    from cham_keras.tuning.trials import varied_settings
    from cham_keras.tuning.watch import table_of_trials

    if memory_limit_gib is not None and not 0 < memory_limit_gib < math.inf:
        raise ValueError(
            "`--memory-limit-gib` must be a number of GiB above 0. "
            f"Received: {memory_limit_gib:g}. Leave it out for this machine's memory."
        )
    search = tune_on_shards(
        *(shards, out, run, wide_space(space, run.model.name) if wide else space, max_trials),
        strategy=strategy,
        max_parameters=max_parameters,
        folds=folds,
        memory_limit_bytes=None
        if memory_limit_gib is None
        else math.ceil(memory_limit_gib * 2**30),
        cluster=Cluster.of(role, address, worker_patience),
    )
    if search is None:
        stdout.print("The search has ended; its chief has the results.")
        return
    varied = varied_settings([*search.trials, *search.failed])
    stdout.print(table_of_trials(best_trade_offs(search.trials), "best trade-offs", varied))
    stdout.print(compared_with_default(search))
    for file in (REPORT_FILE, PICTURE_FILE):
        stdout.print(escape(str(out / file)), soft_wrap=True)
    best = out / "best.toml"
    stdout.print(f"{best} holds the best settings. Next:", markup=False)
    # Not broken into lines, to be copied.
    command = shlex.join(["cham", "--settings", str(best), "train", str(shards), "--out", "RUN"])
    stdout.print(escape(command), soft_wrap=True)
