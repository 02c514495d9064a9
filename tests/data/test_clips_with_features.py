"""Frames in batches and clips put together again: every frame at its place, also after a kill."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.extraction.decoding import ClipEnd
from cham_keras.data.extraction.extraction import clips_with_features
from cham_keras.data.shards.manifest import UnreadableClip


class FakeBackbone:
    """Features that tell the row of the batch they came from and the frame's own colour."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.spec = SimpleNamespace(image_size=2)
        self.batches = []

    def features_of_resized(self, frames: np.ndarray) -> np.ndarray:
        self.batches.append(frames.copy())
        numbers = [[row, *frame[0, 0]] for row, frame in enumerate(frames)]
        return np.array(numbers, np.float32)[:, None, None]


@st.composite
def clips_and_faults(draw):
    """(frames, whether readable) of each clip; a readable one has a frame at least."""
    clip = st.one_of(
        st.tuples(st.integers(1, 9), st.just(True)), st.tuples(st.integers(0, 5), st.just(False))
    )
    return draw(st.lists(clip, min_size=1, max_size=10))


def frame(clip: int, number: int) -> np.ndarray:
    return np.full((2, 2, 3), (clip + 1, number, 7), np.uint8)


def run(listed, batch_size, first=0, position=0):
    clips = [Clip(f"{index}.mp4", "ab"[index % 2], "train", "g") for index in range(len(listed))]
    clip_list = ClipList("videos", ("a", "b"), clips)

    def events():
        for index, (num_frames, is_readable) in list(enumerate(listed))[first:]:
            yield from (frame(index, number) for number in range(num_frames))
            reason = None if is_readable else f"fault {index}"
            yield ClipEnd(clips[index], num_frames, 5.0 if is_readable else 0.0, reason)

    backbone = FakeBackbone(batch_size)
    return list(clips_with_features(events(), backbone, clip_list, position)), backbone


def plain(clip):
    if isinstance(clip, UnreadableClip):
        return clip
    return (clip.id, clip.split, clip.label, clip.group, clip.frame_rate_hz, clip.features.tolist())


@settings(max_examples=150, deadline=None)
@given(listed=clips_and_faults(), batch_size=st.integers(1, 7))
def test_clips_have_their_own_frames_and_unreadable_ones_leave_nothing(listed, batch_size):
    found, backbone = run(listed, batch_size)
    position = 0
    for index, ((num_frames, is_readable), (clip, end)) in enumerate(
        zip(listed, found, strict=True)
    ):
        if is_readable:
            assert (clip.id, clip.label, clip.frame_rate_hz) == (f"{index}.mp4", index % 2, 5.0)
            assert clip.features[:, 0, 0].tolist() == [
                [(position + number) % batch_size, index + 1, number, 7]
                for number in range(num_frames)
            ]
        else:
            assert clip == UnreadableClip(f"{index}.mp4", f"fault {index}")
        position += num_frames
        assert end == position
    assert all(len(batch) == batch_size for batch in backbone.batches[:-1])
    assert sum(map(len, backbone.batches)) == position


@settings(max_examples=150, deadline=None)
@given(listed=clips_and_faults(), batch_size=st.integers(1, 7), data=st.data())
def test_after_any_clip_the_rest_comes_as_if_nothing_had_broken(listed, batch_size, data):
    whole, whole_backbone = run(listed, batch_size)
    first = data.draw(st.integers(0, len(listed) - 1))
    position = whole[first - 1][1] if first else 0
    rest, backbone = run(listed, batch_size, first, position)
    assert [(plain(clip), end) for clip, end in rest] == [
        (plain(clip), end) for clip, end in whole[first:]
    ]
    # The same frames in the same rows of the same batches; what is left out is blank.
    same = whole_backbone.batches[len(whole_backbone.batches) - len(backbone.batches) :]
    for number, (found, expected) in enumerate(zip(backbone.batches, same, strict=True)):
        num_blank = position % batch_size if number == 0 else 0
        np.testing.assert_array_equal(found[num_blank:], expected[num_blank:])
        assert not found[:num_blank].any()


def test_a_clip_comes_as_soon_as_its_last_batch_is_full():
    clips = [Clip(f"{index}.mp4", "ab"[index % 2], "train", "g") for index in range(4)]
    given_out = []

    def events():
        for index, clip in enumerate(clips):
            yield frame(index, 0)
            yield frame(index, 1)
            yield ClipEnd(clip, 2, 5.0)
            given_out.append(index)

    found = clips_with_features(events(), FakeBackbone(2), ClipList("videos", ("a", "b"), clips))
    next(found)
    assert given_out == []
