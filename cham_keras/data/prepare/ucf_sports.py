"""UCF Sports as its owners give it becomes a clip list with boxes.

    ucf action/<Class-View>/<001…>/  *.jpg  *.avi  jpeg/*.jpg  gt/*.txt

Thirteen folders are ten classes, 150 videos. The copies that go around have
known faults: seven videos have no AVI, an AVI is shorter than its images, six
videos have no images beside their AVI. So the images are taken first, then the
AVI, then the folder `jpeg`; what was taken instead is told. `cham prepare
ucf-sports` calls this; which videos are tested on is in `ucf_sports_protocols.py`.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from cham_keras.data.clip_list import Clip, ClipList, absolute_path
from cham_keras.data.frames.image_folder import ImageFolder, is_image_folder
from cham_keras.data.frames.video import probe_video
from cham_keras.data.prepare.prepared import Box, Prepared
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.data.prepare.ucf_sports_protocols import videos_to_test_on
from cham_keras.data.splits import hold_out_validation
from cham_keras.paths import local_path

#: The class and the number of videos of each folder, in the order of their names.
FOLDERS = {
    "Diving-Side": ("Diving", 14),
    "Golf-Swing-Back": ("Golf-Swing", 5),
    "Golf-Swing-Front": ("Golf-Swing", 8),
    "Golf-Swing-Side": ("Golf-Swing", 5),
    "Kicking-Front": ("Kicking", 10),
    "Kicking-Side": ("Kicking", 10),
    "Lifting": ("Lifting", 6),
    "Riding-Horse": ("Riding-Horse", 12),
    "Run-Side": ("Run", 13),
    "SkateBoarding-Front": ("SkateBoarding", 12),
    "Swing-Bench": ("Swing-Bench", 20),
    "Swing-SideAngle": ("Swing-Side", 13),
    "Walk-Front": ("Walk", 22),
}
# Where the thirteen folders may lie below what the user names.
_PLACES = (".", "ucf action", "ucf_sports_actions/ucf action")
# An AVI is named after its first frame; the frame's number is the last three digits.
_NUMBER_DIGITS = 3


def prepare_ucf_sports(
    root: Path | str,
    protocol: str = "stratified",
    fold: int | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
) -> Prepared:
    """Makes a clip list of UCF Sports.

    A clip is a folder of images, or an AVI where there are none. Each video is
    a group of its own. The boxes' frame numbers are the positions of the images
    that they are named after.

    Args:
        root: the folder `ucf action`, or one that holds it.
        protocol: "stratified", "leave-one-out" or "103-47".
        fold: which video leave-one-out tests on, counted from 0 in the order of
            the folders.
        test_fraction: which part of each class is tested on, if stratified.
        validation_fraction: fraction of the training videos to validate on.
        seed: of what is chosen by chance.

    Returns:
        the clips, sorted by path; the boxes; and as problems what is missing or
        was taken instead.

    Raises:
        FileNotFoundError: none of the class folders lies there.
        ValueError: a protocol's condition is not met, or the list breaks a rule
            of `ClipList`.
    """
    root = _folder_of_classes(absolute_path(root))
    videos: list[_Video] = []
    for name, (label, _) in FOLDERS.items():
        if (root / name).is_dir():
            folders = sorted(p for p in (root / name).iterdir() if p.is_dir() and _shown(p))
            videos += [_read_video(folder, label, root) for folder in folders]
    usable = [video for video in videos if video.path is not None]
    labels = [video.label for video in usable]
    groups = [video.name for video in usable]
    splits = np.full(len(usable), "train", dtype="<U10")
    splits[videos_to_test_on(labels, protocol, fold, test_fraction, seed)] = "test"
    stated = hold_out_validation(labels, groups, splits.tolist(), validation_fraction, seed)
    clips = [
        Clip(video.path or "", video.label, split, video.name, video.num_frames)
        for video, split in zip(usable, stated, strict=True)
    ]
    clip_list = ClipList(root, tuple(sorted(set(labels))), tuple(clips))
    problems = _problems_of_folders(root, videos) + _problems_of_videos(videos)
    boxes = tuple(box for video in usable for box in video.boxes)
    return Prepared(clip_list, tuple(problems), boxes)


@dataclasses.dataclass(frozen=True)
class _Video:
    """One numbered folder: what is taken of it, and what is wrong with it."""

    name: str
    label: str
    path: str | None = None
    num_frames: int | None = None
    faults: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    bad_lines: int = 0
    lost_boxes: int = 0


def _shown(path: Path) -> bool:
    return not path.name.startswith(".")


def _folder_of_classes(root: Path) -> Path:
    for place in _PLACES:
        if any((root / place / name).is_dir() for name in FOLDERS):
            return absolute_path(root / place)
    raise FileNotFoundError(
        f"{root} must hold the folders of UCF Sports, such as ucf action/Diving-Side. Unpack "
        "ucf_sports_actions.zip and name the folder that it gives."
    )


def _read_video(folder: Path, label: str, root: Path) -> _Video:
    name = folder.relative_to(root).as_posix()
    faults: list[str] = []
    images = _images_in(folder, faults)
    avi, num_avi_frames = _find_avi(folder, faults)
    frames: list[Path] = []
    if images:
        path, frames = name, images
        if avi is not None and num_avi_frames is not None and num_avi_frames < len(images):
            faults.append("an AVI shorter than their images; the images are taken")
        if avi is None:
            faults.append("no AVI; the images are taken")
    elif avi is not None:
        path = f"{name}/{avi.name}"
        faults.append("no images; the AVI is taken")
    elif frames := _images_in(folder / "jpeg", faults):
        path = f"{name}/jpeg"
        faults.append("neither images nor an AVI; the folder jpeg is taken")
    else:
        faults.append("neither images nor an AVI; they are left out")
        return _Video(name, label, faults=tuple(faults))
    number_of = {image.stem: number for number, image in enumerate(frames)}
    boxes, bad_lines, lost = _read_gt(folder / "gt", path, number_of, avi)
    if not (folder / "gt").is_dir():
        faults.append("no boxes (no folder gt)")
    return _Video(name, label, path, len(frames) or None, tuple(faults), boxes, bad_lines, lost)


def _images_in(folder: Path, faults: list[str]) -> list[Path]:
    """The images in their order; none where there is no order."""
    if not is_image_folder(folder):
        return []
    try:
        images = ImageFolder(folder)
    except ValueError:
        faults.append("images whose names give no order")
        return []
    if images.problem:
        faults.append("numbers missing between their images")
    return [local_path(file, "A frame") for file in images.files]


def _find_avi(folder: Path, faults: list[str]) -> tuple[Path | None, int | None]:
    """The first AVI that can be read, and the number of frames that it states."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".avi" or not _shown(path):
            continue
        try:
            return path, probe_video(path).num_frames
        except ValueError:
            faults.append("an AVI that cannot be read")
    return None, None


def _read_gt(
    folder: Path, path: str, number_of: dict[str, int], avi: Path | None
) -> tuple[tuple[Box, ...], int, int]:
    """Boxes of one video, the number of lines that are none, and of boxes without a frame."""
    boxes, bad_lines, lost = [], 0, 0
    files = folder.glob("*.txt") if folder.is_dir() else ()
    for file in sorted(filter(_shown, files)):
        frame = number_of.get(file.stem)
        if frame is None and not number_of and avi is not None:
            frame = _number_in_avi(file.stem, avi.stem)
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if not line.strip():
                continue
            edges = _edges(line)
            if edges is None:
                bad_lines += 1
            elif frame is None:
                lost += 1
            else:
                boxes.append(Box(path, frame, *edges))
    return tuple(sorted(boxes, key=lambda box: box.frame)), bad_lines, lost


def _edges(line: str) -> tuple[float, float, float, float] | None:
    """Left, top, width and height of a line such as `224 106 86 132 Golf-Swing`; else None."""
    try:
        left, top, width, height = (float(word) for word in line.replace(",", " ").split()[:4])
    except ValueError:
        return None
    if not all(map(math.isfinite, (left, top, width, height))) or width <= 0 or height <= 0:
        return None
    return left, top, width, height


def _number_in_avi(stem: str, first: str) -> int | None:
    """The position of the frame `70133` in an AVI named after its first frame, `70131`: 2."""
    prefix, digits = first[:-_NUMBER_DIGITS], first[-_NUMBER_DIGITS:]
    number = stem.removeprefix(prefix)
    if not (stem.startswith(prefix) and digits.isdecimal() and number.isdecimal()):
        return None
    position = int(number) - int(digits)
    return position if position >= 0 else None


def _problems_of_folders(root: Path, videos: list[_Video]) -> list[str]:
    problems = []
    for name, (_, expected) in FOLDERS.items():
        found = sum(video.name.startswith(f"{name}/") for video in videos)
        if found != expected:
            problems.append(f"{name} holds {found} video(s); the data set has {expected}.")
    others = sorted(p.name for p in root.iterdir() if p.is_dir() and _shown(p))
    others = [name for name in others if name not in FOLDERS]
    if others:
        problems.append(f"{len(others)} folder(s) are left out: {sentence_of_names(others)}.")
    return problems


def _problems_of_videos(videos: list[_Video]) -> list[str]:
    names_of_fault: dict[str, list[str]] = {}
    for video in videos:
        for fault in video.faults:
            names_of_fault.setdefault(fault, []).append(video.name)
    problems = [
        # "7 videos have no AVI; the images are taken: Diving-Side/008, …"
        f"{len(names)} video(s) have {fault}: {sentence_of_names(names)}."
        for fault, names in sorted(names_of_fault.items())
    ]
    for what, numbers in (
        ("line(s) of gt are no box", {video.name: video.bad_lines for video in videos}),
        ("box(es) of gt belong to no frame", {video.name: video.lost_boxes for video in videos}),
    ):
        names = [name for name, number in numbers.items() if number]
        if names:
            total = sum(numbers.values())
            problems.append(f"{total} {what}; left out, in {sentence_of_names(names)}.")
    return problems
