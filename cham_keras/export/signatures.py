"""All signatures of an export, and which of them a run can have.

Comes in: a run and what is wanted of it. Goes out: a written SavedModel. `saved_model`
calls it; each signature's own module says what it computes.
"""

from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from cham_keras.data import Backbone
from cham_keras.export.clip_signature import SIGNATURE, clip_function
from cham_keras.export.description import Description, description_as_json
from cham_keras.export.example_signatures import (
    CLASSIFY_INPUT,
    CLASSIFY_METHOD,
    CLASSIFY_SIGNATURE,
    EXAMPLES_SIGNATURE,
    classify_function,
    examples_function,
)
from cham_keras.export.export_folder import SAVED_MODEL_FILE
from cham_keras.export.frame_signature import FRAMES_SIGNATURE, frames_function
from cham_keras.export.streaming import add_streaming_signatures
from cham_keras.models.model_parts import recurrent_layer
from cham_keras.runs import Run

DESCRIPTION_SIGNATURE = "description"


def write_signatures(
    model: keras.Model,
    run: Run,
    description: Description,
    folder: Path,
    *,
    streaming: bool,
    backbone: Backbone | None,
) -> None:
    """Writes graph and weights.

    Args:
        model: as `inference.inference_model` gives it.
        run: the run that it is of.
        description: what the signature `description` answers.
        folder: an empty folder.
        streaming: whether the signatures of single frames are among them.
        backbone: what computes features, for `jpeg_frames`; None leaves that out.
    """
    # Without `archive.track(model)`: it would write every weight twice, and dropout's seeds.
    archive = keras.export.ExportArchive()
    lengths = tf.TensorSpec((None,), tf.int32, name="lengths")
    features = tf.TensorSpec((None, None, *run.manifest.feature_shape), tf.float32, "features")
    serve = clip_function(model, run.manifest.classes)
    archive.add_endpoint(SIGNATURE, serve, input_signature=[features, lengths])
    serve_examples = examples_function(
        serve, run.manifest, run.num_frames, run.settings.data.short_clips
    )
    for name, argument, function in (
        (EXAMPLES_SIGNATURE, "examples", serve_examples),
        (
            CLASSIFY_SIGNATURE,
            CLASSIFY_INPUT,
            classify_function(serve_examples, description.classes),
        ),
    ):
        strings = tf.TensorSpec((None,), tf.string, name=argument)
        archive.add_endpoint(name, function, input_signature=[strings])
    archive.add_endpoint(
        DESCRIPTION_SIGNATURE,
        _description_function(description),
        input_signature=[tf.TensorSpec((None,), tf.int32, name="clients")],
    )
    if backbone is not None:
        serve_frames = frames_function(serve, backbone, run.manifest.feature_dtype)
        frames = tf.TensorSpec((None, None), tf.string, name="frames")
        archive.add_endpoint(FRAMES_SIGNATURE, serve_frames, input_signature=[frames, lengths])
    if streaming:
        add_streaming_signatures(archive, model)
    archive.write_out(str(folder), verbose=False)
    _name_method_of_classify(folder)


def can_stream(run: Run, model: keras.Model) -> bool:
    """Whether a run's model has states, and so a signature `step`."""
    try:
        recurrent_layer(keras.Model(model.input, model.output["probabilities"]))
    except ValueError:
        return False
    return True


def _description_function(description: Description):
    content = description_as_json(description)

    def describe(clients: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"description": tf.fill([tf.size(clients)], tf.constant(content))}

    return describe


def _name_method_of_classify(folder: Path) -> None:
    # Keras and TensorFlow 2 write every signature for Predict. A model server looks at the
    # method of a signature where it is told to, and then refuses Classify without this.
    file = folder / SAVED_MODEL_FILE
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signatures = saved_model.meta_graphs[0].signature_def
    signatures[CLASSIFY_SIGNATURE].method_name = CLASSIFY_METHOD
    file.write_bytes(saved_model.SerializeToString(deterministic=True))
