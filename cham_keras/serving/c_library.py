"""TensorFlow's C library, as far as a server needs it: load a SavedModel, run a session.

The library lies in the pip wheel of TensorFlow; a model server loads models through the same
C++ code. Whoever wants a served model without Keras calls `served_model`, which stands on
this. Nothing of the package may be imported here, so that a process without it can use it.
"""

import ctypes
import importlib.util
from collections.abc import Mapping, Sequence
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

#: TensorFlow's numbers of its dtypes, and NumPy's names of them; 7 is string.
NUMPY_OF_DTYPE: dict[int, Any] = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    9: np.int64,
    10: np.bool_,
    17: np.uint16,
    19: np.float16,
    22: np.uint32,
    23: np.uint64,
}
STRING_DTYPE = 7
_DTYPE_OF_NUMPY = {np.dtype(kind): number for number, kind in NUMPY_OF_DTYPE.items()}

#: Bytes of a string's head in a tensor of strings (`TF_TString`).
_BYTES_OF_STRING = 24

# C++: void tensorflow::DisableXlaCompilation().
_DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"


class StatusError(Exception):
    """What the library says where it refuses.

    Attributes:
        code: TensorFlow's code, the same number as gRPC's (3 is an invalid argument).
        message: its words.
    """

    def __init__(self, code: int, message: str) -> None:
        """Keeps code and words."""
        super().__init__(message)
        self.code = code
        self.message = message


class _Buffer(Structure):
    _fields_ = [("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p)]


class _Output(Structure):
    _fields_ = [("operation", c_void_p), ("index", c_int)]


_SIGNATURES: dict[str, tuple[Any, Sequence[Any]]] = {
    "TF_Version": (c_char_p, []),
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewBuffer": (POINTER(_Buffer), []),
    "TF_DeleteBuffer": (None, [POINTER(_Buffer)]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_DeleteGraph": (None, [c_void_p]),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [
            *(c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int),
            *(c_void_p, POINTER(_Buffer), c_void_p),
        ],
    ),
    "TF_SessionRun": (
        None,
        [
            *(c_void_p, c_void_p),
            *(POINTER(_Output), POINTER(c_void_p), c_int),  # inputs
            *(POINTER(_Output), POINTER(c_void_p), c_int),  # outputs
            *(POINTER(c_void_p), c_int, c_void_p, c_void_p),
        ],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_StringInit": (None, [c_void_p]),
    "TF_StringCopy": (None, [c_void_p, c_char_p, c_size_t]),
    "TF_StringDealloc": (None, [c_void_p]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
}


class TensorFlowLibrary:
    """The C functions of the TensorFlow that is installed.

    Args:
        xla: whether XLA may compile; a model server is built without unless it gets a flag.
            Without, it is off for the whole process.

    Raises:
        FileNotFoundError: there is no TensorFlow, or its wheel holds no C library.
    """

    def __init__(self, *, xla: bool = False) -> None:
        """Loads the library; a process that has it already gets the same one."""
        self._library = ctypes.CDLL(str(library_file()))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        if not xla:
            getattr(self._library, _DISABLE_XLA)()

    def __getattr__(self, name: str) -> Any:
        # Only for names that are not set: there is none, and type checkers know of the others.
        raise AttributeError(name)

    @property
    def version(self) -> str:
        """TensorFlow's version."""
        return str(self.TF_Version().decode())


def library_file() -> Path:
    """The file of TensorFlow's C library, found without importing TensorFlow."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "TensorFlow must be installed for its C library. Received: an environment without. "
            "Run: pip install tensorflow"
        )
    found = sorted(Path(spec.submodule_search_locations[0]).glob("libtensorflow_cc.*"))
    if not found:
        raise FileNotFoundError(
            "The wheel of TensorFlow must hold libtensorflow_cc, as those for Linux and macOS do. "
            f"Received: none in {spec.submodule_search_locations[0]}."
        )
    return found[0]


class Session:
    """A SavedModel's session. Its `run` may be called from several threads at once.

    Args:
        folder: folder with `saved_model.pb` in it.
        config: a serialized `ConfigProto`, b"" for TensorFlow's defaults.
        xla: whether XLA may compile, see `TensorFlowLibrary`.

    Attributes:
        meta_graph: the serialized `MetaGraphDef`, with the signatures in it.

    Raises:
        StatusError: the library cannot load it.
    """

    def __init__(self, folder: Path, *, config: bytes = b"", xla: bool = False) -> None:
        """Loads graph and weights."""
        self.library = library = TensorFlowLibrary(xla=xla)
        self._session = None
        self._graph = library.TF_NewGraph()
        options = library.TF_NewSessionOptions()
        content = library.TF_NewBuffer()
        try:
            with _Status(library) as status:
                library.TF_SetConfig(options, config, len(config), status.handle)
            tags = (c_char_p * 1)(b"serve")
            with _Status(library) as status:
                self._session = library.TF_LoadSessionFromSavedModel(
                    *(options, None, str(folder).encode(), tags, 1),
                    *(self._graph, content, status.handle),
                )
            self.meta_graph = ctypes.string_at(content.contents.data, content.contents.length)
        except StatusError:
            self.close()
            raise
        finally:
            library.TF_DeleteBuffer(content)
            library.TF_DeleteSessionOptions(options)

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Runs the graph once.

        Args:
            inputs: arrays by the names of tensors, such as `serving_default_features:0`;
                strings as arrays of `bytes` objects.
            outputs: names of tensors.

        Returns:
            the outputs' arrays, strings as arrays of `bytes` objects.

        Raises:
            StatusError: the graph refuses its inputs, or has no such tensor.
        """
        library = self.library
        if self._session is None:
            raise StatusError(14, "The session is closed.")  # unavailable
        with _Tensors(library) as given, _Tensors(library) as found:
            for array in inputs.values():
                given.add(array)
            found.handles = [None] * len(outputs)
            results = (c_void_p * len(outputs))()
            sources = (_Output * len(inputs))(*(self._tensor(name) for name in inputs))
            wanted = (_Output * len(outputs))(*(self._tensor(name) for name in outputs))
            with _Status(library) as status:
                library.TF_SessionRun(
                    *(self._session, None),
                    *(sources, (c_void_p * len(inputs))(*given.handles), len(inputs)),
                    *(wanted, results, len(outputs)),
                    *(None, 0, None, status.handle),
                )
            found.handles = list(results)
            return [_array_of(library, handle) for handle in found.handles]

    def close(self) -> None:
        """Frees the session and its weights; no call may be under way."""
        if self._session is not None:
            for function in (self.library.TF_CloseSession, self.library.TF_DeleteSession):
                with _Status(self.library) as status:
                    function(self._session, status.handle)
            self._session = None
        if self._graph is not None:
            self.library.TF_DeleteGraph(self._graph)
            self._graph = None

    def _tensor(self, name: str) -> _Output:
        operation, _, index = name.partition(":")
        handle = self.library.TF_GraphOperationByName(self._graph, operation.encode())
        if handle is None:
            raise StatusError(3, f"The graph has no operation {operation}.")
        return _Output(handle, int(index or 0))


class _Status:
    """A status that is freed in the end, and raised where it is not OK."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.handle = library.TF_NewStatus()

    def __enter__(self) -> "_Status":
        return self

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        code = self._library.TF_GetCode(self.handle)
        message = self._library.TF_Message(self.handle).decode(errors="replace")
        self._library.TF_DeleteStatus(self.handle)
        if kind is None and code != 0:
            raise StatusError(code, message)


class _Tensors:
    """Tensors that are freed in the end, with the strings that were put into them."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.handles: list[int | None] = []
        self._strings: list[int] = []

    def __enter__(self) -> "_Tensors":
        return self

    def __exit__(self, *error: object) -> None:
        for address in self._strings:
            self._library.TF_StringDealloc(address)
        for handle in self.handles:
            if handle is not None:
                self._library.TF_DeleteTensor(handle)

    def add(self, array: np.ndarray) -> None:
        """Makes a tensor with an array's numbers or strings in it."""
        array = np.asarray(array)
        shape = (c_int64 * array.ndim)(*array.shape)
        if array.dtype == object:
            size = array.size * _BYTES_OF_STRING
            handle = self._library.TF_AllocateTensor(STRING_DTYPE, shape, array.ndim, size)
            self.handles.append(handle)
            start = self._library.TF_TensorData(handle)
            for number, text in enumerate(array.ravel()):
                address = start + number * _BYTES_OF_STRING
                self._library.TF_StringInit(address)
                self._strings.append(address)
                self._library.TF_StringCopy(address, text, len(text))
            return
        dtype = _DTYPE_OF_NUMPY.get(array.dtype)
        if dtype is None:
            raise StatusError(3, f"A tensor cannot be made of an array of {array.dtype}.")
        array = np.asarray(array, order="C")  # ascontiguousarray would give a scalar an axis
        handle = self._library.TF_AllocateTensor(dtype, shape, array.ndim, array.nbytes)
        self.handles.append(handle)
        if array.nbytes:
            ctypes.memmove(self._library.TF_TensorData(handle), array.ctypes.data, array.nbytes)


def _array_of(library: Any, handle: int | None) -> np.ndarray:
    shape = tuple(library.TF_Dim(handle, axis) for axis in range(library.TF_NumDims(handle)))
    start = library.TF_TensorData(handle)
    dtype = library.TF_TensorType(handle)
    if dtype == STRING_DTYPE:
        strings = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
        for number in range(strings.size):
            address = start + number * _BYTES_OF_STRING
            content = library.TF_StringGetDataPointer(address)
            strings[number] = ctypes.string_at(content, library.TF_StringGetSize(address))
        return strings.reshape(shape)
    array = np.empty(shape, NUMPY_OF_DTYPE[dtype])
    if array.nbytes:
        ctypes.memmove(array.ctypes.data, start, array.nbytes)
    return array
