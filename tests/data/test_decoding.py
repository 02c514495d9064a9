"""Decoding ahead: everything comes, in order, and no thread stays."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cham_keras.data.clip_list import Clip
from cham_keras.data.extraction.decoding import ClipEnd, decode_ahead


def clips(number: int) -> list[Clip]:
    return [Clip(f"{index}.mp4", "run", "train", "group") for index in range(number)]


def frame(clip: int, number: int) -> np.ndarray:
    return np.array([clip, number])


def reader(num_frames, fault_after=None, error=ValueError):
    """Reads `num_frames[clip]` frames; a clip in `fault_after` breaks off after so many."""

    def read(clip):
        index = int(clip.path.removesuffix(".mp4"))

        def frames():
            for number in range(num_frames[index]):
                if (fault_after or {}).get(index) == number:
                    raise error(f"{clip.path} breaks off")
                yield frame(index, number)

        return 10.0 + index, frames()

    return read


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "decoder"]


def told(events) -> list:
    """Frames as (clip, number), ends as what they say."""
    return [
        (event.clip.path, event.num_frames, event.frame_rate_hz, event.unreadable_because)
        if isinstance(event, ClipEnd)
        else tuple(event.tolist())
        for event in events
    ]


@settings(max_examples=60, deadline=None)
@given(
    num_frames=st.lists(st.integers(1, 7), max_size=9),
    num_threads=st.integers(1, 12),
    frames_ahead=st.integers(1, 5),
    data=st.data(),
)
def test_frames_and_ends_come_in_the_order_of_the_clips(
    num_frames, num_threads, frames_ahead, data
):
    fault_after = {
        index: data.draw(st.integers(0, number - 1))
        for index, number in enumerate(num_frames)
        if data.draw(st.booleans())
    }
    read = reader(num_frames, fault_after)
    found = told(decode_ahead(clips(len(num_frames)), read, num_threads, frames_ahead))
    expected = []
    for index, number in enumerate(num_frames):
        number = fault_after.get(index, number)
        expected += [(index, count) for count in range(number)]
        path = f"{index}.mp4"
        if index in fault_after:
            expected.append((path, number, 0.0, f"{path} breaks off"))
        else:
            expected.append((path, number, 10.0 + index, None))
    assert found == expected
    assert not decoders()


@settings(max_examples=30, deadline=None)
@given(num_threads=st.integers(1, 8), frames_ahead=st.integers(1, 4), taken=st.integers(0, 30))
def test_closing_half_way_leaves_no_threads(num_threads, frames_ahead, taken):
    events = decode_ahead(clips(8), reader([5] * 8), num_threads, frames_ahead)
    for _ in range(taken):
        next(events)
    events.close()
    assert not decoders()


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError, PermissionError])
def test_a_reader_that_raises_at_once_makes_a_clip_without_frames(error):
    def read(clip):
        raise error("cannot be opened")

    found = told(decode_ahead(clips(3), read, 2, 2))
    assert found == [(f"{index}.mp4", 0, 0.0, "cannot be opened") for index in range(3)]


def test_a_clip_without_a_frame_is_unreadable():
    found = told(decode_ahead(clips(2), reader([0, 1]), 2, 2))
    assert found[0][:3] == ("0.mp4", 0, 0.0)
    assert "no frame" in found[0][3]
    assert found[1:] == [(1, 0), ("1.mp4", 1, 11.0, None)]


@pytest.mark.parametrize("error", [TypeError, MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("place", [0, 2])
def test_other_errors_come_in_their_place_and_leave_no_threads(error, place):
    read = reader([3] * 6, {1: place}, error)
    events = decode_ahead(clips(6), read, 4, 2)
    before = [next(events) for _ in range(4 + place)]
    assert told(before)[3] == ("0.mp4", 3, 10.0, None)
    with pytest.raises(error, match="breaks off"):
        next(events)
    assert not decoders()


def test_an_error_in_the_list_of_clips_comes_out_and_leaves_no_threads():
    def listed():
        yield from clips(3)
        raise RuntimeError("the list breaks off")

    with pytest.raises(RuntimeError, match="the list breaks off"):
        list(decode_ahead(listed(), reader([3] * 3), 2, 2))
    assert not decoders()


def test_no_more_clips_are_begun_and_no_more_frames_held_than_was_asked_for():
    begun, read_frames = [], []

    def read(clip):
        begun.append(clip.path)

        def frames():
            for number in range(100):
                read_frames.append(number)
                yield np.zeros(1)

        return 1.0, frames()

    events = decode_ahead(clips(50), read, num_threads=3, frames_ahead=4)
    next(events)
    for _ in range(20):  # threads that could do more would do so meanwhile
        time.sleep(0.005)
    assert len(begun) == 3
    # Of each: those that wait, one in hand; and the one that was taken.
    assert len(read_frames) <= 3 * (4 + 1) + 1
    events.close()


def test_clips_are_taken_from_the_list_only_when_their_turn_comes():
    taken = []

    def listed():
        for clip in clips(40):
            taken.append(clip)
            yield clip

    events = decode_ahead(listed(), reader([1] * 40), num_threads=2, frames_ahead=2)
    next(events)
    assert len(taken) == 2
    events.close()


def test_readers_are_closed_when_the_generator_is():
    closed = []

    def read(clip):
        def frames():
            try:
                while True:
                    yield np.zeros(1)
            finally:
                closed.append(clip.path)

        return 1.0, frames()

    events = decode_ahead(clips(5), read, 3, 2)
    next(events)
    events.close()
    assert sorted(closed) == ["0.mp4", "1.mp4", "2.mp4"]


def test_many_threads_decode_more_clips_than_there_are():
    found = told(decode_ahead(clips(3), reader([2] * 3), num_threads=64, frames_ahead=1))
    assert [event for event in found if len(event) == 2] == [
        (clip, number) for clip in range(3) for number in range(2)
    ]


@pytest.mark.parametrize("arguments", [(0, 1), (-1, 1), (1, 0)])
def test_without_a_thread_or_a_place_for_frames_nothing_is_dropped_in_silence(arguments):
    with pytest.raises(ValueError, match=r"must be at least 1. Received: "):
        list(decode_ahead(clips(2), reader([1, 1]), *arguments))
