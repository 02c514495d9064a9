"""A tiny SavedModel with signatures of many kinds, for tests of what serves it."""

import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from cham_keras.serving.tensors import tensor_of_array

NAME = "toy"
#: The shared server refuses requests above this.
MOST_BYTES = 200_000
DTYPES = ("float32", "float64", "float16", "int32", "int64", "int16", "int8", "uint8", "uint16")
DTYPES += ("uint32", "uint64", "bool")
CLASSES = (b"hop", b"run")


class Toy(tf.Module):
    """Sums features; `scale` tells two versions apart."""

    def __init__(self, scale):
        self.scale = tf.Variable(scale, dtype=tf.float32)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, 3), tf.float32, "features"),
            tf.TensorSpec((None,), tf.int32, "lengths"),
        ]
    )
    def serve(self, features, lengths):
        sums = tf.reduce_sum(features, -1) * self.scale
        best = tf.cast(sums[:, 0] > 0, tf.int32)
        return {
            "sums": sums,
            "plus": sums[:, 0] + tf.cast(lengths, tf.float32),
            "label": tf.gather(tf.constant(CLASSES), best),
        }

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, "x")])
    def single(self, x):
        return {"y": x * self.scale}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "inputs")])
    def classify(self, inputs):
        read = tf.io.parse_example(
            inputs,
            {
                "x": tf.io.FixedLenFeature([2], tf.float32),
                "bias": tf.io.FixedLenFeature([], tf.float32, 0.0),
            },
        )
        classes = tf.tile(tf.constant([CLASSES]), [tf.shape(inputs)[0], 1])
        return {"classes": classes, "scores": read["x"] * self.scale + read["bias"][:, None]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "text")])
    def strings(self, text):
        return {"same": text, "same_bytes": text, "length": tf.strings.length(text)}

    @tf.function(input_signature=[tf.TensorSpec((None, 2), kind, f"in_{kind}") for kind in DTYPES])
    def echo(self, *values):
        return {f"out_{kind}": value[::-1] for kind, value in zip(DTYPES, values, strict=True)}

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32, "steps")])
    def slow(self, steps):
        """Multiplies matrices `steps` times: some milliseconds each."""
        product = tf.eye(256)
        for _ in tf.range(steps):
            product = tf.matmul(product, tf.eye(256))
        return {"trace": tf.linalg.trace(product) * self.scale, "steps": steps}


def write_toy(folder: Path, scale: float = 2.0) -> Path:
    """Writes the model and returns its folder."""
    toy = Toy(scale)
    signatures = {"serving_default": toy.serve}
    for name in ("single", "classify", "strings", "echo", "slow"):
        signatures[name] = getattr(toy, name)
    tf.saved_model.save(toy, str(folder), signatures=signatures)
    set_method_name(folder, "classify", "tensorflow/serving/classify")
    return folder


def set_method_name(folder: Path, signature: str, method_name: str) -> None:
    """Says which API a signature is for, which `tf.saved_model.save` cannot."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    model.meta_graphs[0].signature_def[signature].method_name = method_name
    path.write_bytes(model.SerializeToString())


def toy_inputs(batch: int = 2, time: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of `serving_default`."""
    rng = np.random.default_rng(seed)
    return {
        "features": rng.normal(size=(batch, time, 3)).astype(np.float32),
        "lengths": rng.integers(1, time + 1, batch).astype(np.int32),
    }


def texts(*values: bytes) -> np.ndarray:
    """An array of `bytes` objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def echo_inputs() -> dict[str, np.ndarray]:
    """Inputs of `echo`: numbers at the ends of each dtype's range."""
    inputs = {}
    for kind in DTYPES:
        if kind == "bool":
            values = np.array([[True, False], [False, True]])
        elif kind.startswith("float"):
            least, most = np.finfo(kind).min, np.finfo(kind).max
            values = np.array([[least, most], [0.1, -7]], kind)
        else:
            least, most = np.iinfo(kind).min, np.iinfo(kind).max
            values = np.array([[least, most], [0, 7]], kind)
        inputs[f"in_{kind}"] = values
    return inputs


def slow_inputs(client) -> dict[str, np.ndarray]:
    """Inputs of `slow` that keep a server busy for a second or more, however fast it is."""
    client.predict("slow", {"steps": np.array(1, np.int32)})  # the first call takes longer
    steps, seconds = 100, 0.0
    while seconds < 0.3:
        steps *= 2
        began = time.monotonic()
        client.predict("slow", {"steps": np.array(steps, np.int32)})
        seconds = time.monotonic() - began
    return {"steps": np.array(4 * steps, np.int32)}


def predict_log(signature: str, inputs: dict[str, np.ndarray]) -> prediction_log_pb2.PredictionLog:
    """A warm-up record."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tensor_of_array(array))
    return log


def write_warmup(folder: Path, records: list[bytes]) -> Path:
    """Writes a version's file of warm-up requests."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path
