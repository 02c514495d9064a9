"""What `cham predict --stream` shows: a live table, a line of JSON a frame, an overlay film.

Comes in: frames and a `StreamClassifier`. Goes out: the terminal, and a video file where one
is asked for. The file appears when the stream has ended, also by Ctrl-C.
"""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from cham_keras.attention.overlay import LEAST_SCALE_TOP, overlay, shrunk
from cham_keras.data import write_video
from cham_keras.export import StreamClassifier, StreamStep
from cham_keras.progress import stderr, stdout

#: Longest side of a frame in the film, and the height of the line below it, in pixels.
_FILM_SIDE = 640
_LINE = 28


def show_stream(
    frames: Iterable[tuple[np.ndarray, np.ndarray]],
    frame_rate_hz: float,
    classify: StreamClassifier,
    *,
    name: str,
    top_k: int,
    as_json: bool,
    film: Path | None,
) -> int:
    """Classifies frames as they come, until they end or Ctrl-C.

    Args:
        frames: as `open_live_frames` gives them.
        frame_rate_hz: of the film.
        classify: takes each frame.
        name: of the source.
        top_k: classes in the table.
        as_json: a line of JSON for each frame in place of the table.
        film: file of the overlay film, or None.

    Returns:
        the number of frames.
    """
    shown = _Shown(classify.classes, name, top_k, as_json)

    def pictures() -> Iterator[np.ndarray]:
        try:
            for frame, resized in frames:
                step = classify(resized)
                shown.add(step)
                yield _picture(frame, step, classify)
        except KeyboardInterrupt:  # a camera has no other end
            pass
        except Exception as error:
            if film is None or not shown.count:
                raise
            broken.append(error)  # the film until here is worth keeping

    broken: list[Exception] = []
    with shown:
        if film is not None:
            write_video(film, pictures(), frame_rate_hz)
        else:
            for _ in pictures():
                pass
    if broken:
        told = f"The film until frame {shown.count} lies in {film}."
        stderr.print(escape(told), soft_wrap=True)
        raise broken[0]
    return shown.count


class _Shown:
    """The table on the terminal, or lines."""

    def __init__(self, classes: tuple[str, ...], name: str, top_k: int, as_json: bool) -> None:
        self.count = 0
        self._classes, self._name, self._top_k, self._as_json = classes, name, top_k, as_json
        self._start = time.perf_counter()
        # Gone in the end, when the last table is printed once: the same in a file.
        self._live = Live(console=stdout, refresh_per_second=8, transient=True)
        self._last: StreamStep | None = None

    def __enter__(self) -> "_Shown":
        if not self._as_json:
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._as_json:
            self._live.__exit__(None, None, None)
            if self._last is not None:
                stdout.print(self._table(self._last))

    def add(self, step: StreamStep) -> None:
        self.count += 1
        if self._as_json:
            values = {
                "frame": step.number,
                "probabilities": dict(zip(self._classes, step.probabilities.tolist(), strict=True)),
                "mean_probabilities": dict(
                    zip(self._classes, step.mean_probabilities.tolist(), strict=True)
                ),
            }
            print(json.dumps(values), flush=True)
        else:
            self._last = step
            if stdout.is_terminal:
                self._live.update(self._table(step))

    def _table(self, step: StreamStep) -> Table:
        rate = self.count / (time.perf_counter() - self._start)
        table = Table(
            *("class", "now", "since the start", ""),
            title=escape(self._name),
            caption=f"frame {step.number}, {rate:.1f} frames/s",
        )
        for index in np.argsort(-step.mean_probabilities, kind="stable")[: self._top_k]:
            now, mean = step.probabilities[index], step.mean_probabilities[index]
            bar = "█" * round(20 * float(now))
            table.add_row(escape(self._classes[index]), f"{now:.3f}", f"{mean:.3f}", f"{bar:<20}")
        return table


def _picture(frame: np.ndarray, step: StreamStep, classify: StreamClassifier) -> np.ndarray:
    """A frame of the film: where the model looks, and below it what it says."""
    frame = shrunk(frame, _FILM_SIDE)
    frame = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
    if step.attention is not None:
        # One scale for all frames: what comes later is not known yet.
        relative = step.attention / step.attention.mean()
        frame = overlay(frame, relative, LEAST_SCALE_TOP, classify.grid)
    best = int(np.argmax(step.probabilities))
    line = Image.new("RGB", (frame.shape[1], _LINE))
    words = f"{classify.classes[best]}  {step.probabilities[best]:.2f}   frame {step.number}"
    ImageDraw.Draw(line).text((6, 6), words, fill=(255, 255, 255), font_size=15)
    return np.concatenate([frame, np.asarray(line)])
