"""`cham benchmark`: sizes in, times of the recurrence and of its rivals out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.benchmark.settings import BenchmarkSettings
from cham_keras.progress import stdout


def benchmark(
    *,
    out: Path,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    settings: Annotated[
        BenchmarkSettings, Parameter(name="*", consume_multiple=True, negative_iterable="")
    ] = BenchmarkSettings(),  # noqa: B008  frozen
) -> None:
    """Measure the recurrence against Keras, PyTorch and the machine itself.

    Systems: hoisted, step and auto are this package's layer; plain_rnn is the same cell in
    keras.layers.RNN; conv_lstm_2d is Keras's own, without attention; cham is both layers;
    torch_eager and torch_compiled are the same cell in PyTorch, where it is installed. They
    take turns in one process, after a check that they compute the same.

    Writes benchmark.json, benchmark.md and benchmark.png. KERAS_BACKEND chooses tensorflow
    or jax.

    Examples:

        cham benchmark --out times
        cham benchmark --out small --channels 256 --filters 64 --systems hoisted
        cham benchmark --out all --memory --sweep-batches 1 2 4 --sweep-steps 8 16
        cham --settings sizes.toml benchmark --out times --dtype mixed_bfloat16

    Parameters
    ----------
    out
        Folder to write.
    overwrite
        Replace a benchmark that is already there.
    """
    from cham_keras.benchmark import run_benchmark

    results = run_benchmark(settings, out, overwrite=overwrite)
    stdout.print(Markdown(results.to_markdown()))
    stdout.print(escape(f"Written to {out}."), soft_wrap=True)
