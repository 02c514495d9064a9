"""The signatures of a SavedModel that is asked frame by frame.

Comes in: the inference model of a run. Goes out: one step as the signature `step`,
beside the one for clips, with the same weights; `initial_states`, or for models that
start from the mean of a clip's features `start`. `signatures` adds them to an export.
"""

import keras
import tensorflow as tf

from cham_keras.export.clip_signature import check_of_numbers
from cham_keras.models import streaming
from cham_keras.models.recurrent_step import STEP_LAYER_NAME
from cham_keras.models.start_states import start_model

STEP_SIGNATURE = "step"
START_SIGNATURE = "start"
INITIAL_SIGNATURE = "initial_states"


def add_streaming_signatures(archive: keras.export.ExportArchive, model: keras.Model) -> None:
    """Adds the signature `step`, and the one that gives the states to begin with.

    `step` takes and gives what a model of `cham_keras.models.streaming` does, with
    tensors by name: `features` (batch, height, width, channels) and the states in;
    `probabilities` (batch, classes), `attention` (batch, height, width) and the new
    states out.

    `initial_states` takes `streams` (batch,) int32, whatever numbers, one for each stream
    that begins, and gives their states: zeros, or the trained ones.

    `start` stands in its place for models that start from the mean of a clip's features:
    it takes `features` (batch, time, height, width, channels) and `lengths` (batch,) of
    whole clips, or of the first frames of a stream.

    Args:
        archive: what is exported.
        model: as `inference.inference_model` gives it.
    """
    clip_model = keras.Model(model.input, model.output["probabilities"], name=model.name)
    step = streaming(clip_model)
    _add(archive, STEP_SIGNATURE, step)
    starts = step.get_layer(STEP_LAYER_NAME)
    if starts.starts_from_zeros or starts.learned_start is not None:
        shape = step.input["features"].shape[1:]
        archive.add_endpoint(
            INITIAL_SIGNATURE,
            _initial_states_function(starts.first_states((1, *shape))),
            input_signature=[tf.TensorSpec((None,), tf.int32, name="streams")],
        )
    else:
        _add(archive, START_SIGNATURE, start_model(clip_model))


def _initial_states_function(of_one_stream):
    def initial_states(streams):
        return {
            # (1, ...) -> (batch, ...)
            name: tf.repeat(tf.constant(state), tf.size(streams), axis=0)
            for name, state in of_one_stream.items()
        }

    return initial_states


def _add(archive: keras.export.ExportArchive, signature: str, model: keras.Model) -> None:
    inputs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }

    def serve(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        checks = [check_of_numbers(tensors["features"]), _check_of_batch(tensors)]
        with tf.control_dependencies(checks):
            tensors = {name: tf.identity(tensor) for name, tensor in tensors.items()}
        return model(tensors, training=False)

    archive.add_endpoint(signature, serve, input_signature=[inputs])


def _check_of_batch(tensors: dict[str, tf.Tensor]) -> tf.Operation:
    sizes = {name: tf.shape(tensor)[0] for name, tensor in tensors.items()}
    received = [part for name, size in sorted(sizes.items()) for part in (f"{name}:", size)]
    return tf.debugging.Assert(
        tf.reduce_all(tf.equal(list(sizes.values()), sizes["features"])),
        ["All inputs must be for the same number of streams. Received:", *received],
    )
