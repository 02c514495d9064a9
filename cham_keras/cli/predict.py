"""`cham predict`: a video or a stream in, its most probable classes out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from cham_keras.progress import stdout

if TYPE_CHECKING:
    from cham_keras.export.video_classifier import Source

#: So many classes are shown, or all where there are fewer.
DEFAULT_TOP_K = 5
DEFAULT_NAME = "cham"
DEFAULT_WIRE: Literal["examples"] = "examples"

Flag = Annotated[bool, Parameter(negative="")]


def predict(
    video: str,
    /,
    *,
    run: Path | None = None,
    model: Path | None = None,
    server: str | None = None,
    rest: Flag = False,
    name: str = DEFAULT_NAME,
    wire: Literal["examples", "features", "jpeg"] = DEFAULT_WIRE,
    timeout_seconds: float = 60.0,
    stream: Flag = False,
    film: Path | None = None,
    top_k: int | None = None,
    weights: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Say what a video shows.

    Frames are chosen and turned into features as they were before training.

    Example: `cham predict clip.mp4 --run runs/cham --top-k 3`

    Without the run: `cham predict clip.mp4 --model exports/cham --json > clip.json`

    By a server, TF Serving or `cham serve`:
    `cham predict clip.mp4 --server 127.0.0.1:8500 --name cham`

    A camera, frame by frame: `cham predict /dev/video0 --stream --model exports/cham`

    Parameters
    ----------
    video
        A video file; with --stream also a camera (/dev/video0) or an address (rtsp://…).
    run
        Run folder that `cham train` has written.
    model
        Folder that `cham export` has written, or one version in it; in place of --run.
    server
        Host and port of a server that holds an export, in place of --run and --model; it tells
        by itself how videos become features.
    rest
        Ask the server over REST in place of gRPC; the port is another one, usually 8501.
    name
        The model's name on the server; of `cham serve BASE` the name of the folder BASE.
    wire
        Of whole videos, what is sent: `examples`, features as in the shards; `features`, as
        float32, the largest; `jpeg`, the frames themselves, the smallest, for which no CNN is
        needed here and the model must be exported with --frames; scores differ a little.
    timeout_seconds
        How long the server may take for a request.
    stream
        Classify frame by frame, as they come, until the source ends or Ctrl-C.
    film
        With --stream, write a film of where the model looked: film.mp4.
    top_k
        How many classes to show; 5 if not given.
    weights
        The backbone's weights file, if it lies elsewhere than before training.
    as_json
        Print JSON: the top classes, the probabilities of all classes for the video and
        after each frame, the frames' numbers, and the attention maps; with --stream a line
        for each frame.
    """
    given = [option for option in (run, model, server) if option is not None]
    if len(given) != 1:
        raise ValueError(
            "Exactly one of --run, --model and --server must be given. "
            f"Received: {len(given) or 'none'} of them."
        )
    if film is not None and not stream:
        raise ValueError("--film goes with --stream. Received: --film without it.")
    for option, is_given in (
        ("--rest", rest),
        ("--name", name != DEFAULT_NAME),
        ("--wire", wire != DEFAULT_WIRE),
    ):
        if is_given and server is None:
            raise ValueError(f"{option} goes with --server. Received: {option} without it.")
    if stream and wire != DEFAULT_WIRE:
        raise ValueError(
            f"A stream sends features. Received: --stream with --wire {wire}. Leave --wire out."
        )
    if server is not None:
        source = _on_server(server, rest, name, wire, timeout_seconds)
    else:
        source = _in_folder(run, model)
    if stream:
        _predict_stream(video, source, weights, top_k, as_json, film)
    else:
        _predict_video(Path(video), source, weights, top_k, as_json)


def _in_folder(run: Path | None, model: Path | None) -> "Source":
    from cham_keras.export import open_export
    from cham_keras.runs import open_run

    if run is not None:
        return open_run(run)
    return open_export(model)  # type: ignore[arg-type]


def _on_server(
    address: str,
    rest: bool,
    name: str,
    wire: Literal["examples", "features", "jpeg"],
    timeout_seconds: float,
) -> "Source":
    from cham_keras.export import open_served
    from cham_keras.serving.clients import GrpcClient, RestClient

    client = (RestClient if rest else GrpcClient)(address, name, timeout_seconds=timeout_seconds)
    return open_served(client, wire)


def _predict_video(
    video: Path, source: "Source", weights: Path | None, top_k: int | None, as_json: bool
) -> None:
    from cham_keras.export import predict as predict_video

    prediction = predict_video(video, source, weights)
    if top_k is None:
        top_k = min(DEFAULT_TOP_K, len(prediction.classes))
    top = prediction.top(top_k)
    if as_json:
        print(json.dumps({**prediction.to_dict(), "top": top}))
        return
    table = Table("class", "probability")
    for class_name, probability in top:
        table.add_row(escape(class_name), f"{probability:.3f}")
    stdout.print(table)
    stdout.print(
        escape(f"Mean over {len(prediction.frame_numbers)} frames of {video}."), soft_wrap=True
    )


def _predict_stream(
    video: str,
    source: "Source",
    weights: Path | None,
    top_k: int | None,
    as_json: bool,
    film: Path | None,
) -> None:
    from cham_keras.cli.stream_display import show_stream
    from cham_keras.data.frames.live_frames import open_live_frames
    from cham_keras.export import StreamClassifier

    classify = StreamClassifier(source, weights)
    stride = classify.preparation.frame_stride
    rate, frames = open_live_frames(video, classify.resizing, stride)
    count = show_stream(
        *(frames, rate / stride, classify),
        name=video,
        top_k=min(top_k or DEFAULT_TOP_K, len(classify.classes)),
        as_json=as_json,
        film=film,
    )
    if not as_json:
        told = f" The film lies in {film}." if film is not None else ""
        stdout.print(escape(f"{count} frames of {video}.{told}"), soft_wrap=True)
