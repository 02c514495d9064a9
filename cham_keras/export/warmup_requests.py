"""Requests that a server answers for itself before it takes a new version into service.

Comes in: a written SavedModel and how its clips look. Goes out:
`assets.extra/tf_serving_warmup_requests`, one request for each signature and batch size.
TensorFlow prepares much at the first call with a shape only, so the first clients would wait.
`saved_model` writes the file and has it replayed.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_log_pb2,
)

from cham_keras.data.shards.shard_schema import FRAMES_FEATURES, FRAMES_SCALES
from cham_keras.data.shards.stored_features import store
from cham_keras.export.clip_signature import SIGNATURE
from cham_keras.export.description import Description
from cham_keras.export.example_signatures import CLASSIFY_SIGNATURE, EXAMPLES_SIGNATURE
from cham_keras.export.frame_signature import FRAMES_SIGNATURE
from cham_keras.export.streaming import START_SIGNATURE
from cham_keras.serving import ServedModel, TensorInfo

#: Where a model server looks for it, and how many records it takes.
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000


def write_warmup_requests(
    model: ServedModel, description: Description, batch_sizes: Sequence[int], name: str
) -> int:
    """Writes the file of warm-up requests.

    Features are written as one number that stands for all, so a record is a few bytes.

    Args:
        model: the SavedModel.
        description: what it is.
        batch_sizes: sizes of batches.
        name: the model's name.

    Returns:
        the number of records.

    Raises:
        ValueError: there would be more of them than a server takes.
    """
    num_records = len(model.signatures) * len(batch_sizes)
    if num_records > MOST_RECORDS:
        raise ValueError(
            f"A server takes {MOST_RECORDS} warm-up requests. Received: {num_records} for "
            f"{len(model.signatures)} signatures and {len(batch_sizes)} `batch_sizes`. Name fewer."
        )
    file = model.folder / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in _records(model, description, batch_sizes, name):
            writer.write(record.SerializeToString(deterministic=True))
    return num_records


def _records(
    model: ServedModel, description: Description, batch_sizes: Sequence[int], name: str
) -> Iterator[prediction_log_pb2.PredictionLog]:
    example = example_of_one_frame(description)
    for signature in sorted(model.signatures):
        for batch_size in batch_sizes:
            log = prediction_log_pb2.PredictionLog()
            if signature == CLASSIFY_SIGNATURE:
                request = classification_pb2.ClassificationRequest()
                request.input.example_list.examples.extend([example] * batch_size)
                log.classify_log.request.CopyFrom(request)
                spec = log.classify_log.request.model_spec
            else:
                request = predict_pb2.PredictRequest()
                for key, info in model.signatures[signature].inputs.items():
                    value = _value(signature, key, info, description, example.SerializeToString())
                    shape = _shape(signature, info, batch_size, description)
                    request.inputs[key].CopyFrom(_repeated(value, info, shape))
                log.predict_log.request.CopyFrom(request)
                spec = log.predict_log.request.model_spec
            spec.name, spec.signature_name = name, signature
            yield log


def example_of_one_frame(description: Description) -> tf.train.Example:
    """An example of a clip of one frame, all its features a half."""
    features = np.full((1, *description.preparation.backbone.feature_shape), 0.5, np.float32)
    stored = store(features, description.preparation.feature_dtype)
    feature = {
        FRAMES_FEATURES: tf.train.Feature(bytes_list=tf.train.BytesList(value=stored.frames))
    }
    if stored.scales is not None:
        scales = tf.train.BytesList(value=stored.scales)
        feature[FRAMES_SCALES] = tf.train.Feature(bytes_list=scales)
    return tf.train.Example(features=tf.train.Features(feature=feature))


def grey_jpeg(size: int) -> bytes:
    """A grey picture of size x size pixels as a JPEG file."""
    file = BytesIO()
    Image.new("RGB", (size, size), (128, 128, 128)).save(file, "JPEG", quality=95)
    return file.getvalue()


def _value(
    signature: str, key: str, info: TensorInfo, description: Description, example: bytes
) -> float | int | bytes:
    """What an input is filled with."""
    if signature == EXAMPLES_SIGNATURE:
        return example
    if signature == FRAMES_SIGNATURE and key == "frames":
        return grey_jpeg(description.preparation.backbone.image_size)
    if key == "lengths":
        return description.preparation.num_frames
    return 0.5 if info.dtype_name == "float32" else 0


def _shape(
    signature: str, info: TensorInfo, batch_size: int, description: Description
) -> list[int]:
    clips = signature in (SIGNATURE, START_SIGNATURE, FRAMES_SIGNATURE) and len(info.shape) > 1
    time = [description.preparation.num_frames] if clips else []
    return [batch_size, *time, *(size for size in info.shape[1 + len(time) :] if size is not None)]


def _repeated(value: float | int | bytes, info: TensorInfo, shape: list[int]) -> object:
    proto = tf.make_tensor_proto(value, dtype=tf.as_dtype(info.dtype))
    # One value and a larger shape: TensorFlow repeats the last value that is there.
    proto.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return proto
