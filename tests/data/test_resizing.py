"""Resizing: smooth pictures as Pillow's, fine patterns grey, films as arrays."""

import av
import numpy as np
import pytest
from PIL import Image

from cham_keras.data.frames.clip_frames import read_clip_frames
from cham_keras.data.frames.resizing import INTERPOLATIONS, Resizing
from cham_keras.data.frames.video import read_frames, write_video

PILLOW = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}


def smooth_picture(height: int, width: int) -> np.ndarray:
    """Colours that change slowly and unlike each other."""
    down, right = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(5 * down + 2 * right), np.cos(3 * right - down), np.sin(4 * right * down + 1)]
    return np.rint(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def differences(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.uint8
    return np.abs(found.astype(int) - expected)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(240, 320, 224), (321, 175, 64), (1080, 1920, 112), (48, 64, 112), (101, 57, 33), (9, 7, 32)],
)
def test_a_smooth_picture_becomes_what_pillow_makes_of_it(interpolation, height, width, size):
    picture = smooth_picture(height, width)
    if interpolation == "area" and size > min(height, width):
        pytest.skip("Pillow's box filter enlarges by repeating pixels, FFmpeg's by blending them")
    expected = Image.fromarray(picture).resize((size, size), PILLOW[interpolation])
    found = Resizing(size, interpolation)(picture[None])[0]
    # Where it grows, the two treat the picture's edge each in its own way.
    assert differences(found, np.asarray(expected)).max() <= (6 if size > min(height, width) else 3)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    "stripes",
    [
        lambda down, right: right % 2,
        lambda down, right: down % 2,
        lambda down, right: (right + down) % 2,
        lambda down, right: right % 3 == 0,
    ],
    ids=["columns", "rows", "chequered", "thin columns"],
)
def test_a_pattern_finer_than_the_new_pixels_becomes_grey(interpolation, stripes):
    down, right = np.mgrid[0:300, 0:450]
    picture = np.repeat(255 * stripes(down, right)[..., None], 3, axis=-1).astype(np.uint8)
    found = Resizing(50, interpolation)(picture[None])[0].astype(int)
    mean = picture.mean()
    inside = found[2:-2, 2:-2]
    # Nine columns of one and of no light have a mean of four or of five ninths.
    assert np.abs(inside - mean).max() <= 255 / 18 + 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_coloured_stripes_keep_their_colours(interpolation):
    """A scaler that halves the resolution of colours on the way would blur them."""
    stripe = 4
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, (np.arange(64) // stripe) % 2 == 0] = (250, 20, 20)
    picture[:, (np.arange(64) // stripe) % 2 == 1] = (20, 20, 250)
    found = Resizing(32, interpolation)(picture[None])[0]
    expected = np.asarray(Image.fromarray(picture).resize((32, 32), PILLOW[interpolation]))
    assert differences(found, expected).max() <= 5


@pytest.mark.parametrize("size", [1, 2, 3, 15, 16, 17, 33, 64, 224])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (3, 5), (64, 64)])
def test_every_size_becomes_every_size_and_keeps_one_colour(size, height, width):
    picture = np.full((1, height, width, 3), (200, 10, 90), np.uint8)
    found = Resizing(size)(picture)
    assert found.shape == (1, size, size, 3)
    assert differences(found, np.broadcast_to(picture[:, :1, :1], found.shape)).max() <= 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_large_picture_becomes_a_small_one(interpolation):
    picture = smooth_picture(2160, 4096)
    found = Resizing(32, interpolation)(picture[None])[0]
    expected = np.asarray(Image.fromarray(picture).resize((32, 32), PILLOW[interpolation]))
    assert differences(found, expected).max() <= 2


def test_frames_do_not_touch_each_other_and_stay_as_they_were():
    frames = np.stack([smooth_picture(60, 80), 255 - smooth_picture(60, 80)])
    before = frames.copy()
    resizing = Resizing(32)
    together = resizing(frames)
    np.testing.assert_array_equal(frames, before)
    for frame, found in zip(frames, together, strict=True):
        np.testing.assert_array_equal(resizing(frame[None])[0], found)
    mirrored = frames[:, :, ::-1]  # no C order
    assert differences(resizing(mirrored), together[:, :, ::-1]).max() <= 1


def write_tagged_film(path, height, width, colorspace=None) -> None:
    """A film of one still, smooth picture, with the colour matrix that it states."""
    picture = smooth_picture(height, width)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": "1"}
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if colorspace is not None:
                frame = frame.reformat(format="yuv420p", dst_colorspace=colorspace)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("colorspace", [None, 1], ids=["untagged", "BT.709"])
@pytest.mark.parametrize(("height", "width"), [(240, 320), (90, 130), (720, 1280)])
def test_frames_of_a_film_are_as_if_decoded_first_and_resized_then(
    tmp_path, interpolation, colorspace, height, width
):
    path = tmp_path / "film.mp4"
    if colorspace is None:
        write_video(path, [smooth_picture(height, width)] * 3, 10)
    else:
        write_tagged_film(path, height, width, colorspace)
    resizing = Resizing(112, interpolation)
    at_once = np.stack(list(read_frames(path, resizing=resizing)))
    whole = np.stack(list(read_frames(path)))
    found = differences(at_once, resizing(whole))
    assert found.max() <= 8
    assert found.mean() <= 2
    # Nearer to the picture that was filmed than what was rounded twice.
    expected = Image.fromarray(smooth_picture(height, width)).resize((112, 112))
    found = differences(at_once[0], np.asarray(expected))
    assert found.max() <= 8
    assert found.mean() <= 1


def test_a_turned_film_and_images_and_parts_are_resized_in_the_same_way(tmp_path):
    frames = [smooth_picture(60, 80), 255 - smooth_picture(60, 80)] * 2
    write_video(tmp_path / "film.mp4", frames, 10)
    (tmp_path / "images").mkdir()
    for number, frame in enumerate(read_frames(tmp_path / "film.mp4")):
        Image.fromarray(frame).save(tmp_path / "images" / f"{number}.png")
    resizing = Resizing(48)
    film = np.stack(list(read_clip_frames(tmp_path / "film.mp4", resizing=resizing)))
    images = np.stack(list(read_clip_frames(tmp_path / "images", resizing=resizing)))
    assert differences(film, images).max() <= 8
    part = read_clip_frames(
        tmp_path / "film.mp4", start_seconds=0.1, end_seconds=0.3, resizing=resizing
    )
    np.testing.assert_array_equal(np.stack(list(part)), film[1:3])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0,), "`image_size` must be at least 1. Received: 0."),
        ((-3,), "`image_size` must be at least 1. Received: -3."),
        ((8, "nearest"), "`interpolation` must be one of bicubic, .* Received: 'nearest'."),
    ],
)
def test_what_cannot_be_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Resizing(*arguments)
