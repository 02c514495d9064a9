"""TensorProto to NumPy and back, held against TensorFlow's own reading."""

import numpy as np
import pytest
import tensorflow as tf
from serving_testing import DTYPES, echo_inputs, texts
from tensorflow.core.framework import tensor_pb2, types_pb2

from cham_keras.serving import StatusError
from cham_keras.serving.tensors import array_of_tensor, tensor_of_array


def tensor(dtype, shape, **fields):
    """A TensorProto of these parts."""
    made = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(f"DT_{dtype}"), **fields)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def read_by_tensorflow(made):
    return tf.io.parse_tensor(made.SerializeToString(), tf.dtypes.DType(made.dtype)).numpy()


WELL_FORMED = {
    "all_values": tensor("FLOAT", [2, 2], float_val=[1, 2, 3, 4]),
    "too_few_values": tensor("FLOAT", [2, 3], float_val=[1, 2]),
    "one_value": tensor("DOUBLE", [3], double_val=[0.1]),
    "no_values": tensor("FLOAT", [2]),
    "too_many_values": tensor("FLOAT", [2], float_val=[1, 2, 3]),
    "values_in_another_field": tensor("FLOAT", [2], int_val=[5]),
    "content": tensor("FLOAT", [2], tensor_content=np.float32([3, -1]).tobytes()),
    "content_before_values": tensor(
        "FLOAT", [1], float_val=[5], tensor_content=np.float32(7).tobytes()
    ),
    "scalar": tensor("INT32", [], int_val=[-5]),
    "nothing_in_it": tensor("FLOAT", [0, 3], float_val=[5]),
    "cut_to_eight_bits": tensor("UINT8", [3], int_val=[300, -1, 7]),
    "cut_to_sixteen_bits": tensor("INT16", [2], int_val=[70000, -70000]),
    "uint16": tensor("UINT16", [2], int_val=[65535, 1]),
    "int8": tensor("INT8", [3], int_val=[-128, 127]),
    "half": tensor("HALF", [3], half_val=[15360, 31744]),
    "booleans": tensor("BOOL", [4], bool_val=[True, False]),
    "content_of_booleans": tensor("BOOL", [2], tensor_content=b"\1\0"),
    "int64": tensor("INT64", [2], int64_val=[-(2**63), 2**63 - 1]),
    "uint32": tensor("UINT32", [2], uint32_val=[2**32 - 1]),
    "uint64": tensor("UINT64", [2], uint64_val=[2**64 - 1, 1]),
    "strings": tensor("STRING", [3], string_val=[b"a\0", b"\xff", b""]),
    "too_few_strings": tensor("STRING", [3], string_val=[b"a", b"b"]),
    "too_many_strings": tensor("STRING", [1], string_val=[b"a", b"b"]),
    "no_strings": tensor("STRING", [2, 1]),
    "packed_strings": tensor("STRING", [2], tensor_content=b"\x01\x82\x01a" + b"b" * 130),
    "no_rank": tensor_pb2.TensorProto(dtype=1, float_val=[2], tensor_shape={"unknown_rank": True}),
    "not_finite": tensor("FLOAT", [3], float_val=[np.nan, np.inf, -np.inf]),
}
MALFORMED = {
    "short_content": tensor("FLOAT", [2], tensor_content=b"1234"),
    "long_content": tensor("FLOAT", [1], tensor_content=b"123456789"),
    "negative_size": tensor("FLOAT", [-1], float_val=[1]),
    "no_dtype": tensor("INVALID", [1]),
    "booleans_that_are_none": tensor("BOOL", [2], tensor_content=b"\2\1"),
    "packed_strings_too_long": tensor("STRING", [2], tensor_content=b"\x01\x02abbc"),
    "packed_strings_too_short": tensor("STRING", [2], tensor_content=b"\x01\x02ab"),
    "packed_strings_broken_off": tensor("STRING", [3], tensor_content=b"\x01\x82"),
}


@pytest.mark.parametrize("name", WELL_FORMED)
def test_a_tensor_is_read_as_tensorflow_reads_it(name):
    found, expected = array_of_tensor(WELL_FORMED[name]), read_by_tensorflow(WELL_FORMED[name])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_tensor_is_refused_as_tensorflow_refuses_it(name):
    if MALFORMED[name].dtype:
        with pytest.raises(tf.errors.InvalidArgumentError):
            read_by_tensorflow(MALFORMED[name])
    with pytest.raises(StatusError) as refused:
        array_of_tensor(MALFORMED[name])
    assert refused.value.code == 3


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (tensor("FLOAT", [2**20, 2**20], float_val=[1]), "asks for 4398046511104 bytes"),
        (tensor("STRING", [2**40], string_val=[b"a"]), "asks for"),
        (tensor("COMPLEX64", [1]), "the dtype 8 is none that can be read"),
        (tensor("FLOAT", [1] * 65, float_val=[1]), "65 axes"),
        (MALFORMED["short_content"], "4 bytes where its shape and dtype need 8"),
    ],
)
def test_what_cannot_be_held_is_refused_before_memory_is_taken(made, words):
    with pytest.raises(StatusError, match=words) as refused:
        array_of_tensor(made)
    assert refused.value.code == 3


@pytest.mark.parametrize("as_content", [False, True])
@pytest.mark.parametrize("kind", [*DTYPES, "string"])
def test_an_array_comes_back_from_its_tensor(kind, as_content):
    array = texts(b"\0a", b"").reshape(1, 2) if kind == "string" else echo_inputs()[f"in_{kind}"]
    made = tensor_of_array(array, as_content=as_content)
    assert bool(made.tensor_content) == (as_content and kind != "string")
    for read in (array_of_tensor(made), read_by_tensorflow(made)):
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("array", [np.zeros(1, complex), np.array(["a"]), np.array([1, None])])
def test_arrays_that_no_tensor_can_hold_are_refused(array):
    with pytest.raises(ValueError, match="Received: "):
        tensor_of_array(array)
