"""From a run to a SavedModel that TensorFlow Serving takes as it is.

Comes in: a run folder. Goes out: `BASE/<version>/` with graph and weights,
`assets/labels.txt`, and `assets.extra/cham.json`, which says how videos become
features. `cham export` and the demo call it.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from cham_keras.export.description import describe_run, write_description
from cham_keras.export.export_folder import check_base, publish, unfinished_version
from cham_keras.export.graph_check import check_graph
from cham_keras.export.inference import inference_model
from cham_keras.export.loading import SIGNATURE
from cham_keras.export.parity import PARITY_FILE, check_parity
from cham_keras.export.streaming import add_streaming_signatures
from cham_keras.files import write_json
from cham_keras.runs import Run

LABELS_FILE = Path("assets") / "labels.txt"

#: `top_classes` and `top_scores` hold so many of a clip's classes, or all where there are fewer.
NUM_TOP_CLASSES = 5


def export_saved_model(
    run: Run,
    out: Path,
    *,
    check: bool = False,
    shards: Path | None = None,
    split: str = "test",
    streaming: bool = False,
) -> Path:
    """Exports a run as the next version of a served model.

    The signature `serving_default` takes `features` (batch, time, height, width,
    channels) float32 and `lengths` (batch,) int32, the number of valid steps of
    each clip, from 1 to time; batch and time are free. It gives, each with the
    batch first:

    - `probabilities` (batch, time, classes), after each step;
    - `clip_probabilities` (batch, classes), their mean over the valid steps;
    - `logits` (batch, time, classes);
    - `attention` (batch, time, height, width);
    - `top_classes` (batch, k) strings and `top_scores` (batch, k): the clip's
      best classes, best first.

    On steps that are padding, the numbers mean nothing.

    Args:
        run: a finished run.
        out: the folder above the versions; made where it is missing. The version
            is the next free whole number, and appears when all is written.
        check: whether the scores are compared with the Keras model's, in a new
            process without Keras, before the version appears. The report lies in
            the version's `assets.extra/parity.json`.
        shards: shards to take the clips of this comparison from; drawn numbers by default.
        split: their split.
        streaming: whether the version also has the signature `step`, which takes one
            frame and the states of the frame before; see `add_streaming_signatures`.

    Returns:
        the version's folder.

    Raises:
        FileNotFoundError: the run has no model.
        ValueError: `out` cannot hold versions, a class's name has a line break,
            or Keras does not run on TensorFlow.
        RuntimeError: the graph holds an operation that must not be served.
        ParityError: `check` found other scores.
    """
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is exported on Keras's TensorFlow backend. Received: backend "
            f"{keras.config.backend()!r}. Set KERAS_BACKEND=tensorflow for this step."
        )
    if shards is not None and not check:
        raise ValueError("`shards` go with `check`. Received: shards without check.")
    out = Path(out)
    check_base(out)
    labels = _lines_of_labels(run.manifest.classes)
    model = inference_model(run)
    with unfinished_version(out) as temporary:
        _write_graph(model, run, temporary, streaming)
        check_graph(temporary)
        write_description(describe_run(run), temporary)
        (temporary / LABELS_FILE).parent.mkdir(exist_ok=True)
        (temporary / LABELS_FILE).write_text(labels)
        if check:
            report = check_parity(temporary, run, shards, split)
            write_json(temporary / PARITY_FILE, report.to_dict())
        return publish(temporary, out)


def _write_graph(model: keras.Model, run: Run, folder: Path, streaming: bool) -> None:
    # Without `archive.track(model)`: it would write every weight twice, and dropout's seeds.
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        SIGNATURE,
        serving_function(model, run.manifest.classes),
        input_signature=[
            tf.TensorSpec((None, None, *run.manifest.feature_shape), tf.float32, name="features"),
            tf.TensorSpec((None,), tf.int32, name="lengths"),
        ],
    )
    if streaming:
        add_streaming_signatures(archive, model)
    archive.write_out(str(folder), verbose=False)


def serving_function(model: keras.Model, classes: tuple[str, ...]) -> Callable:
    """What the signature `serving_default` computes.

    Args:
        model: as `inference.inference_model` gives it.
        classes: names of the classes.

    Returns:
        a function of the tensors `features` and `lengths`, see `export_saved_model`.
    """
    num_top_classes = min(NUM_TOP_CLASSES, len(classes))

    def serve(features, lengths):
        with tf.control_dependencies(_checks_of_lengths(features, lengths)):
            features, lengths = tf.identity(features), tf.identity(lengths)
        outputs = model({"features": features, "lengths": lengths}, training=False)
        outputs = {name: tf.cast(output, tf.float32) for name, output in outputs.items()}
        valid = tf.sequence_mask(lengths, tf.shape(features)[1], tf.float32)  # (batch, time)
        # (batch, time, classes) -> (batch, classes)
        clip_probabilities = tf.reduce_sum(
            outputs["probabilities"] * valid[..., None], axis=1
        ) / tf.reduce_sum(valid, axis=1, keepdims=True)
        top_scores, top_indices = tf.math.top_k(clip_probabilities, num_top_classes)
        return {
            **outputs,
            "clip_probabilities": clip_probabilities,
            # A constant, and no table that is filled from the file of labels: tables have
            # names that two models in one process would share.
            "top_classes": tf.gather(tf.constant(classes), top_indices),
            "top_scores": top_scores,
        }

    return serve


def _checks_of_lengths(features: tf.Tensor, lengths: tf.Tensor) -> list[tf.Operation]:
    """Refuses lengths that do not go with the features, in the graph, for every client."""
    batch, time = tf.unstack(tf.shape(features)[:2])
    one_a_clip = tf.debugging.Assert(
        tf.equal(tf.size(lengths), batch),
        [
            "`lengths` must hold one number for each clip of `features`. Received:",
            *(tf.size(lengths), "numbers for", batch, "clips."),
        ],
    )
    within_time = tf.debugging.Assert(
        tf.reduce_all((lengths >= 1) & (lengths <= time)),
        [
            "`lengths` must be from 1 to the number of steps of `features`. Received:",
            *(lengths, "for", time, "steps."),
        ],
        summarize=8,
    )
    return [one_a_clip, within_time]


def _lines_of_labels(classes: tuple[str, ...]) -> str:
    for name in classes:
        if len(name.splitlines()) != 1:
            raise ValueError(
                f"A class's name must be one line, so that {LABELS_FILE.name} has a line for "
                f"each. Received: {name!r}."
            )
    return "".join(f"{name}\n" for name in classes)
