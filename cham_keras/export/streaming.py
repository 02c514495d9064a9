"""The signatures of a SavedModel that is asked frame by frame.

Comes in: the inference model of a run. Goes out: one step as the signature `step`,
beside the one for clips, with the same weights; for models that start from the
mean of a clip's features also `start`. `saved_model` adds them where asked.
"""

import keras
import tensorflow as tf

from cham_keras.models import streaming
from cham_keras.models.start_states import start_model

STEP_SIGNATURE = "step"
START_SIGNATURE = "start"


def add_streaming_signatures(archive: keras.export.ExportArchive, model: keras.Model) -> None:
    """Adds the signature `step`, and `start` where the model needs it.

    `step` takes and gives what a model of `cham_keras.models.streaming` does, with
    tensors by name: `features` (batch, height, width, channels) and the states in;
    `probabilities` (batch, classes), `attention` (batch, height, width) and the new
    states out. Zeros are the states before the first frame.

    `start` takes `features` (batch, time, height, width, channels) and `lengths`
    (batch,) of whole clips and gives the states that `step` starts with, for models
    that start from the mean of the features.

    Args:
        archive: what is exported.
        model: as `inference.inference_model` gives it.
    """
    clip_model = keras.Model(model.input, model.output["probabilities"], name=model.name)
    _add(archive, STEP_SIGNATURE, streaming(clip_model))
    start = start_model(clip_model)
    if start is not None:
        _add(archive, START_SIGNATURE, start)


def _add(archive: keras.export.ExportArchive, signature: str, model: keras.Model) -> None:
    inputs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in model.input.items()
    }
    archive.add_endpoint(
        signature, lambda tensors: model(tensors, training=False), input_signature=[inputs]
    )
