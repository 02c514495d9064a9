"""The descriptors of each clip's trajectories, kept in a file a clip.

Comes in: clips and settings. Goes out: for each clip a file with one array a channel.
Several clips are worked on at the same time; a file appears whole or not at all, so
whatever interrupts the work, the same call goes on with the clips that are missing.
`trajectory_baseline` calls this.
"""

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.baselines.trajectories.opencv import load_opencv
from cham_keras.baselines.trajectories.patches import PATCH_CHANNELS, PATCH_PIXELS
from cham_keras.baselines.trajectories.reference_points import relative_motion
from cham_keras.baselines.trajectories.settings import TrackingSettings
from cham_keras.baselines.trajectories.tracking import TrajectoryBlock, follow_points
from cham_keras.data import Clip, ClipList, UnreadableClip
from cham_keras.data.frames.clip_frames import open_clip
from cham_keras.files import local_copy, replacing_file
from cham_keras.progress import progress_bar
from cham_keras.settings import settings_to_dict


class UnreadableClipError(ValueError):
    """A clip cannot be read, or is too short; any other error is no matter of the clip."""


# A change of what the files hold makes the kept ones void.
_FORM = 1


def write_clip_descriptors(
    clip_list: ClipList, clips: Sequence[Clip], folder: Path, settings: TrackingSettings
) -> list[UnreadableClip]:
    """Follows points through clips and writes their descriptors.

    Args:
        clip_list: where the clips' files lie.
        clips: which clips.
        folder: where the files go, named after a checksum of clip and settings; what is there
            already is not done again.
        settings: how points are followed and described.

    Returns:
        the clips that could not be read or are too short, and why, in the order of `clips`.

    Raises:
        ValueError: OpenCV is not installed.
    """
    load_opencv()  # before any thread, so that it is refused once
    todo = [
        clip for clip in clips if not descriptor_file(folder, clip_list, clip, settings).exists()
    ]
    reasons: dict[str, str] = {}
    # FFmpeg and OpenCV work without Python's lock, so threads fill the cores.
    executor = ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="trajectories")
    try:
        with progress_bar() as bar:
            task = bar.add_task(
                "following points, clips",
                total=len(clips),
                completed=len(clips) - len(todo),
                note="",
            )
            futures = {
                executor.submit(_write, clip_list, clip, folder, settings): clip for clip in todo
            }
            for future in as_completed(futures):
                try:
                    future.result()
                except UnreadableClipError as error:
                    reasons[futures[future].id] = str(error)
                bar.advance(task)
    finally:
        executor.shutdown(cancel_futures=True)
    return [UnreadableClip(clip.id, reasons[clip.id]) for clip in clips if clip.id in reasons]


def descriptor_file(
    folder: Path, clip_list: ClipList, clip: Clip, settings: TrackingSettings
) -> Path:
    """The file of a clip's descriptors; another one where clip, its file or settings differ."""
    path = clip_list.path_of(clip)
    stamp: tuple[int, ...] = ()
    if isinstance(path, Path) and path.is_file():
        stat = path.stat()
        stamp = (stat.st_size, stat.st_mtime_ns)
    facts = (_FORM, str(path), clip.id, stamp, sorted(settings_to_dict(settings).items()))
    return folder / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.npz"


def read_clip_descriptors(path: Path) -> dict[str, np.ndarray]:
    """The descriptors of a clip: by channel `(trajectories, numbers)` float32."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name].astype(np.float32) for name in kept.files}
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must hold descriptors of a clip. It cannot be read: {error}. Delete it; it is "
            "made anew."
        ) from error


def clip_descriptors(
    clip_list: ClipList, clip: Clip, settings: TrackingSettings
) -> dict[str, np.ndarray]:
    """Follows points through one clip and describes their trajectories.

    Args:
        clip_list: where the clip's file lies.
        clip: which clip.
        settings: how points are followed and described.

    Returns:
        for each channel `(trajectories, numbers)` float32. A clip in which nothing moves has
        no trajectory.

    Raises:
        UnreadableClipError: the clip cannot be read, or has fewer frames than a trajectory.
    """
    parts: list[dict[str, np.ndarray]] = []
    try:
        with ExitStack() as copies:
            with _reading():
                path = copies.enter_context(local_copy(clip_list.path_of(clip)))
                _, frames = open_clip(
                    path,
                    settings.frame_stride,
                    settings.max_frames,
                    clip.start_seconds,
                    clip.end_seconds,
                )
            counted = _Counted(frames)
            for block in follow_points(counted, settings):
                if len(block.positions):
                    parts.append(_described(block, settings))
    except ValueError as error:
        if isinstance(error.__cause__, UnreadableClipError):  # with the remote clip's name in it
            raise UnreadableClipError(str(error)) from error
        raise
    if counted.number <= settings.num_steps:
        raise UnreadableClipError(
            f"A clip must have more frames than a trajectory has steps, {settings.num_steps}. "
            f"Received: {counted.number} frames of {clip.id}."
        )
    joined: dict[str, np.ndarray] = {
        name: np.concatenate([part[name] for part in parts] or [_none_of(name, settings)])
        for name in settings.channels
    }
    return _drawn(joined, settings, clip)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        raise UnreadableClipError(str(error)) from error


class _Counted:
    """Frames as they come, and how many there were.

    Raises:
        UnreadableClipError: what reading them raised.
    """

    def __init__(self, frames: Iterable[np.ndarray]) -> None:
        self._frames = frames
        self.number = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        with _reading():
            for frame in self._frames:
                if min(frame.shape[:2]) < PATCH_PIXELS:
                    height, width, _ = frame.shape
                    raise ValueError(
                        f"Frames must be at least {PATCH_PIXELS} pixels high and wide. "
                        f"Received: {height} x {width} pixels."
                    )
                self.number += 1
                yield frame


def _described(block: TrajectoryBlock, settings: TrackingSettings) -> dict[str, np.ndarray]:
    """The descriptors of the trajectories of a block that are worth keeping."""
    motion = relative_motion(
        block.positions, settings.reference_clusters, settings.neighbourhood_pixels, settings.seed
    )
    patches = {name: values[motion.is_kept] for name, values in block.patches.items()}
    return {**motion.descriptors(), **patches}


def _write(clip_list: ClipList, clip: Clip, folder: Path, settings: TrackingSettings) -> None:
    descriptors = clip_descriptors(clip_list, clip, settings)
    with replacing_file(descriptor_file(folder, clip_list, clip, settings)) as temporary:
        # Half precision: the numbers lie between -1 and 1, and there are many of them.
        halves: dict[str, Any] = {
            name: values.astype(np.float16) for name, values in descriptors.items()
        }
        np.savez(temporary, **halves)


def _none_of(channel: str, settings: TrackingSettings) -> np.ndarray:
    numbers = PATCH_CHANNELS[channel] * 12 if channel in PATCH_CHANNELS else 2 * settings.num_steps
    return np.zeros((0, numbers), np.float32)


def _drawn(
    descriptors: dict[str, np.ndarray], settings: TrackingSettings, clip: Clip
) -> dict[str, np.ndarray]:
    """At most as many trajectories as are to be kept, drawn by seed and clip."""
    number = len(next(iter(descriptors.values())))
    most = settings.trajectories_per_clip
    if number <= most:
        return descriptors
    words = hashlib.sha256(f"{settings.seed}/{clip.id}".encode()).digest()
    generator = np.random.default_rng(list(words))
    chosen = np.sort(generator.choice(number, most, replace=False))
    return {name: values[chosen] for name, values in descriptors.items()}
