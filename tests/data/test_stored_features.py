"""Features as bytes: what is stored, what comes back, and how far off it is said to be."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cham_keras.data.shards.stored_features import as_stored, store

SHAPES = hnp.array_shapes(min_dims=4, max_dims=4, min_side=1, max_side=4)
#: A mapping from a dtype to the largest number that it holds here.
LARGEST = {"float32": 1e30, "float16": 65504.0, "int8": 1e30}


def arrays(dtype: str):
    """Features of all magnitudes, also those near the smallest numbers there are."""
    largest = float(np.float32(LARGEST[dtype]))
    plain = st.floats(-largest, largest, width=32)
    tiny = st.floats(-(2.0**-130), 2.0**-130, width=32, allow_subnormal=True)
    return hnp.arrays(
        np.float32, SHAPES, elements=st.one_of(plain, tiny, st.floats(-1, 1, width=32))
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_comes_back_is_near_and_the_error_is_the_true_one(dtype, data):
    features = data.draw(arrays(dtype))
    stored, back = store(features, dtype), as_stored(features, dtype)
    assert back.dtype == np.float32 and back.shape == features.shape
    off = np.abs(back.astype(float) - features)
    if dtype == "float32":
        np.testing.assert_array_equal(back, features)
    elif dtype == "float16":
        assert (off <= np.maximum(np.abs(features) * 2.0**-11, 2.0**-25)).all()
    else:
        # Half a step; a channel of subnormal numbers may become zero.
        step = np.abs(features).max(axis=(1, 2), keepdims=True).astype(float) / 127
        assert (off <= 0.5 * step * (1 + 1e-4) + 128 * 2.0**-126).all()
    assert stored.largest_error == pytest.approx(off.max(), rel=1e-5, abs=1e-40)
    assert math.isfinite(stored.squared_error) and math.isfinite(stored.squared_norm)
    assert stored.squared_norm == pytest.approx(
        (features.astype(float) ** 2).sum(), rel=1e-4, abs=1e-35
    )
    assert stored.squared_error == pytest.approx((off**2).sum(), rel=1e-4, abs=1e-35)


@pytest.mark.parametrize(
    ("dtype", "code"), [("float16", "<f2"), ("float32", "<f4"), ("int8", "i1")]
)
def test_bytes_are_little_endian_in_c_order_a_value_a_frame(dtype, code):
    features = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype("float32")
    stored = store(features.transpose(0, 2, 1, 3), dtype)  # no C order
    assert len(stored.frames) == 3
    for frame, back in zip(
        stored.frames, as_stored(features.transpose(0, 2, 1, 3), dtype), strict=True
    ):
        numbers = np.frombuffer(frame, code).reshape(4, 2, 5).astype("float32")
        if dtype == "int8":
            assert numbers.min() >= -127
            assert set(np.abs(numbers).max(axis=(0, 1))) == {127}
        else:
            np.testing.assert_array_equal(numbers, back)
    assert (stored.scales is None) == (dtype != "int8")


def test_each_frame_and_channel_has_its_own_scale():
    scales = np.array([[1.0, 200.0], [0.01, 3e6]], np.float32)  # (frames, channels)
    numbers = np.random.default_rng(0).integers(-127, 128, (2, 3, 3, 2))
    numbers[:, 0, 0] = 127
    features = (numbers * scales[:, None, None]).astype(np.float32)
    stored = store(features, "int8")
    found = np.stack([np.frombuffer(s, "<f4") for s in stored.scales])
    np.testing.assert_allclose(found, scales, rtol=1e-6)
    for frame, expected in zip(stored.frames, numbers, strict=True):
        np.testing.assert_array_equal(np.frombuffer(frame, np.int8).reshape(3, 3, 2), expected)


def test_numbers_too_small_for_a_scale_do_not_change_their_sign():
    # 190 of the smallest number there is, and a scale of one of it: 190 is beyond int8.
    features = np.full((1, 1, 1, 2), [190 * 2.0**-149, 1], np.float32)
    assert np.frombuffer(store(features, "int8").frames[0], np.int8).tolist() == [0, 127]


def test_features_of_zero_stay_zero():
    for dtype in ("float16", "float32", "int8"):
        stored = store(np.zeros((2, 1, 1, 3), np.float32), dtype)
        assert (stored.largest_error, stored.squared_error, stored.squared_norm) == (0, 0, 0)
        assert not as_stored(np.zeros((2, 1, 1, 3)), dtype).any()


def test_the_sums_are_the_same_however_the_frames_came():
    features = np.random.default_rng(0).normal(size=(5, 3, 3, 7)).astype("float32")
    turned = np.ascontiguousarray(features.transpose(3, 1, 2, 0)).transpose(3, 1, 2, 0)
    assert store(features, "int8") == store(turned, "int8")


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(dtype, number):
    features = np.ones((2, 2, 2, 3), np.float32)
    features[1, 0, 1, 2] = number
    with pytest.raises(ValueError, match=rf"finite as {dtype}. Received: (nan|inf)"):
        store(features, dtype)


def test_what_the_dtype_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"finite as float16. Received: 70000"):
        store(np.full((1, 1, 1, 1), 7e4, np.float32), "float16")
    for dtype in ("float32", "int8", "float16"):
        with pytest.raises(ValueError, match=rf"finite as {dtype}"):
            store(np.full((1, 1, 1, 1), 1e300), dtype)
