"""Folders of numbered images: the right order, one size, and a word on what is not there."""

import logging

import numpy as np
import pytest
from norpix_testing import drawn_pictures
from PIL import Image

from cham_keras.data.frames.image_folder import ImageFolder, is_image_folder

ORIENTATION = 0x0112  # the tag of EXIF


def save(folder, name, picture, **options):
    folder.mkdir(exist_ok=True)
    Image.fromarray(picture).save(folder / name, **options)


def numbered(folder, names, size=(24, 40)):
    """A picture a name, all different; in the order of the names."""
    pictures = drawn_pictures(len(names), *size)
    for name, picture in zip(names, pictures, strict=True):
        save(folder, name, picture)
    return pictures


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "clip"


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png", "3.png", "10.png", "11.png", "100.png"],
        ["b2_9.png", "b2_10.png", "b10_1.png"],
        ["frame_0001.png", "frame_0002.PNG", "frame_0010.png"],
        ["4062-8_70099.bmp", "4062-8_70100.BMP"],
        ["x1.png", "X2.png", "x3.png"],
        ["007.png", "8.png", "09.png"],
        ["a1.png", "a1b.png", "a1b2.png", "b1.png"],
    ],
)
def test_images_come_in_the_order_of_their_numbers(folder, names):
    pictures = numbered(folder, names)
    images = ImageFolder(folder)
    assert [file.name for file in images.files] == names
    frames = list(images.frames())
    assert all(frame.dtype == np.uint8 for frame in frames)
    np.testing.assert_array_equal(frames, pictures)


def test_chosen_images_are_read_alone(folder):
    pictures = numbered(folder, [f"{number}.png" for number in range(5)])
    (folder / "3.png").write_bytes(b"no image")
    np.testing.assert_array_equal(
        list(ImageFolder(folder).frames([4, 1])), [pictures[4], pictures[1]]
    )


def test_jpegs_of_both_endings_are_frames(folder):
    pictures = numbered(folder, ["1.jpg", "2.jpeg", "3.JPG"])
    frames = list(ImageFolder(folder).frames())
    assert len(frames) == 3
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.astype(int) - picture).mean() < 6


def test_grey_palette_and_transparent_images_become_three_channels(folder):
    picture = drawn_pictures(1)[0] // 64 * 64
    folder.mkdir()
    image = Image.fromarray(picture)
    grey, palette = image.convert("L"), image.convert("P", palette=Image.Palette.ADAPTIVE)
    see_through = image.copy()
    see_through.putalpha(90)
    grey.save(folder / "1.png")
    palette.save(folder / "2.png")
    # Part of the colours of the palette let light through.
    palette.save(folder / "3.png", transparency=bytes([0, 90, 255]))
    see_through.save(folder / "4.png")
    grey.convert("1").save(folder / "5.png")
    Image.fromarray(np.array(grey).astype(np.uint16) * 257).save(folder / "6.png")
    frames = list(ImageFolder(folder).frames())
    three = np.stack([np.array(grey)] * 3, axis=-1)
    np.testing.assert_array_equal(frames[0], three)
    np.testing.assert_array_equal(frames[1], np.array(palette.convert("RGB")))
    np.testing.assert_array_equal(frames[2], frames[1])
    np.testing.assert_array_equal(frames[3], picture)
    assert set(np.unique(frames[4])) == {0, 255}
    np.testing.assert_array_equal(frames[5], three)  # 16 bits


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_a_file_asks_for_is_applied(folder, orientation, suffix):
    picture = np.zeros((24, 40, 3), np.uint8)
    picture[:8, :8], picture[:8, -8:] = (250, 0, 0), (0, 250, 0)  # red left, green right, above
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    save(folder, f"1.{suffix}", picture, exif=exif)
    # By the standard: on which sides of the shown picture its first row and first column lie.
    row, column = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    (frame,) = ImageFolder(folder).frames()
    assert frame.shape == ((24, 40, 3) if orientation <= 4 else (40, 24, 3))

    def corner(sides):
        y = 4 if "top" in sides else -4
        return frame[y, 4 if "left" in sides else -4].astype(int)

    np.testing.assert_allclose(corner({row, column}), (250, 0, 0), atol=30)
    np.testing.assert_allclose(corner({row, opposite[column]}), (0, 250, 0), atol=30)


def test_an_image_of_another_size_is_named(folder):
    numbered(folder, ["1.png", "2.png"])
    save(folder, "3.png", drawn_pictures(1, 24, 44)[0])
    frames = ImageFolder(folder).frames()
    assert next(frames).shape == next(frames).shape == (24, 40, 3)
    with pytest.raises(ValueError, match=r"one size. .*3.png is 44x24, 1.png is 40x24"):
        next(frames)


@pytest.mark.parametrize("content", [b"", b"GIF89a no image of ours", b"\xff\xd8\xff\xe0"])
def test_an_unreadable_image_is_named(folder, content):
    numbered(folder, ["1.jpg", "2.jpg"])
    (folder / "2.jpg").write_bytes(content)
    frames = ImageFolder(folder).frames()
    next(frames)
    with pytest.raises(ValueError, match=r"clip/2.jpg (must be|cannot be read as) an image"):
        next(frames)


def test_an_image_that_was_cut_off_is_an_error(folder):
    numbered(folder, ["1.jpg"])
    (folder / "1.jpg").write_bytes((folder / "1.jpg").read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"1.jpg cannot be read as an image: .*(?i:truncated)"):
        next(ImageFolder(folder).frames())


def test_other_files_are_passed_over_and_counted(folder, caplog):
    numbered(folder, ["1.png", "2.png"])
    for name in ("notes.doc", "a.csv", ".hidden.png", "Thumbs.db", "gt.txt", "clip.avi"):
        (folder / name).write_bytes(b"1")
    (folder / "gt").mkdir()
    (folder / "3.png").mkdir()  # no file
    with caplog.at_level(logging.DEBUG):
        images = ImageFolder(folder)
    assert images.problem == (
        f"{folder}: 2 file(s) are no images, such as a.csv; its 2 images are used."
    )
    (line,) = caplog.records
    assert line.levelno == logging.DEBUG and "passed over 6 hidden" in line.message


@pytest.mark.parametrize(
    ("numbers", "num_missing"),
    [
        ([1, 2, 3], 0),
        ([7, 8], 0),
        ([5], 0),
        ([1, 2, 4], 1),
        ([1, 3], 1),
        ([0, 5, 10, 15], 0),  # every fifth frame was kept
        ([0, 5, 10, 25], 2),
        ([98, 99, 100, 104], 3),
    ],
)
def test_missing_numbers_are_counted(folder, numbers, num_missing):
    numbered(folder, [f"clip2_{number}.png" for number in numbers])
    images = ImageFolder(folder)
    assert len(list(images.frames())) == len(numbers)
    assert images.num_missing == num_missing
    if not num_missing:
        assert images.problem is None
    else:
        assert f"{num_missing} image(s) are missing in the numbering" in images.problem
        assert f"its {len(numbers)} images are used" in images.problem


def test_images_without_a_place_in_the_order_are_refused(folder):
    numbered(folder, ["1.png", "cover.png"])
    with pytest.raises(ValueError, match=r"numbers in their names. Received: .*cover.png"):
        ImageFolder(folder)
    (folder / "cover.png").rename(folder / "01.png")
    with pytest.raises(ValueError, match=r"same number. Received: 01.png and 1.png in .*clip"):
        ImageFolder(folder)


def test_a_folder_without_images_or_none_at_all_is_refused(folder):
    with pytest.raises(FileNotFoundError, match=r"no folder of images .*clip"):
        ImageFolder(folder)
    folder.mkdir()
    (folder / ".1.png").write_bytes(b"hidden")
    with pytest.raises(ValueError, match=r"must hold images \(.bmp.*Received: .*clip, which holds"):
        ImageFolder(folder)
    assert not is_image_folder(folder)


def test_an_image_folder_is_known_by_its_images(folder, tmp_path):
    numbered(folder, ["1.JPEG"])
    assert is_image_folder(folder) and is_image_folder(str(folder))
    assert not is_image_folder(tmp_path)  # it holds only the folder
    assert not is_image_folder(folder / "1.JPEG")
    assert not is_image_folder(tmp_path / "none")
