"""From a run to a SavedModel that TensorFlow Serving takes as it is.

Comes in: a run folder. Goes out: `BASE/<version>/` with graph and weights,
`assets/labels.txt`, and in `assets.extra` what videos need on their way into the model
(`cham.json`), a model card and warm-up requests; beside the versions the files that a server
is started with. `cham export` and the demo call it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import keras

from cham_keras.data import load_backbone_from_spec
from cham_keras.export.description import describe_run, write_description
from cham_keras.export.export_folder import check_base, publish, unfinished_version
from cham_keras.export.graph_check import check_graph
from cham_keras.export.inference import inference_model
from cham_keras.export.model_card import write_model_card
from cham_keras.export.parity import PARITY_FILE, check_parity
from cham_keras.export.server_files import (
    DEFAULT_BATCH_SIZES,
    check_batch_sizes,
    write_server_files,
)
from cham_keras.export.signatures import can_stream, write_signatures
from cham_keras.export.warmup_requests import write_warmup_requests
from cham_keras.files import write_json
from cham_keras.progress import stderr, track
from cham_keras.runs import Run
from cham_keras.serving import ServedModel, StatusError
from cham_keras.serving.warmup import replay_warmup

LABELS_FILE = Path("assets") / "labels.txt"


def export_saved_model(
    run: Run,
    out: Path,
    *,
    check: bool = False,
    shards: Path | None = None,
    split: str = "test",
    streaming: bool = True,
    frames: bool = False,
    weights: Path | None = None,
    batch_sizes: Sequence[int] = DEFAULT_BATCH_SIZES,
) -> Path:
    """Exports a run as the next version of a served model.

    The signature `serving_default` takes `features` (batch, time, height, width,
    channels) float32 and `lengths` (batch,) int32, the number of valid steps of
    each clip, from 1 to time; batch and time are free. It gives, each with the
    batch first:

    - `probabilities` (batch, time, classes), after each step;
    - `clip_probabilities` (batch, classes), their mean over the valid steps;
    - `logits` (batch, time, classes);
    - `attention` (batch, time, height, width), of a model that has it;
    - `top_classes` (batch, k) strings and `top_scores` (batch, k): the clip's
      best classes, best first.

    On steps that are padding, the numbers mean nothing.

    `predict_examples` takes `examples` (batch,) strings, records as in shards, looks at
    evenly spaced frames of them and gives the same and `lengths`; `classify` takes such
    records as `inputs` and gives `classes` and `scores` (batch, classes) for the Classify
    API; `description` gives each of `clients` (batch,) `cham.json`. The signatures of
    streams are told in `streaming.add_streaming_signatures`, that of JPEG frames in
    `frame_signature.frames_function`.

    Args:
        run: a finished run.
        out: the folder above the versions; made where it is missing. The version
            is the next free whole number, and appears when all is written.
        check: whether the scores of all signatures are compared with the Keras model's, in
            new processes without Keras, before the version appears. The report lies in
            the version's `assets.extra/parity.json`.
        shards: shards to take the clips of this comparison from; drawn numbers by default.
        split: their split.
        streaming: whether the version also has the signatures for single frames; a model
            without states has none.
        frames: whether the version also takes JPEG frames, with the backbone in the graph.
        weights: where the backbone's weights file lies now, if it was moved; with `frames`.
        batch_sizes: sizes of the batches that a server makes of requests; each is a warm-up
            request for each signature.

    Returns:
        the version's folder.

    Raises:
        FileNotFoundError: the run has no model, or the backbone's weights are gone.
        ValueError: `out` cannot hold versions, a class's name has a line break,
            or Keras does not run on TensorFlow.
        RuntimeError: the graph holds an operation that must not be served, or does not
            answer a warm-up request.
        ParityError: `check` found other scores.
    """
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is exported on Keras's TensorFlow backend. Received: backend "
            f"{keras.config.backend()!r}. Set KERAS_BACKEND=tensorflow for this step."
        )
    if shards is not None and not check:
        raise ValueError("`shards` go with `check`. Received: shards without check.")
    if weights is not None and not frames:
        raise ValueError("`weights` go with `frames`. Received: weights without frames.")
    batch_sizes = check_batch_sizes(batch_sizes)
    out = Path(out)
    check_base(out)
    labels = _lines_of_labels(run.manifest.classes)
    model = inference_model(run)
    backbone = load_backbone_from_spec(run.manifest.backbone, weights) if frames else None
    description = describe_run(run)
    with unfinished_version(out) as temporary:
        with stderr.status("writing the signatures"):
            write_signatures(
                *(model, run, description, temporary),
                streaming=streaming and can_stream(run, model),
                backbone=backbone,
            )
        check_graph(temporary)
        write_description(description, temporary)
        (temporary / LABELS_FILE).parent.mkdir(exist_ok=True)
        (temporary / LABELS_FILE).write_text(labels)
        _warm_up(temporary, description, batch_sizes, out.absolute().name)
        write_model_card(run, temporary, batch_sizes)
        if check:
            report = check_parity(temporary, run, shards, split, backbone=backbone)
            write_json(temporary / PARITY_FILE, report.to_dict())
        write_server_files(out, batch_sizes, os.cpu_count() or 1)
        return publish(temporary, out)


def _warm_up(folder, description, batch_sizes, name) -> None:
    """Writes the warm-up requests and answers each, as a server that loads the version does."""
    try:
        # XLA, if it is off, is so for the whole process, which has other work to do; and
        # `check_graph` has seen that nothing here would be compiled.
        model = ServedModel(folder, xla=True)
    except StatusError as error:
        raise RuntimeError(
            f"TensorFlow's C library must load the export. It says: {error.message}"
        ) from error
    try:
        num_records = write_warmup_requests(model, description, batch_sizes, name)
        # The first call with a shape prepares much; of a large model this takes a minute.
        replay_warmup(
            model, folder, lambda records: track(records, "warm-up requests", num_records)
        )
    except ValueError as error:
        raise RuntimeError(f"Every warm-up request must be answered. {error}") from error
    finally:
        model.close()


def _lines_of_labels(classes: tuple[str, ...]) -> str:
    for name in classes:
        if len(name.splitlines()) != 1:
            raise ValueError(
                f"A class's name must be one line, so that {LABELS_FILE.name} has a line for "
                f"each. Received: {name!r}."
            )
    return "".join(f"{name}\n" for name in classes)
