"""A folder of numbered images as a clip, its frames in the order of the numbers.

Comes in: a folder. Goes out: its images as arrays, one at a time. `clip_frames.py`
calls this, and `prepare` to know such folders.
"""

import logging
import math
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from cham_keras.data.frames.still_images import decode_image
from cham_keras.data.frames.video import VIDEO_SUFFIXES
from cham_keras.paths import AnyPath, as_path, entries_of

logger = logging.getLogger(__name__)

#: File name endings of images, small or capital, that are frames.
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
_IMAGE_FORMATS = ("JPEG", "PNG", "BMP")
#: What data sets keep beside the images of a clip: notes on it, and the clip once more.
_USUAL_BESIDE = (".txt", *VIDEO_SUFFIXES)


def is_image_folder(path: AnyPath | str) -> bool:
    """Whether the path is a folder that holds at least one image, hidden ones aside."""
    path = as_path(path)
    return path.is_dir() and any(_is_image(entry) for entry in entries_of(path))


class ImageFolder:
    """A clip that is stored as a folder of numbered images.

    The order is that of the numbers in the names, so `2.jpg` comes before
    `10.jpg`. Files that are no images are passed over and counted in `problem`;
    hidden files, folders, texts and videos only make a line in the log for
    debugging, since data sets keep those beside the images. So are numbers that
    are missing between the first and the last; a numbering that leaves out the
    same numbers all through, such as 0, 5, 10, misses none.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        files: the images in their order; at least one.
        num_missing: how many numbers are missing.
        problem: what was passed over and what is missing; None where all is well.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image, an image has no number in its name, or two
            have the same.
    """

    def __init__(self, path: AnyPath | str) -> None:
        self.path = as_path(path)
        if not self.path.is_dir():
            raise FileNotFoundError(f"There is no folder of images {self.path}.")
        entries = entries_of(self.path)
        images = [entry for entry in entries if _is_image(entry)]
        if not images:
            raise ValueError(
                f"A folder of frames must hold images ({', '.join(IMAGE_SUFFIXES)}). "
                f"Received: {self.path}, which holds none."
            )
        self.files = sorted(images, key=lambda file: _natural_order(file.stem))
        for file in self.files:
            if not re.search(r"[0-9]", file.stem):
                raise ValueError(
                    "Images of a folder of frames must have numbers in their names. "
                    f"Received: {file}."
                )
        for file, following in pairwise(self.files):
            if _natural_order(file.stem) == _natural_order(following.stem):
                raise ValueError(
                    "Two images of a folder of frames must not have the same number. "
                    f"Received: {file.name} and {following.name} in {self.path}."
                )
        self.num_missing = _num_missing([file.stem for file in self.files])
        self.problem = self._problem([entry for entry in entries if not _is_image(entry)])

    @property
    def num_frames(self) -> int:
        """Number of images."""
        return len(self.files)

    def frames(self, numbers: Iterable[int] | None = None) -> Iterator[np.ndarray]:
        """Reads images, one at a time.

        Grey becomes three equal channels, transparency is left out, and each
        image is turned as its EXIF orientation asks.

        Args:
            numbers: places in `files`, counted from 0; None for all.

        Yields:
            uint8 arrays (height, width, 3), red, green, blue, all of one size.

        Raises:
            ValueError: an image cannot be read, or its size is not that of the
                first image that was read.
        """
        first_shape, first_name = None, ""
        for number in range(self.num_frames) if numbers is None else numbers:
            file = self.files[number]
            stored = file if isinstance(file, Path) else file.read_bytes()
            frame = decode_image(stored, str(file), _IMAGE_FORMATS)
            if first_shape is None:
                first_shape, first_name = frame.shape, file.name
            if frame.shape != first_shape:
                raise ValueError(
                    f"All images of a folder of frames must have one size. {file} is "
                    f"{frame.shape[1]}x{frame.shape[0]}, {first_name} is "
                    f"{first_shape[1]}x{first_shape[0]}. Remove or resize it."
                )
            yield frame

    def _problem(self, passed_over: list[AnyPath]) -> str | None:
        others = [
            entry
            for entry in passed_over
            if not (_is_hidden(entry) or entry.is_dir() or entry.suffix.lower() in _USUAL_BESIDE)
        ]
        if len(passed_over) > len(others):
            logger.debug(
                "%s: passed over %d hidden file(s), folder(s), text(s) and video(s).",
                self.path,
                len(passed_over) - len(others),
            )
        parts = []
        if others:
            parts.append(f"{len(others)} file(s) are no images, such as {others[0].name}")
        if self.num_missing:
            parts.append(f"{self.num_missing} image(s) are missing in the numbering")
        if not parts:
            return None
        return f"{self.path}: {', and '.join(parts)}; its {self.num_frames} images are used."


def _is_hidden(path: AnyPath) -> bool:
    # Thumbs.db is what Windows leaves in folders of images.
    return path.name.startswith(".") or path.name.lower() == "thumbs.db"


def _is_image(path: AnyPath) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not _is_hidden(path) and path.is_file()


def _natural_order(stem: str) -> list[tuple[str, int]]:
    """Texts and numbers of a name by turns: `a2b` is [("a", 2), ("b", -1)]."""
    # A text without a number behind it comes before the same with one.
    parts = re.findall(r"([^0-9]*)([0-9]+)|([^0-9]+)$", stem.lower())
    return [(text or rest, int(digits) if digits else -1) for text, digits, rest in parts]


def _num_missing(stems: list[str]) -> int:
    """Counts the places that are empty between the numbers of names that differ in the last one."""
    numbers_of: dict[tuple[str, str], list[int]] = {}
    for stem in stems:
        before, digits, behind = re.fullmatch(r"(?s)(.*?)([0-9]+)([^0-9]*)", stem).groups()  # type: ignore[union-attr]
        numbers_of.setdefault((before, behind), []).append(int(digits))
    num_missing = 0
    for numbers in numbers_of.values():
        steps = [b - a for a, b in pairwise(sorted(numbers))]
        # Two numbers alone do not show a regular step.
        usual = math.gcd(*steps) if len(steps) > 1 else 1
        num_missing += sum(step // usual - 1 for step in steps)
    return num_missing
