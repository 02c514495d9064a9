"""TensorProto and NumPy, one into the other, as TensorFlow reads and writes them.

Comes in: a tensor of a request. Goes out: an array, with strings as `bytes` objects; and the
way back for answers. The stand-in server, the warm-up's replay and the gRPC client call this.
"""

import math

import numpy as np
from tensorflow.core.framework import tensor_pb2

from cham_keras.serving.c_library import NUMPY_OF_DTYPE, STRING_DTYPE, StatusError

INVALID_ARGUMENT = 3

#: A tensor's bytes must fit in the largest message of gRPC. Few values may stand for many
#: (the last one is repeated), so that a small message could ask for any size.
MAX_TENSOR_BYTES = 2**31 - 1

_DTYPE_OF_NUMPY = {np.dtype(kind): number for number, kind in NUMPY_OF_DTYPE.items()}

#: The field of a TensorProto that holds the values of a dtype.
_FIELD_OF_DTYPE = {
    np.float32: "float_val",
    np.float64: "double_val",
    np.int32: "int_val",
    np.int16: "int_val",
    np.int8: "int_val",
    np.uint8: "int_val",
    np.uint16: "int_val",
    np.int64: "int64_val",
    np.bool_: "bool_val",
    np.float16: "half_val",  # as the integers that its bits are
    np.uint32: "uint32_val",
    np.uint64: "uint64_val",
}


def array_of_tensor(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """The array that TensorFlow makes of a TensorProto.

    Args:
        tensor: with its numbers in `tensor_content` or in the field of its dtype. Where the
            field holds too few, the last is repeated; where it holds none, all are zero (or
            empty strings); where it holds too many, the rest is left out.

    Returns:
        an array, maybe a read-only one; strings as an array of `bytes` objects.

    Raises:
        StatusError: it is malformed, or has a dtype that the stand-in does not know.
    """
    shape = _shape_of(tensor)
    size = math.prod(shape)
    if tensor.dtype == STRING_DTYPE:
        return _strings_of(tensor, size).reshape(shape)
    kind = NUMPY_OF_DTYPE.get(tensor.dtype)
    if kind is None:
        raise _refused(f"the dtype {tensor.dtype} is none that can be read")
    _check_size(size, np.dtype(kind).itemsize)
    if size and tensor.tensor_content:
        return _numbers_of_content(tensor.tensor_content, np.dtype(kind), size).reshape(shape)
    return _numbers_of_field(tensor, np.dtype(kind), size).reshape(shape)


def tensor_of_array(array: np.ndarray, *, as_content: bool = False) -> tensor_pb2.TensorProto:
    """A TensorProto with an array's numbers or strings.

    Args:
        array: of a dtype that TensorFlow has; strings as an array of `bytes` objects.
        as_content: numbers as one string of bytes, which is faster, in the place of a field of
            values, which is what a model server answers with and clients look into.

    Raises:
        ValueError: TensorFlow has no such dtype, or an object is no `bytes`.
    """
    array = np.asarray(array)
    if array.dtype == object:
        if not all(isinstance(text, bytes) for text in array.ravel()):
            raise ValueError(
                "An array of objects must hold `bytes` only. "
                f"Received: {sorted({type(text).__name__ for text in array.ravel()})}."
            )
        tensor = tensor_pb2.TensorProto(dtype=STRING_DTYPE)
        tensor.string_val.extend(array.ravel().tolist())
    else:
        number = _DTYPE_OF_NUMPY.get(array.dtype)
        if number is None:
            raise ValueError(
                f"An array's dtype must be one of {', '.join(map(str, _DTYPE_OF_NUMPY))} or "
                f"object with `bytes` in it. Received: {array.dtype}."
            )
        tensor = tensor_pb2.TensorProto(dtype=number)
        if as_content:
            tensor.tensor_content = array.tobytes()
        else:
            bits = array.view(np.uint16) if array.dtype == np.float16 else array
            field = _FIELD_OF_DTYPE[NUMPY_OF_DTYPE[number]]
            getattr(tensor, field).extend(bits.ravel().tolist())
    for length in array.shape:
        tensor.tensor_shape.dim.add(size=length)
    return tensor


def _shape_of(tensor: tensor_pb2.TensorProto) -> tuple[int, ...]:
    shape = tuple(length.size for length in tensor.tensor_shape.dim)
    if any(length < 0 for length in shape):
        raise _refused(f"its shape {list(shape)} has a negative size")
    if len(shape) > 64:
        raise _refused(f"its shape has {len(shape)} axes; 64 are the most")
    return shape


def _check_size(size: int, bytes_of_one: int) -> None:
    if size * bytes_of_one > MAX_TENSOR_BYTES:
        raise _refused(f"its shape asks for {size * bytes_of_one} bytes")


def _numbers_of_content(content: bytes, dtype: np.dtype, size: int) -> np.ndarray:
    if len(content) != size * dtype.itemsize:
        raise _refused(
            f"tensor_content has {len(content)} bytes where its shape and dtype need "
            f"{size * dtype.itemsize}"
        )
    if dtype == np.bool_ and max(content) > 1:
        raise _refused("tensor_content of booleans has bytes other than 0 and 1")
    return np.frombuffer(content, dtype)


def _numbers_of_field(tensor: tensor_pb2.TensorProto, dtype: np.dtype, size: int) -> np.ndarray:
    values = getattr(tensor, _FIELD_OF_DTYPE[dtype.type])
    count = min(len(values), size)
    if not count:
        return np.zeros(size, dtype)
    # The fields of small integers are wider than these; as in TensorFlow the rest is cut off.
    wide = np.uint64 if dtype == np.uint64 else np.int64
    read_as = dtype if dtype.kind == "f" and dtype != np.float16 else np.dtype(wide)
    read = np.fromiter(values, read_as, len(values))[:count]
    if dtype == np.float16:
        numbers = read.astype(np.uint16).view(np.float16)
    else:
        numbers = read.astype(dtype)
    return _repeated_to(numbers, size)


def _strings_of(tensor: tensor_pb2.TensorProto, size: int) -> np.ndarray:
    _check_size(size, 8)
    strings = np.full(size, b"", dtype=object)
    if not size:
        return strings
    if tensor.tensor_content:
        strings[:] = _split_strings(tensor.tensor_content, size)
        return strings
    values = list(tensor.string_val)[:size]
    if values:
        strings[: len(values)] = values
        strings[len(values) :] = values[-1]
    return strings


def _split_strings(content: bytes, size: int) -> list[bytes]:
    """Reads strings as TensorFlow packs them: all lengths as varints, then all bytes."""
    lengths, place = [], 0
    for _ in range(size):
        length, shift = 0, 0
        while True:
            if place >= len(content) or shift > 28:
                raise _refused("tensor_content breaks off in the lengths of its strings")
            byte = content[place]
            place, length, shift = place + 1, length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        lengths.append(length)
    if place + sum(lengths) != len(content):
        raise _refused("tensor_content has another length than its strings together")
    strings = []
    for length in lengths:
        strings.append(content[place : place + length])
        place += length
    return strings


def _repeated_to(numbers: np.ndarray, size: int) -> np.ndarray:
    if len(numbers) == size:
        return numbers
    filled = np.full(size, numbers[-1], numbers.dtype)
    filled[: len(numbers)] = numbers
    return filled


def _refused(reason: str) -> StatusError:
    return StatusError(INVALID_ARGUMENT, reason)
