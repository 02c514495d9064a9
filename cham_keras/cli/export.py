"""`cham export`: a run in, a version of a served model or a file of another format out."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from cham_keras.progress import stdout

_BATCH_SIZES = (1, 2, 4, 8)


def export(
    run: Path,
    /,
    *,
    out: Path,
    format: Literal["savedmodel", "onnx", "litert"] = "savedmodel",
    streaming: bool = True,
    frames: Annotated[bool, Parameter(negative="")] = False,
    weights: Path | None = None,
    batch_sizes: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = _BATCH_SIZES,
    check: Annotated[bool, Parameter(negative="")] = False,
    shards: Path | None = None,
    split: str = "test",
) -> None:
    """Export a run as a SavedModel, which TensorFlow Serving takes as it is, or for other runtimes.

    Writes the next version, OUT/1, OUT/2, …, with signatures for clips (serving_default),
    for records as in shards (predict_examples, classify) and for single frames of a stream
    (step); beside the versions, what a server is started with (models.config,
    batching_params.pbtxt, monitoring.config). Neither Keras nor this package is needed to
    run it.

    Example: `cham export runs/cham --out exports/cham --check`

    For clients without a CNN: `cham export runs/cham --out exports/cham --frames`

    For ONNX Runtime, or for a phone: `cham export runs/cham --format litert --out cham.tflite`

    Parameters
    ----------
    run
        Run folder that `cham train` has written.
    out
        Folder above the versions; its name is the model's name for a server. Of other formats
        the file.
    format
        savedmodel; onnx: FILE.onnx for clips and beside it FILE-step.onnx for frames of a
        stream and a file for the states that a stream begins with; or litert: all in
        FILE.tflite. The last two need `pip install 'cham-keras[onnx]'` or
        `'cham-keras[litert]'`, and are always checked.
    streaming
        Add the signatures for streams: `step`, from the features of one frame and the states
        of the frame before to probabilities, attention and the new states; `initial_states`.
    frames
        Add the signature `jpeg_frames`, with the backbone in the graph: JPEG pictures in.
    weights
        The backbone's weights file, if it lies elsewhere than before training.
    batch_sizes
        Sizes of the batches that a server makes of requests; a warm-up request for each.
    check
        Compare the answers of all signatures with the Keras model's in new processes without
        Keras, by TensorFlow's C library as in a server and by its Python; where scores differ
        by more than 1e-5, no version appears and the exit code is 1.
    shards
        Folder of shards whose clips --check scores; drawn numbers if not given.
    split
        Their split.
    """
    if format != "savedmodel":
        given = {
            "--frames": frames,
            "--weights": weights is not None,
            "--batch-sizes": batch_sizes != _BATCH_SIZES,
            "--shards": shards is not None,
            "--split": split != "test",
        }
        _refuse_options(format, [option for option, is_given in given.items() if is_given])
        _export_other_format(format, run, out, streaming)
        return

    from cham_keras.export import export_saved_model
    from cham_keras.export.parity import PARITY_FILE
    from cham_keras.files import read_json
    from cham_keras.runs import open_run

    version = export_saved_model(
        open_run(run),
        out,
        check=check,
        shards=shards,
        split=split,
        streaming=streaming,
        frames=frames,
        weights=weights,
        batch_sizes=batch_sizes,
    )
    if check:
        _print_report(read_json(version / PARITY_FILE))
    stdout.print(
        escape(f"The SavedModel lies in {version}. Next: cham predict VIDEO --model {out}")
    )


def _refuse_options(format_name: str, options: list[str]) -> None:
    if options:
        raise ValueError(
            f"{', '.join(options)} must go with --format savedmodel. "
            f"Received: --format {format_name}. Leave out what does not go with it."
        )


def _export_other_format(
    format_name: Literal["onnx", "litert"], run: Path, out: Path, streaming: bool
) -> None:
    from cham_keras.export.other_formats import export_litert, export_onnx
    from cham_keras.runs import open_run

    write = {"onnx": export_onnx, "litert": export_litert}[format_name]
    checked = write(open_run(run), out, streaming=streaming)
    table = Table("signature", "file")
    for signature, file in checked.files.items():
        table.add_row(signature, escape(str(file)))
    stdout.print(table)
    stdout.print(
        f"Same scores as the Keras model: largest difference {checked.largest_difference:.1e}."
    )


def _print_report(report: dict[str, Any]) -> None:
    table = Table("signature", "shape", "median ms", "95 % ms", title="Latency, C library")
    for row in report["latency"]:
        shape = " x ".join(map(str, row["shape"]))
        table.add_row(row["signature"], shape, f"{row['median_ms']:.1f}", f"{row['p95_ms']:.1f}")
    stdout.print(table)
    num_clips = sum(clips for clips, _ in report["batches"])
    for program, differences in report["differences"].items():
        stdout.print(
            f"Same scores as the Keras model with {program}: largest difference "
            f"{max(differences.values()):.1e} over {num_clips} clips."
        )
