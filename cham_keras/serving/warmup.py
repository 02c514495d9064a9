"""The warm-up of a version: requests that lie in it, sent to the model before it is served.

Comes in: a model and its folder. Goes out: how many requests it answered. A model server runs
them when it loads a version, and refuses the version if one fails; the stand-in and the export
do the same with `replay_warmup`.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import google_crc32c
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from cham_keras.serving.c_library import StatusError
from cham_keras.serving.classify_request import answer_classify
from cham_keras.serving.predict_request import answer_predict
from cham_keras.serving.served_model import ServedModel

#: Where a version keeps its requests, under the folder of the version.
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"

#: The model server takes no more.
MAX_RECORDS = 1000


def replay_warmup(
    model: ServedModel,
    folder: Path,
    around: Callable[[Iterable[bytes]], Iterable[bytes]] = iter,
) -> int:
    """Runs the warm-up requests of a version.

    Args:
        model: the loaded version.
        folder: the version's folder; it may be without requests.
        around: what the records pass through as they are read, such as a progress bar.

    Returns:
        the number of records.

    Raises:
        ValueError: a record cannot be read, or the model refuses it; or there are more than
            1000. The message names the file and the record's number, counted from 1.
    """
    path = Path(folder) / WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    for count, record in enumerate(around(_records_of(path)), start=1):
        if count > MAX_RECORDS:
            raise ValueError(
                f"{path} must hold at most {MAX_RECORDS} records. Received: more. Leave some out."
            )
        try:
            _run(model, prediction_log_pb2.PredictionLog.FromString(record))
        except DecodeError as error:
            raise ValueError(
                f"Record {count} of {path} must be a PredictionLog. It cannot be parsed: {error}"
            ) from error
        except StatusError as error:
            raise ValueError(
                f"Record {count} of {path} must be a request that the model answers. "
                f"It refuses: {error.message}"
            ) from error
    return count


def _run(model: ServedModel, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        answer_predict(model, log.predict_log.request)
    elif kind == "classify_log":
        answer_classify(model, log.classify_log.request)
    elif kind is not None:  # a model server passes over an empty one, too
        raise StatusError(12, f"Unsupported log_type for warmup: {kind}")


def _records_of(path: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file, with their checksums compared."""
    with path.open("rb") as file:
        number = 1
        while head := file.read(12):
            length = _checked(path, number, head, 8)
            size = struct.unpack("<Q", length)[0]
            if size > path.stat().st_size:
                raise _broken(path, number, "it is longer than the file")
            yield _checked(path, number, file.read(size + 4), size)
            number += 1


def _checked(path: Path, number: int, data: bytes, size: int) -> bytes:
    """Takes the checksum off the end of some bytes, and compares it."""
    if len(data) != size + 4:
        raise _broken(path, number, "the file breaks off in it")
    checksum = google_crc32c.value(data[:size])
    # TFRecord's masking: turned right by 15 bits, then a constant is added.
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    if masked != struct.unpack("<I", data[size:])[0]:
        raise _broken(path, number, "its checksum is another one")
    return data[:size]


def _broken(path: Path, number: int, reason: str) -> ValueError:
    return ValueError(f"{path} must be a TFRecord file. Record {number} is broken: {reason}.")
