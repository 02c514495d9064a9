"""A SavedModel as a server runs it: signatures by name, arrays in, arrays out, no Keras.

Comes in: the folder of one version. Goes out: a model whose signatures are called with
arrays and answer with arrays, or refuse with TensorFlow's status. The stand-in server, the
warm-up's replay and the parity check run models with it. Nothing of the package but
`c_library` may be imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

try:
    from cham_keras.serving.c_library import NUMPY_OF_DTYPE, STRING_DTYPE, Session, StatusError
except ImportError:  # a process in which the package is shut off
    from c_library import (  # type: ignore[import-not-found, no-redef]
        NUMPY_OF_DTYPE,
        STRING_DTYPE,
        Session,
        StatusError,
    )

INVALID_ARGUMENT = 3
NOT_FOUND = 5


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a signature.

    Attributes:
        tensor: its name in the graph.
        dtype: TensorFlow's number of its dtype.
        shape: sizes, None for what is free.
    """

    tensor: str
    dtype: int
    shape: tuple[int | None, ...]

    @property
    def dtype_name(self) -> str:
        """The dtype's name: `float32`, `string`."""
        return "string" if self.dtype == STRING_DTYPE else np.dtype(NUMPY_OF_DTYPE[self.dtype]).name

    def fits(self, array: np.ndarray) -> bool:
        """Whether an array has the shape."""
        return array.ndim == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, array.shape, strict=True)
        )


@dataclass(frozen=True)
class Signature:
    """A signature: what goes in and what comes out, by name, and the API that it is for."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    method_name: str


class ServedModel:
    """A SavedModel run by TensorFlow's C library.

    Args:
        folder: folder of one version, with `saved_model.pb` in it.
        xla: whether XLA may compile; off for the whole process if not, as in a model server.
        num_threads: threads of one operation and of operations side by side; 0 for as many
            as there are processors.

    Attributes:
        signatures: by name.

    Raises:
        StatusError: the library cannot load it.
    """

    def __init__(self, folder: Path, *, xla: bool = False, num_threads: int = 0) -> None:
        """Loads graph and weights."""
        config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=num_threads, inter_op_parallelism_threads=num_threads
        )
        self.folder = Path(folder)
        self._session = Session(self.folder, config=config.SerializeToString(), xla=xla)
        self.meta_graph = meta_graph_pb2.MetaGraphDef.FromString(self._session.meta_graph)
        self.signatures = signatures_of(self.meta_graph.signature_def)

    def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: list[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Calls a signature. Several threads may do so at once.

        Args:
            signature: its name.
            inputs: an array for each input; strings as arrays of `bytes` objects.
            outputs: names of the outputs that are wanted; all by default.

        Returns:
            arrays by name; strings as arrays of `bytes` objects.

        Raises:
            StatusError: no such signature or output; an input is missing, too many, or of
                another dtype or shape; or the graph refuses what is in it.
        """
        known = self._signature(signature)
        names = list(known.outputs) if outputs is None else outputs
        for name in names:
            if name not in known.outputs:
                raise StatusError(
                    INVALID_ARGUMENT,
                    f"The signature {signature} has no output {name!r}; "
                    f"it has {', '.join(sorted(known.outputs))}.",
                )
        self._check(signature, known, inputs)
        fed = {known.inputs[name].tensor: inputs[name] for name in known.inputs}
        arrays = self._session.run(fed, [known.outputs[name].tensor for name in names])
        return dict(zip(names, arrays, strict=True))

    @property
    def tensorflow_version(self) -> str:
        """Version of the TensorFlow that runs it."""
        return self._session.library.version

    def close(self) -> None:
        """Frees the model; no call may be under way."""
        self._session.close()

    def _signature(self, name: str) -> Signature:
        if name not in self.signatures:
            raise StatusError(
                NOT_FOUND,
                f"The model has no signature {name!r}; "
                f"it has {', '.join(sorted(self.signatures))}.",
            )
        return self.signatures[name]

    def _check(self, name: str, known: Signature, inputs: Mapping[str, np.ndarray]) -> None:
        if set(inputs) != set(known.inputs):
            raise StatusError(
                INVALID_ARGUMENT,
                f"The signature {name} takes {', '.join(sorted(known.inputs))}. "
                f"Received: {', '.join(sorted(inputs)) or 'nothing'}.",
            )
        for key, info in known.inputs.items():
            array = np.asarray(inputs[key])
            dtype = "string" if array.dtype == object else array.dtype.name
            if dtype != info.dtype_name:
                raise StatusError(
                    INVALID_ARGUMENT,
                    f"{key!r} of the signature {name} must be {info.dtype_name}. "
                    f"Received: {dtype}.",
                )
            if not info.fits(array):
                wanted = [size if size is not None else "any" for size in info.shape]
                raise StatusError(
                    INVALID_ARGUMENT,
                    f"{key!r} of the signature {name} must have the shape "
                    f"[{', '.join(map(str, wanted))}]. Received: {list(array.shape)}.",
                )


def signatures_of(definitions: Mapping[str, meta_graph_pb2.SignatureDef]) -> dict[str, Signature]:
    """The signatures that a SavedModel or a server states; TensorFlow's own are left out."""
    return {
        name: Signature(
            _tensor_infos(definition.inputs),
            _tensor_infos(definition.outputs),
            definition.method_name,
        )
        for name, definition in definitions.items()
        if not name.startswith("__")
    }


def _tensor_infos(definitions: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(
            definition.name,
            definition.dtype,
            tuple(size.size if size.size >= 0 else None for size in definition.tensor_shape.dim),
        )
        for name, definition in definitions.items()
    }
