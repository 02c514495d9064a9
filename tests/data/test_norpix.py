"""Norpix sequences: frames come out as they went in, or a sentence says why not.

Sequences of JPEG and PNG, and all of version 3, are written by the tests
themselves (`norpix_testing.py`): no recorded one was at hand.
"""

import itertools
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from norpix_testing import FIELDS, drawn_pictures, encoded, set_field, write_norpix

from cham_keras.data.frames import still_images
from cham_keras.data.frames.norpix import NorpixSequence
from cham_keras.data.frames.norpix_header import MAX_PIXELS
from cham_keras.data.frames.still_images import demosaic_bggr, to_8_bit

REAL = Path(__file__).parents[3] / "shared" / "data" / "norpix"
needs_recorded = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"needs the recorded sequences in {REAL}, which are not here"
)

VERSIONS_AND_EXTRAS = [(3, 8), (3, 16), (5, 8), (5, 16)]


def grey_of(pictures: list[np.ndarray]) -> list[np.ndarray]:
    return [np.ascontiguousarray(picture[..., 0]) for picture in pictures]


def three_channels(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def all_frames(path: Path) -> list[np.ndarray]:
    frames = list(NorpixSequence(path).frames())
    assert all(frame.dtype == np.uint8 for frame in frames)
    return frames


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "clip.seq"


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("padding", [0, 500])
def test_raw_grey_frames_come_back_exactly(path, version, padding):
    grey = grey_of(drawn_pictures())
    write_norpix(path, grey, 100, version, padding=padding)
    np.testing.assert_array_equal(all_frames(path), [three_channels(frame) for frame in grey])


def test_raw_colour_is_stored_blue_first(path):
    pictures = drawn_pictures()
    stored = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]
    write_norpix(path, stored, 200, real_bit_depth=8)
    np.testing.assert_array_equal(all_frames(path), pictures)


@pytest.mark.parametrize("real_bit_depth", [9, 10, 12, 14, 16])
def test_deeper_greys_are_scaled_by_their_real_depth(path, real_bit_depth):
    largest = 2**real_bit_depth - 1
    deep = [np.linspace(0, largest, 24 * 40).reshape(24, 40).astype("<u2")]
    write_norpix(path, deep, 100, real_bit_depth=real_bit_depth)
    (frame,) = all_frames(path)
    assert (frame.min(), frame.max()) == (0, 255)
    expected = np.round(deep[0] / largest * 255)
    np.testing.assert_array_equal(frame, three_channels(expected.astype(np.uint8)))


def test_a_value_above_the_real_depth_is_an_error_that_names_the_frame(path):
    deep = [np.full((4, 6), 100, "<u2"), np.full((4, 6), 1024, "<u2")]
    write_norpix(path, deep, 100, real_bit_depth=10)
    frames = NorpixSequence(path).frames()
    next(frames)
    with pytest.raises(ValueError, match=r"Frame 1 .*clip.seq.*from 0 to 1023.*1024 to 1024"):
        next(frames)
    with pytest.raises(ValueError, match="from 8 to 16. Received: 17"):
        to_8_bit(np.zeros(3), 17)


def demosaicked_by_hand(mosaic: np.ndarray) -> np.ndarray:
    """The mean of the nearest pixels of each colour, pixel by pixel, mirrored at the edges."""
    height, width = mosaic.shape
    colour_at = {(0, 0): 2, (0, 1): 1, (1, 0): 1, (1, 1): 0}  # blue, green, green, red
    rgb = np.zeros((height, width, 3), int)
    for y, x, channel in itertools.product(range(height), range(width), range(3)):
        # The nearest ring first: the pixel itself, its four sides, its four corners.
        for ring in (0, 1, 2):
            values = []
            for dy, dx in itertools.product((-1, 0, 1), repeat=2):
                if dy * dy + dx * dx != ring:
                    continue
                row, column = (
                    abs(k) if k < size else 2 * size - 2 - k
                    for k, size in ((y + dy, height), (x + dx, width))
                )
                if colour_at[row % 2, column % 2] == channel:
                    values.append(int(mosaic[row, column]))
            if values:
                rgb[y, x, channel] = (2 * sum(values) + len(values)) // (2 * len(values))
                break
    return rgb.astype(np.uint8)


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (5, 8), (6, 7)])
def test_bayer_mosaics_become_the_mean_of_the_nearest_pixels_of_each_colour(size):
    mosaic = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    np.testing.assert_array_equal(demosaic_bggr(mosaic), demosaicked_by_hand(mosaic))


def test_a_bayer_sequence_has_blue_in_its_upper_left_corner(path):
    picture = np.zeros((24, 40, 3), np.uint8)
    picture[...] = (200, 120, 30)
    mosaic = picture[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = picture[::2, ::2, 2], picture[1::2, 1::2, 0]
    write_norpix(path, [mosaic], 101)
    np.testing.assert_array_equal(all_frames(path), [picture])
    write_norpix(path, [mosaic.astype("<u2") * 16], 101, real_bit_depth=12)
    (frame,) = all_frames(path)
    np.testing.assert_allclose(frame, picture, atol=1)


@pytest.mark.parametrize(("version", "extra"), VERSIONS_AND_EXTRAS)
@pytest.mark.parametrize("image_format", [1, 2])
def test_png_frames_come_back_exactly(path, image_format, version, extra):
    pictures = drawn_pictures()
    stored = grey_of(pictures) if image_format == 1 else pictures
    write_norpix(path, stored, image_format, version, extra)
    expected = [three_channels(grey) for grey in stored] if image_format == 1 else pictures
    np.testing.assert_array_equal(all_frames(path), expected)


@pytest.mark.parametrize(("version", "extra"), VERSIONS_AND_EXTRAS)
@pytest.mark.parametrize("image_format", [102, 201])
def test_jpeg_frames_come_back_in_order_and_colour(path, image_format, version, extra):
    pictures = drawn_pictures(num_frames=6)
    stored = grey_of(pictures) if image_format == 102 else pictures
    write_norpix(path, stored, image_format, version, extra)
    frames = all_frames(path)
    assert len(frames) == 6
    for frame, picture in zip(frames, stored, strict=True):
        expected = three_channels(picture) if picture.ndim == 2 else picture
        assert np.abs(frame.astype(int) - expected).mean() < 3
    # Lossy, but the same image each time.
    assert len({frame.tobytes() for frame in frames}) == 6


def test_a_deep_png_is_scaled_by_the_real_depth(path):
    deep = np.linspace(0, 4095, 24 * 40).reshape(24, 40).astype(np.uint16)
    write_norpix(path, [deep], 1, real_bit_depth=12)
    expected = np.round(deep / 4095 * 255).astype(np.uint8)
    np.testing.assert_array_equal(all_frames(path), [three_channels(expected)])


@pytest.mark.parametrize("image_format", [1, 100, 102])
def test_an_unstated_number_of_frames_is_counted_in_the_file(path, image_format):
    write_norpix(path, grey_of(drawn_pictures(5)), image_format, num_frames=0)
    sequence = NorpixSequence(path)
    assert (sequence.num_frames, sequence.problem) == (5, None)
    assert len(list(sequence.frames())) == 5


def test_room_left_over_behind_the_last_frame_is_no_frame(path):
    write_norpix(path, grey_of(drawn_pictures(3)), 102, num_frames=0)
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert NorpixSequence(path).num_frames == 3


@pytest.mark.parametrize("image_format", [2, 100, 201])
@pytest.mark.parametrize("extra", [8, 16])
def test_a_cut_file_gives_its_whole_frames_and_counts_the_others_at_every_byte(
    path, image_format, extra
):
    pictures = drawn_pictures(3, height=8, width=10)
    pictures = grey_of(pictures) if image_format == 100 else pictures
    *starts, _ = write_norpix(path, pictures, image_format, extra=extra, padding=extra)
    whole = all_frames(path)
    content = path.read_bytes()
    image_ends = []
    for start in starts:
        (length,) = struct.unpack_from("<I", content, start)
        image_ends.append(start + (length if image_format != 100 else 80))
    # All bytes around the borders of headers, lengths, images, time stamps and frames.
    borders = [0, 28, 592, *starts, *image_ends, *(end + 6 for end in image_ends), len(content)]
    for size in sorted({b + d for b in borders for d in range(-5, 6)} & set(range(len(content)))):
        path.write_bytes(content[:size])
        num_whole = sum(end <= size for end in image_ends)
        if not num_whole:
            with pytest.raises(ValueError, match=r"Norpix sequence must .*clip\.seq"):
                NorpixSequence(path)
            continue
        sequence = NorpixSequence(path)
        np.testing.assert_array_equal(list(sequence.frames()), whole[:num_whole])
        if num_whole == 3:
            assert sequence.problem is None
        else:
            assert f"{path} breaks off: {3 - num_whole} of 3 frames are" in sequence.problem


@pytest.mark.parametrize("image_format", [100, 102])
def test_a_cut_file_of_unstated_length_says_that_a_frame_is_cut(path, image_format):
    pictures = grey_of(drawn_pictures(3))
    *starts, _ = write_norpix(path, pictures, image_format, num_frames=0)
    path.write_bytes(path.read_bytes()[: starts[2] + 20])
    sequence = NorpixSequence(path)
    assert sequence.num_frames == 2
    assert "last frame is cut" in sequence.problem and "its 2 whole frames" in sequence.problem


@pytest.mark.parametrize("image_format", [100, 102])
def test_frames_behind_the_last_stated_one_are_left_out_and_counted(path, image_format):
    write_norpix(path, grey_of(drawn_pictures(5)), image_format, num_frames=3)
    assert len(all_frames(path)) == 3
    problem = NorpixSequence(path).problem
    assert "states 3 frames and holds 5; the last 2 are left out" in problem


def test_frames_can_be_read_in_any_order(path):
    pictures = drawn_pictures(5)
    write_norpix(path, pictures, 2)
    sequence = NorpixSequence(path)
    np.testing.assert_array_equal(
        list(sequence.frames([4, 0, 2])), [pictures[4], pictures[0], pictures[2]]
    )
    with pytest.raises(ValueError, match="from 0 to 4. Received: 5 of .*clip.seq"):
        next(sequence.frames([5]))


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("image_format", [100, 102])
@pytest.mark.parametrize("stated", [25.0, 24.9, 1000.0, 0.0, -3.0, float("nan"), float("inf")])
def test_the_rate_is_the_stated_one_unless_the_time_stamps_disagree(
    path, version, image_format, stated
):
    times = [1_200_000_000.3 + number / 25 for number in range(20)]
    pictures = grey_of(drawn_pictures(20, 4, 6))
    write_norpix(path, pictures, image_format, version, frame_rate_hz=stated, times=times)
    rate = NorpixSequence(path).frame_rate_hz
    if stated in (25.0, 24.9):  # a difference of less than 1%
        assert rate == stated
    else:
        assert rate == pytest.approx(25, rel=1e-3)


def test_stamps_in_whole_milliseconds_do_not_outvote_a_stated_rate(path):
    # 29.97 frames a second, three frames: 0, 33 and 67 milliseconds, so 29.85 by the stamps.
    times = [round(number / 29.97, 3) for number in range(2)]
    write_norpix(path, grey_of(drawn_pictures(2, 4, 6)), 100, frame_rate_hz=29.97, times=times)
    assert NorpixSequence(path).frame_rate_hz == 29.97  # the stamps say 30.30


def test_pauses_between_frames_do_not_change_the_rate(path):
    times = np.arange(30) / 25
    times[7:] += 0.16
    times[20:] += 2.0
    pictures = grey_of(drawn_pictures(30, 4, 6))
    write_norpix(path, pictures, 100, frame_rate_hz=60, times=list(times))
    assert NorpixSequence(path).frame_rate_hz == pytest.approx(25, rel=1e-3)


def test_steps_without_any_rule_give_the_mean_rate(path):
    times = np.cumsum([0.01, 0.09] * 10)
    pictures = grey_of(drawn_pictures(20, 4, 6))
    write_norpix(path, pictures, 100, frame_rate_hz=60, times=list(times))
    assert NorpixSequence(path).frame_rate_hz == pytest.approx(19 / (times[-1] - times[0]))


@pytest.mark.parametrize("times", [[5.0] * 4, [9.0, 8.0, 7.0, 6.0]])
def test_stamps_that_do_not_advance_leave_the_stated_rate(path, times):
    pictures = grey_of(drawn_pictures(4, 4, 6))
    write_norpix(path, pictures, 100, frame_rate_hz=30, times=times)
    assert NorpixSequence(path).frame_rate_hz == 30
    write_norpix(path, pictures, 100, frame_rate_hz=0, times=times)
    sequence = NorpixSequence(path)
    with pytest.raises(ValueError, match=r"from 0.001 to 1000000.*Received: 0.0 in .*clip\.seq"):
        _ = sequence.frame_rate_hz
    assert len(list(sequence.frames())) == 4  # frames need no rate


def test_stamps_that_are_no_times_leave_the_stated_rate(path):
    *places, _ = write_norpix(path, grey_of(drawn_pictures(4, 4, 6)), 100, frame_rate_hz=30)
    content = bytearray(path.read_bytes())
    for number, place in enumerate(places):  # a thousand milliseconds and more
        struct.pack_into("<IH", content, place + 24, 7, 1000 + 40 * number)
    path.write_bytes(content)
    assert NorpixSequence(path).frame_rate_hz == 30


def test_a_rate_above_the_resolution_of_the_stamps_is_their_mean(path):
    times = [round(number / 5000, 3) for number in range(401)]
    write_norpix(path, grey_of(drawn_pictures(401, 2, 3)), 100, frame_rate_hz=60, times=times)
    assert NorpixSequence(path).frame_rate_hz == pytest.approx(5000, rel=0.02)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("magic", 0xFEEE, "magic number .* must be 0xfeed. Received: 0xfeee"),
        ("name", b"Norpix", "name .* must be 'Norpix seq' in UTF-16"),
        ("version", 0, "version .* must be from 1 to 99. Received: 0"),
        ("version", -5, "version .* Received: -5"),
        ("header_size", 1000, "header size .* must be 1024. Received: 1000"),
        ("width", 0, "size .* must be from 1x1 .* Received: 0x24"),
        ("height", 2**31, f"to {MAX_PIXELS} pixels in all. Received: 40x2147483648"),
        ("bit_depth", 12, "bit depth .* must be 8 or 16 for format 100. Received: 12"),
        ("real_bit_depth", 10, "real bit depth .* must be from 8 to 8. Received: 10"),
        ("image_bytes", 959, "image size .* must be 960 bytes. Received: 959"),
        ("image_format", 103, "image format .* 1, 2, 100, 101, 102, 200 or 201. Received: 103"),
        ("frame_bytes", 965, "true image size .* must be 966 bytes or more, .* Received: 965"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused_with_rule_and_value(path, field, value, message):
    write_norpix(path, grey_of(drawn_pictures()), 100)
    set_field(path, field, value)
    with pytest.raises(ValueError, match=message) as raised:
        NorpixSequence(path)
    assert str(path) in str(raised.value)


def test_bayer_and_colour_have_rules_of_their_own(path):
    write_norpix(path, [np.zeros((1, 40), np.uint8)], 101)
    with pytest.raises(ValueError, match="2x2 or more for Bayer. Received: 40x1"):
        NorpixSequence(path)
    write_norpix(path, drawn_pictures(), 200, bit_depth=8)
    with pytest.raises(ValueError, match="24 for format 200. Received: 8"):
        NorpixSequence(path)
    write_norpix(path, drawn_pictures(), 200, real_bit_depth=10)
    with pytest.raises(ValueError, match="8 or 24 for format 200. Received: 10"):
        NorpixSequence(path)


def test_a_file_without_frames_or_none_at_all_is_refused(path):
    with pytest.raises(FileNotFoundError, match="no Norpix sequence .*clip.seq"):
        NorpixSequence(path)
    path.write_bytes(b"\xed\xfe")
    with pytest.raises(ValueError, match="header of 592 bytes or more.*clip.seq, which holds 2"):
        NorpixSequence(path)
    write_norpix(path, [], 102)
    with pytest.raises(ValueError, match="at least one whole frame.*states no number of frames"):
        NorpixSequence(path)


@pytest.mark.parametrize("length", [0, 5, 2**31])
def test_a_frame_of_impossible_length_is_damage_and_no_end(path, length):
    places = write_norpix(path, drawn_pictures(4), 201)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, places[2], length)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"Frame 2 .*clip.seq is damaged.*the length {length}"):
        NorpixSequence(path)


def test_a_damaged_image_is_named_with_its_number(path):
    pictures = drawn_pictures(4)
    damaged = encoded(pictures[2], "JPEG")[:300]
    write_norpix(path, [*pictures[:2], damaged, pictures[3]], 201)
    frames = NorpixSequence(path).frames()
    assert len([next(frames), next(frames)]) == 2
    with pytest.raises(ValueError, match="Frame 2 .*clip.seq cannot be read as an image"):
        next(frames)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SyntaxError("broken PNG file"), "broken PNG file"),
        (struct.error("unpack requires a buffer of 4 bytes."), "unpack requires a buffer of 4"),
        (IndexError(), "IndexError"),
    ],
)
def test_whatever_the_decoder_meets_becomes_a_sentence(path, monkeypatch, error, reason):
    def failing(*_arguments):
        raise error

    write_norpix(path, drawn_pictures(), 2)
    monkeypatch.setattr(still_images.Image, "open", failing)
    with pytest.raises(ValueError, match=rf"Frame 0 .* cannot be read as an image: {reason}"):
        all_frames(path)


def test_a_lack_of_memory_is_no_fault_of_the_image(path, monkeypatch):
    def failing(*_arguments):
        raise MemoryError

    write_norpix(path, drawn_pictures(), 2)
    monkeypatch.setattr(still_images.Image, "open", failing)
    with pytest.raises(MemoryError):
        all_frames(path)


@pytest.mark.parametrize("image_format", [2, 200])
def test_a_file_that_shrinks_while_it_is_read_is_an_error(path, image_format):
    *places, _ = write_norpix(path, drawn_pictures(), image_format, real_bit_depth=8)
    frames = NorpixSequence(path).frames()
    next(frames)
    path.write_bytes(path.read_bytes()[: places[1] + 100])
    with pytest.raises(ValueError, match=r"Frame 1 .*clip\.seq has gone from the file"):
        next(frames)


def test_an_image_of_another_size_than_stated_is_refused_before_it_is_decoded(path):
    pictures = [*drawn_pictures(1), *drawn_pictures(1, height=24, width=64)]
    write_norpix(path, pictures, 201)
    with pytest.raises(ValueError, match="Frame 1 .*must be 40x24 pixels.*Received: 64x24"):
        all_frames(path)


def test_frames_of_a_large_file_are_read_one_at_a_time(path):
    # A sparse file: it takes no room on the disk.
    num_frames, frame_bytes = 3000, 640 * 480 + 512
    write_norpix(
        path, [np.zeros((480, 640), np.uint8)], 100, num_frames=num_frames, frame_bytes=frame_bytes
    )
    with path.open("r+b") as file:
        file.truncate(1024 + num_frames * frame_bytes)
    tracemalloc.start()
    try:
        sequence = NorpixSequence(path)
        assert (sequence.num_frames, sequence.problem) == (num_frames, None)
        assert sum(frame.size for frame in sequence.frames(range(0, num_frames, 299))) > 0
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def frames_or_value_error(path: Path) -> None:
    tracemalloc.start()
    try:
        sequence = NorpixSequence(path)
        for frame in itertools.islice(sequence.frames(), 20):
            assert frame.shape == (sequence.header.height, sequence.header.width, 3)
        assert sequence.frame_rate_hz > 0
    except ValueError as error:
        assert str(path) in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20 * 2**20


FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(behind_the_name=st.binary(max_size=2000), with_magic=st.booleans())
def test_random_bytes_are_refused_with_a_sentence(path, behind_the_name, with_magic):
    start = struct.pack("<I", 0xFEED) + "Norpix seq".encode("utf-16-le") if with_magic else b""
    path.write_bytes(start + behind_the_name)
    frames_or_value_error(path)


@FUZZ
@given(data=st.data())
def test_damaged_sequences_give_frames_or_a_sentence(path, data):
    image_format = data.draw(st.sampled_from([1, 2, 100, 101, 102, 200, 201]))
    pictures = drawn_pictures(3, height=8, width=10)
    pictures = pictures if image_format in (2, 200, 201) else grey_of(pictures)
    places = write_norpix(
        path,
        pictures,
        image_format,
        version=data.draw(st.sampled_from([3, 5])),
        extra=data.draw(st.sampled_from([8, 16])),
        **({"real_bit_depth": 8} if image_format == 200 else {}),
    )
    content = bytearray(path.read_bytes())
    # Fields of the header, and any bytes from the first frame on.
    for field in data.draw(st.lists(st.sampled_from(sorted(set(FIELDS) - {"name"})), max_size=2)):
        offset, packing = FIELDS[field]
        size = struct.calcsize(packing)
        content[offset : offset + size] = data.draw(st.binary(min_size=size, max_size=size))
    for _ in range(data.draw(st.integers(0, 4))):
        offset = data.draw(st.integers(places[0], len(content) - 1))
        content[offset] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    frames_or_value_error(path)


@needs_recorded
@pytest.mark.parametrize(
    ("name", "height", "width", "num_frames", "stated_rate", "frame_bytes"),
    [
        ("sample_norpix6.seq", 32, 36, 6, 10.0, 8192),
        ("sample_norpix6_320x240_10frames.seq", 240, 320, 10, 1000 / 29, 81920),
    ],
)
def test_recorded_sequences_are_read_pixel_by_pixel(
    name, height, width, num_frames, stated_rate, frame_bytes
):
    sequence = NorpixSequence(REAL / name)
    content = np.frombuffer((REAL / name).read_bytes(), np.uint8)[8192:]
    records = content.reshape(num_frames, frame_bytes)
    grey = records[:, : height * width].reshape(num_frames, height, width)
    np.testing.assert_array_equal(all_frames(REAL / name), np.stack([grey] * 3, axis=-1))
    assert len({frame.tobytes() for frame in grey}) == num_frames
    assert (sequence.num_frames, sequence.problem) == (num_frames, None)
    assert sequence.header.frame_rate_hz == pytest.approx(stated_rate)
    # Recorded at another rate than was asked of the camera: 29.6 and 31.0, by the stamps.
    stamps = records[:, height * width :][:, :8].copy().view("<u2").astype(float)
    seconds = stamps @ [1, 2**16, 1e-3, 1e-6]
    measured = (num_frames - 1) / (seconds[-1] - seconds[0])
    assert sequence.frame_rate_hz == pytest.approx(measured, rel=1e-5)
    assert abs(measured / stated_rate - 1) > 0.05
