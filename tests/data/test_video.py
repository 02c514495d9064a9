"""Videos come out as they went in, upright and in order, or with a clear error."""

import itertools
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from cham_keras.data.frames.video import WRITABLE_SUFFIXES, probe_video, read_frames, write_video

REAL_CLIPS = Path(__file__).parents[3] / "shared" / "data"
needs_real_clips = pytest.mark.skipif(
    not REAL_CLIPS.is_dir(), reason=f"needs the real clips in {REAL_CLIPS}, which are not here"
)


# Mean brightness of the quarters (row by row) of the first frames, after a look at the pictures:
# keys of a keyboard seen from the front, their letters upright.
SEEN_UPRIGHT = {
    0: (99.8, 109.5, 91.5, 98.6),
    90: (106.4, 108.2, 75.1, 88.9),
    180: (117.8, 124.4, 96.2, 105.8),
    270: (149.7, 147.8, 99.3, 89.3),
}


def drawn_frames(num_frames=12, height=48, width=64) -> list[np.ndarray]:
    """Frames of large coloured blocks that differ, with a corner that marks the orientation."""
    frames = []
    for number in range(num_frames):
        frame = np.full((height, width, 3), 40, np.uint8)
        frame[: height // 2, : width // 2] = (230, 20, 20)
        frame[height // 2 :, width // 2 :] = (20, 20, 230)
        frame[: height // 2, width // 2 :] = 10 + 18 * number
        frames.append(frame)
    return frames


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.fixture
def film(tmp_path) -> Path:
    write_video(tmp_path / "film.mp4", drawn_frames(), frame_rate_hz=12.5)
    return tmp_path / "film.mp4"


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_frames_come_back_in_order_and_colour(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    write_video(path, drawn_frames(), frame_rate_hz=12.5)
    frames = list(read_frames(path))
    assert len(frames) == 12
    for frame, drawn in zip(frames, drawn_frames(), strict=True):
        assert frame.dtype == np.uint8 and frame.shape == (48, 64, 3)
        assert mean_difference(frame, drawn) < 6


def test_a_written_video_is_h264_with_b_frames_and_yuv420p(film):
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        # B-frames make storage order differ from presentation order: the test above sees both.
        stored = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
    assert stored != sorted(stored)


def test_without_an_h264_encoder_mpeg4_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    write_video(tmp_path / "film.mp4", drawn_frames(), frame_rate_hz=29.97)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    for frame, drawn in zip(read_frames(tmp_path / "film.mp4"), drawn_frames(), strict=True):
        assert mean_difference(frame, drawn) < 6


def test_a_video_states_rate_size_and_number_of_frames(film):
    info = probe_video(film)
    assert (info.frame_rate_hz, info.num_frames, info.rotation_degrees) == (12.5, 12, 0)
    assert (info.width, info.height) == (64, 48)


def test_a_stride_and_a_limit_choose_frames_from_the_first_on(film):
    every = list(read_frames(film))
    third = list(read_frames(film, frame_stride=3))
    assert len(third) == 4
    np.testing.assert_array_equal(third, every[::3])
    np.testing.assert_array_equal(
        list(read_frames(film, frame_stride=5, max_frames=2)), every[:6:5]
    )
    assert len(list(read_frames(film, max_frames=100))) == 12


@pytest.mark.parametrize("name", ["frame_stride", "max_frames"])
def test_a_stride_or_limit_below_one_is_refused(film, name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1. Received: 0"):
        read_frames(film, **{name: 0})


def with_display_matrix(film: Path, matrix: tuple[int, int, int, int]) -> Path:
    """A copy of an MP4 whose track asks for another orientation: the matrix of its `tkhd` box."""
    content = bytearray(film.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    start = content.index(b"tkhd") + 4 + 40
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    turned = film.with_name("turned.mp4")
    turned.write_bytes(content)
    return turned


@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0, 0, 1),
        (0, 1, -1, 0),
        (-1, 0, 0, -1),
        (0, -1, 1, 0),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, -1, 0),
    ],
)
def test_all_rotations_and_mirrorings_of_the_file_are_applied(film, matrix):
    stored = next(read_frames(film))
    # By the definition of the matrix: the pixel at (x, y) is shown at (ax + cy, bx + dy).
    a, b, c, d = matrix
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    shown_x, shown_y = a * x + c * y, b * x + d * y
    shown_x, shown_y = shown_x - shown_x.min(), shown_y - shown_y.min()
    expected = np.zeros((shown_y.max() + 1, shown_x.max() + 1, 3), np.uint8)
    expected[shown_y, shown_x] = stored

    turned = with_display_matrix(film, matrix)
    np.testing.assert_array_equal(next(read_frames(turned)), expected)
    info = probe_video(turned)
    assert (info.height, info.width) == expected.shape[:2]


def test_rotation_is_stated_clockwise(film):
    assert probe_video(with_display_matrix(film, (0, 1, -1, 0))).rotation_degrees == 90
    assert probe_video(with_display_matrix(film, (0, -1, 1, 0))).rotation_degrees == 270


def test_a_slanted_orientation_is_refused(film):
    with pytest.raises(ValueError, match="multiples of 90 degrees only"):
        next(read_frames(with_display_matrix(film, (1, 1, -1, 1))))


def test_a_missing_file_is_named_before_the_first_frame_is_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.mp4"):
        read_frames(tmp_path / "nowhere.mp4")
    with pytest.raises(FileNotFoundError, match="nowhere.mp4"):
        probe_video(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 40])
def test_a_file_that_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "text.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=r"text.mp4 cannot be read as a video"):
        list(read_frames(tmp_path / "text.mp4"))


def test_a_picture_is_no_video(tmp_path):
    from PIL import Image

    Image.fromarray(drawn_frames()[0]).save(tmp_path / "picture.png")
    with pytest.raises(ValueError, match=r"picture.png is no video"):
        list(read_frames(tmp_path / "picture.png"))


def test_a_file_with_sound_only_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"sound.mp4 holds no video"):
        probe_video(path)


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "hollow.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    for read in (probe_video, lambda path: list(read_frames(path))):
        with pytest.raises(ValueError, match=r"hollow.avi is a video without frames"):
            read(path)


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_a_video_that_was_cut_short_breaks_off_at_a_numbered_frame(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(30)]
    write_video(path, noise, frame_rate_hz=25)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    frames = []
    with pytest.raises(
        ValueError, match=r"film\.\w+ (breaks off at|is damaged in) frame (\d+)"
    ) as e:
        for frame in read_frames(path):
            frames.append(frame)
    assert 3 < len(frames) < 27
    assert f"frame {len(frames)} (counted from 0)" in str(e.value)


def test_a_damaged_frame_is_refused_by_its_number_and_in_silence(tmp_path, capfd):
    path = tmp_path / "film.mp4"
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(30)]
    write_video(path, noise, frame_rate_hz=25)
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)
    frames = []
    with pytest.raises(ValueError, match=r"(breaks off at|is damaged in) frame (\d+)") as raised:
        for frame in read_frames(path):
            frames.append(frame)
    assert f"frame {len(frames)} (counted from 0)" in str(raised.value)
    assert len(frames) > 3
    assert capfd.readouterr() == ("", "")  # FFmpeg logs to the file descriptor


def test_a_frame_whose_damage_the_decoder_hides_is_refused(tmp_path):
    path = tmp_path / "film.avi"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in rng.integers(0, 256, (30, 48, 64, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(20)
    path.write_bytes(content)
    with av.open(str(path)) as container:
        # The decoder gives all frames, mended as well as it could.
        assert sum(1 for _ in container.decode(video=0)) == 30
    with pytest.raises(ValueError, match=r"film.avi is damaged in frame \d+ \(counted from 0\)"):
        list(read_frames(path))


def test_frames_after_the_limit_are_not_checked(tmp_path):
    path = tmp_path / "film.mkv"
    rng = np.random.default_rng(0)
    write_video(path, rng.integers(0, 256, (30, 48, 64, 3), np.uint8), frame_rate_hz=25)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert len(list(read_frames(path, max_frames=3))) == 3


def test_a_change_of_size_in_mid_stream_is_refused(tmp_path):
    path = tmp_path / "film.mpg"
    # MPEG program streams carry the size in the stream, so two of them in a row are a valid file.
    for number, (height, width) in enumerate([(48, 64), (64, 96)]):
        with av.open(str(tmp_path / f"part{number}.mpg"), "w") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            for frame in drawn_frames(6, height, width):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
    path.write_bytes(b"".join((tmp_path / f"part{n}.mpg").read_bytes() for n in range(2)))
    with pytest.raises(ValueError, match=r"Frame [56] .* is 96x64, the first is 64x48"):
        list(read_frames(path))


def test_names_that_look_like_addresses_and_patterns_are_read(film, monkeypatch):
    odd = film.with_name("http:[a] (b) & %03d;#.mp4")
    film.rename(odd)
    monkeypatch.chdir(odd.parent)
    assert len(list(read_frames(odd.name))) == 12


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], r"at least one frame. Received none for .*film.mp4"),
        (np.zeros((2, 47, 64, 3), np.uint8), r"must be even.*\(47, 64, 3\) for frame 0"),
        (np.zeros((2, 48, 65, 3), np.uint8), "must be even"),
        (np.zeros((2, 48, 64, 3), np.float32), r"must be uint8.*float32 \(48, 64, 3\)"),
        (np.zeros((2, 48, 64), np.uint8), "must be uint8"),
        (
            [np.zeros((48, 64, 3), np.uint8), np.zeros((48, 66, 3), np.uint8)],
            r"size of the first, 48x64.*\(48, 66, 3\) for frame 1",
        ),
    ],
)
def test_frames_that_cannot_be_written_are_refused_and_leave_nothing(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "film.mp4", frames, frame_rate_hz=25)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_leaves_the_old_file(film):
    before = film.read_bytes()

    def failing():
        yield from drawn_frames() * 12  # more than the encoder holds back
        raise RuntimeError("the source fails")

    with pytest.raises(RuntimeError, match="the source fails"):
        write_video(film, failing(), frame_rate_hz=25)
    assert film.read_bytes() == before
    assert list(film.parent.iterdir()) == [film]


def test_an_ending_or_rate_out_of_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in one of .mp4, .mov, .mkv, .avi.*film.gif"):
        write_video(tmp_path / "film.gif", drawn_frames(), frame_rate_hz=25)
    for rate in (0, -25, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`frame_rate_hz` must be from 0.01 to 1000"):
            write_video(tmp_path / "film.mp4", drawn_frames(), frame_rate_hz=rate)


@needs_real_clips
@pytest.mark.parametrize(
    ("name", "num_frames", "frame_rate_hz"),
    [
        ("decord/flipping_a_pancake.mkv", 310, 30),
        ("decord/unordered.mov", 4, 32),
        ("mmaction2/test.avi", 164, 25),
        ("mmaction2/test.mp4", 300, 30),
        ("mmaction2/demo.mp4", 280, 28),
        ("mmaction2/part_0.mp4", 32, 30),
        ("mmaction2/demo_spatiotemporal_det.mp4", 57, 6),
    ],
)
def test_real_clips_give_their_number_of_frames(name, num_frames, frame_rate_hz):
    path = REAL_CLIPS / "clips" / name
    assert sum(1 for _ in read_frames(path)) == num_frames
    assert probe_video(path).frame_rate_hz == frame_rate_hz


@needs_real_clips
def test_frames_stored_out_of_order_come_in_the_order_of_presentation():
    from cham_keras.data.frames.video import _decoded_frames, _opened

    path = REAL_CLIPS / "clips" / "decord" / "unordered.mov"
    with _opened(path) as (container, stream):
        # Its four frames look alike, so the time stamps have to tell.
        shown = [frame.pts for frame in _decoded_frames(path, container, stream)]
    assert len(shown) == 4
    assert all(earlier < later for earlier, later in itertools.pairwise(shown))


@needs_real_clips
def test_a_real_corrupted_clip_fails_with_path_and_frame():
    frames = read_frames(REAL_CLIPS / "clips" / "decord" / "corrupted.mp4")
    with pytest.raises(
        ValueError, match=r"corrupted.mp4 breaks off at frame 28 \(counted from 0\)"
    ):
        list(frames)


@needs_real_clips
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_real_clips_with_rotation_come_out_upright(degrees):
    path = REAL_CLIPS / "clips" / "decord" / f"video_{degrees}.mov"
    frame = next(read_frames(path))
    assert frame.shape == ((320, 568, 3) if degrees % 180 == 0 else (568, 320, 3))
    assert probe_video(path).rotation_degrees == degrees
    quarters = [
        frame[rows, columns].mean()
        for rows in (slice(None, frame.shape[0] // 2), slice(frame.shape[0] // 2, None))
        for columns in (slice(None, frame.shape[1] // 2), slice(frame.shape[1] // 2, None))
    ]
    np.testing.assert_allclose(quarters, SEEN_UPRIGHT[degrees], atol=2)


def test_the_same_frames_give_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    # Moving edges on a textured ground: with x264's defaults most such films differed each time.
    ground = rng.integers(90, 160, (112, 112, 3), dtype="uint8")
    frames = np.stack([np.roll(ground, (2 * t, 3 * t), axis=(0, 1)) for t in range(24)])
    frames[:, 40:60, 50:90] = 230
    written = set()
    for index in range(6):
        write_video(tmp_path / f"{index}.mp4", frames, 12.0)
        written.add((tmp_path / f"{index}.mp4").read_bytes())
    assert len(written) == 1
