"""A tiny UCF Sports: the true folders, names and known faults, with frames of a few pixels.

All 150 videos are there with three frames each. As in the copies that go around:

- Diving-Side 008 to 014 have no AVI;
- Golf-Swing-Back 001 to 005 and Golf-Swing-Front 002 have an AVI and no images;
- Run-Side 001 has an AVI shorter than its images;
- Lifting/001 has boxes for some frames only, and one frame with two;
- Walk-Front/001 has no folder `gt`.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from cham_keras.data.frames.video import write_video

#: The thirteen folders and their numbers of videos.
NUM_VIDEOS = {
    "Diving-Side": 14,
    "Golf-Swing-Back": 5,
    "Golf-Swing-Front": 8,
    "Golf-Swing-Side": 5,
    "Kicking-Front": 10,
    "Kicking-Side": 10,
    "Lifting": 6,
    "Riding-Horse": 12,
    "Run-Side": 13,
    "SkateBoarding-Front": 12,
    "Swing-Bench": 20,
    "Swing-SideAngle": 13,
    "Walk-Front": 22,
}
WITHOUT_AVI = {f"Diving-Side/{number:03}" for number in range(8, 15)}
WITHOUT_IMAGES = {f"Golf-Swing-Back/{number:03}" for number in range(1, 6)}
WITHOUT_IMAGES |= {"Golf-Swing-Front/002"}
SHORT_AVI = "Run-Side/001"
NUM_FRAMES = 3
#: An image is named after the source and the number of its frame there.
STEM = "7608-9_70(2)"
FIRST_NUMBER = 99


def make_ucf_sports(root: Path) -> Path:
    """Writes the data set into `root` and returns the folder `ucf action`."""
    place = root / "ucf_sports_actions" / "ucf action"
    whole = _avi(root / "whole.avi", [np.full((16, 16, 3), 90, "uint8")] * NUM_FRAMES)
    short = _avi(root / "short.avi", [np.full((16, 16, 3), 60, "uint8")] * (NUM_FRAMES - 1))
    count = 0
    for folder, num_videos in NUM_VIDEOS.items():
        for number in range(1, num_videos + 1):
            name, count = f"{folder}/{number:03}", count + 1
            video = place / name
            (video / "gt").mkdir(parents=True)
            stems = [f"{STEM}{FIRST_NUMBER + frame:03}" for frame in range(NUM_FRAMES)]
            frames = [_frame(count, frame) for frame in range(NUM_FRAMES)]
            if name in WITHOUT_IMAGES:
                write_video(video / f"{stems[0]}.avi", frames, frame_rate_hz=10)
            else:
                for stem, frame in zip(stems, frames, strict=True):
                    Image.fromarray(frame).save(video / f"{stem}.jpg")
                if name not in WITHOUT_AVI:
                    avi = short if name == SHORT_AVI else whole
                    (video / f"{stems[0]}.avi").write_bytes(avi)
            for frame, stem in enumerate(stems):
                line = f"{10 * frame}\t20\t30\t{count}\t{folder}\r\n"
                (video / "gt" / f"{stem}.txt").write_bytes(line.encode())
    lifting = place / "Lifting/001/gt"
    (lifting / f"{STEM}{FIRST_NUMBER:03}.txt").unlink()
    (lifting / f"{STEM}{FIRST_NUMBER + 1:03}.txt").write_text("1 2 3 4 Lifting\n5 6 7 8 Lifting\n")
    for file in (place / "Walk-Front/001/gt").iterdir():
        file.unlink()
    (place / "Walk-Front/001/gt").rmdir()
    (place / ".DS_Store").touch()
    return place


def _frame(video: int, frame: int) -> np.ndarray:
    """A picture of its own for every frame of the data set; a JPEG keeps the differences."""
    pixels = np.zeros((16, 16, 3), "uint8")
    pixels[:8] = (50 * (video % 6), 50 * (video // 6 % 6), 50 * (video // 36))
    pixels[8:] = 80 * frame
    return pixels


def _avi(path: Path, frames: list[np.ndarray]) -> bytes:
    write_video(path, frames, frame_rate_hz=10)
    content = path.read_bytes()
    path.unlink()
    return content
