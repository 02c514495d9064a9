"""A film of attention without words: each step's frame, and beside it where the model looks.

Comes in: `ClipAttention`. Goes out: a small video file, for pages that say in their own
text what the clip is; `video` makes films that stand alone.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.overlay import overlay, scale_top_of
from cham_keras.attention.video import DEFAULT_FRAME_RATE_HZ
from cham_keras.data import write_video

#: Pixels of the longer side of each of the two panels.
PANEL_PIXELS = 240
_GAP = 8


def write_overlay_video(
    clip_attention: ClipAttention, path: Path | str, frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ
) -> None:
    """Writes a film with one picture for each step: frame and overlay side by side.

    Args:
        clip_attention: one model on one clip.
        path: the video to write; .mp4 plays in browsers.
        frame_rate_hz: steps shown in a second.

    Raises:
        ValueError: the path's ending or the rate is out of range.
    """
    write_video(path, _pictures(clip_attention), frame_rate_hz)


def _pictures(clip_attention: ClipAttention) -> Iterator[np.ndarray]:
    top = scale_top_of(clip_attention.relative_maps)
    height, width = clip_attention.frames.shape[1:3]
    share = PANEL_PIXELS / max(height, width)
    # Even numbers are what `write_video` takes.
    size = (2 * max(1, round(width * share / 2)), 2 * max(1, round(height * share / 2)))
    gap = np.zeros((size[1], _GAP, 3), "uint8")
    for frame, relative_map in zip(
        clip_attention.frames, clip_attention.relative_maps, strict=True
    ):
        panel = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
        coloured = overlay(panel, relative_map, top, clip_attention.grid)
        yield np.concatenate([panel, gap, coloured], axis=1)
