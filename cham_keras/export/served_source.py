"""A model on a server, as something that videos can be classified by.

Comes in: a client of a server, and what goes over the wire. Goes out: a source for
`VideoClassifier` and `StreamClassifier`, as a run or an export is one. The server itself tells
what the model is, by its signature `description`; so a client needs no file of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, Protocol

import numpy as np
from PIL import Image

from cham_keras.data.shards.clip_record import ClipFeatures, record_of_clip
from cham_keras.export.clip_signature import SIGNATURE
from cham_keras.export.description import Description, description_from_json
from cham_keras.export.example_signatures import EXAMPLES_SIGNATURE
from cham_keras.export.frame_signature import FRAMES_SIGNATURE
from cham_keras.export.signatures import DESCRIPTION_SIGNATURE
from cham_keras.serving import Signature

#: What may go over the wire: features as float32; records with features as in the shards,
#: half of that or a quarter; JPEG frames, a hundredth, for which a client needs no CNN.
Wire = Literal["features", "examples", "jpeg"]

_SIGNATURE_OF_WIRE = {
    "features": SIGNATURE,
    "examples": EXAMPLES_SIGNATURE,
    "jpeg": FRAMES_SIGNATURE,
}

_JPEG_QUALITY = 95


class Client(Protocol):
    """What a client of a server can do; `serving.clients` has two."""

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls a signature."""
        ...

    def signatures(self) -> Mapping[str, Signature]:
        """The model's signatures."""
        ...


@dataclass(frozen=True)
class ServedSource:
    """A model on a server.

    Attributes:
        client: how it is asked.
        description: what it is.
        wire: what goes over the wire.
    """

    client: Client
    description: Description
    wire: Wire

    def score_features(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Scores clips by their features (batch, time, height, width, channels)."""
        if self.wire == "features":
            lengths = np.full(len(features), features.shape[1], "int32")
            return self.client.predict(SIGNATURE, {"features": features, "lengths": lengths})
        preparation = self.description.preparation
        records = [
            record_of_clip(
                ClipFeatures("clip", "test", 0, "clip", 25.0, clip),
                *(self.description.classes, preparation.backbone.feature_shape),
                preparation.feature_dtype,
            )[0]
            for clip in features
        ]
        return self.client.predict(EXAMPLES_SIGNATURE, {"examples": np.array(records, object)})

    def score_frames(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Scores a clip by its frames (time, height, width, 3) uint8 of the backbone's size."""
        jpegs = np.array([[jpeg_of(frame) for frame in frames]], dtype=object)
        lengths = np.array([len(frames)], "int32")
        return self.client.predict(FRAMES_SIGNATURE, {"frames": jpegs, "lengths": lengths})


def open_served(client: Client, wire: Wire = "examples") -> ServedSource:
    """Asks a server what its model is.

    Args:
        client: of `serving.clients`.
        wire: what goes over the wire.

    Raises:
        ServerError: the server cannot be asked.
        ValueError: the model was not exported by `cham export`, or takes nothing of this kind.
    """
    known = client.signatures()
    if DESCRIPTION_SIGNATURE not in known:
        raise ValueError(
            f"The server's model must be one that `cham export` wrote, with a signature "
            f"{DESCRIPTION_SIGNATURE}. Received: one with {', '.join(sorted(known))}. "
            "Export the run again."
        )
    if _SIGNATURE_OF_WIRE[wire] not in known:
        raise ValueError(
            f"For the wire {wire!r}, the server's model must have the signature "
            f"{_SIGNATURE_OF_WIRE[wire]}. Received: one with {', '.join(sorted(known))}. "
            "Export the run again with --frames, or choose another --wire."
        )
    told = client.predict(DESCRIPTION_SIGNATURE, {"clients": np.zeros(1, "int32")})
    content = told["description"].ravel()[0]
    text = content.decode() if isinstance(content, bytes) else str(content)
    return ServedSource(client, description_from_json(text, "The server's description"), wire)


def jpeg_of(frame: np.ndarray) -> bytes:
    """A frame (height, width, 3) uint8 as a JPEG file."""
    file = BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return file.getvalue()
