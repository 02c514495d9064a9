"""Decoding ahead: the frames of clips, in order, from several threads.

Comes in: clips, and how their frames are read. Goes out: frames and, after each clip's
last, its end. `extraction` computes features of what comes out.

Threads and not processes: FFmpeg decodes and scales without Python's lock, so threads
fill all cores, and frames need not be copied from one process to another.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cham_keras.data.clip_list import Clip


@dataclass(frozen=True)
class ClipEnd:
    """The end of a clip among decoded frames: whose frames the ones before it were.

    Attributes:
        clip: the clip.
        num_frames: number of frames that came.
        frame_rate_hz: frames per second, after the stride.
        unreadable_because: why the clip cannot be used; None where all is well.
    """

    clip: Clip
    num_frames: int
    frame_rate_hz: float = 0.0
    unreadable_because: str | None = None


#: From a clip to its rate in Hz and its frames; may raise ValueError or OSError, also later.
ReadClip = Callable[[Clip], tuple[float, Iterator[np.ndarray]]]


def decode_ahead(
    clips: Iterable[Clip], read: ReadClip, num_threads: int, frames_ahead: int
) -> Generator[np.ndarray | ClipEnd]:
    """Decodes clips, `num_threads` of them at a time.

    Args:
        clips: the clips, in the order in which they shall come.
        read: how one is read.
        num_threads: how many clips are decoded at the same time.
        frames_ahead: how many frames of each of them may wait.

    Yields:
        the frames of the first clip, its `ClipEnd`, those of the second, and so on. A
        clip that `read` finds faulty ends early, and its end says why. The threads end
        when the generator is closed.

    Raises:
        ValueError: a number is below 1.
        Exception: whatever `read` raises beside ValueError and OSError.
    """
    for name, value in (("num_threads", num_threads), ("frames_ahead", frames_ahead)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    closed = threading.Event()
    waiting = iter(clips)
    running: deque[_ClipInWork] = deque()

    def start(number: int) -> None:
        running.extend(
            _ClipInWork(clip, read, frames_ahead, closed) for clip in islice(waiting, number)
        )

    try:
        start(num_threads)
        while running:
            yield from running[0].events()
            running.popleft()
            start(1)
    finally:
        closed.set()
        for clip in running:
            clip.thread.join()


class _ClipInWork:
    """A clip that is being decoded by a thread of its own."""

    def __init__(
        self, clip: Clip, read: ReadClip, frames_ahead: int, closed: threading.Event
    ) -> None:
        self.clip = clip
        self.read = read
        self.closed = closed
        self.queue: queue.Queue[np.ndarray | ClipEnd | BaseException] = queue.Queue(frames_ahead)
        self.thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self.thread.start()

    def events(self) -> Iterator[np.ndarray | ClipEnd]:
        """What the thread has found, up to the end of the clip."""
        while True:
            event = self.queue.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, ClipEnd):
                self.thread.join()
                return

    def _work(self) -> None:
        num_frames = 0
        try:
            rate, frames = self.read(self.clip)
            for frame in frames:
                self._put(frame)
                if self.closed.is_set():
                    return
                num_frames += 1
            if num_frames == 0:
                raise ValueError(f"{self.clip.id} holds no frame.")
            self._put(ClipEnd(self.clip, num_frames, rate))
        except (ValueError, OSError) as error:
            self._put(ClipEnd(self.clip, num_frames, unreadable_because=str(error)))
        except BaseException as error:
            self._put(error)

    def _put(self, event: np.ndarray | ClipEnd | BaseException) -> None:
        while not self.closed.is_set():
            try:
                return self.queue.put(event, timeout=0.1)
            except queue.Full:
                continue
        return None
