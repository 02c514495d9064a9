"""Plots as data URIs, for light pages and for dark ones.

Comes in: a function that draws into a file, as `evaluation`'s plots do. Goes out: a
`Picture`. `curves` and `page` call it.
"""

import base64
import dataclasses
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

#: The surfaces of the page that pictures lie on; the same in `report.css`.
LIGHT_SURFACE, DARK_SURFACE = "#ffffff", "#16202b"
_DARK_TEXT = "#dce4ec"

#: The plots' colours that are too dark on a dark surface, and what stands for them there.
_BRIGHTER = {"#0072b2": "#56b4e9", "#d55e00": "#f08a3c", "#767676": "#9aa7b3"}
# Names of classes are no formulas, whatever dollar signs are in them.
_PLAIN = {
    "text.parse_math": False,
    "axes.prop_cycle": "cycler(color=['#0072b2', '#d55e00', '#009e73'])",
}
_LIGHT: dict[Any, Any] = {
    **_PLAIN,
    "figure.facecolor": LIGHT_SURFACE,
    "axes.facecolor": LIGHT_SURFACE,
}
_DARK: dict[Any, Any] = {
    **_PLAIN,
    "figure.facecolor": DARK_SURFACE,
    "axes.facecolor": DARK_SURFACE,
    "legend.edgecolor": "#5a6a7a",
    **dict.fromkeys(
        (
            "text.color",
            "axes.labelcolor",
            "axes.edgecolor",
            "axes.titlecolor",
            "xtick.color",
            "ytick.color",
        ),
        _DARK_TEXT,
    ),
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        light: data URI for light pages.
        dark: data URI for dark pages; the same where there is one only.
        width, height: in pixels of the page.
        alternative: what is to be seen, in words.
        caption: the words below it.
    """

    light: str
    dark: str
    width: int
    height: int
    alternative: str
    caption: str


def draw_picture(plot: Callable[[Path], None], alternative: str, caption: str = "") -> Picture:
    """Draws a picture twice, for light pages and for dark ones.

    Args:
        plot: draws into the file that it is given.
        alternative: what is to be seen, in words.
        caption: the words below it; the same by default.
    """
    with tempfile.TemporaryDirectory(prefix="cham-report-") as folder:
        drawn = []
        for look in (_LIGHT, _DARK):
            with matplotlib.rc_context(look):
                plot(file := Path(folder, "picture.svg"))
            drawn.append(file.read_text(encoding="utf-8"))
    width, height = _size_of_svg(drawn[0])
    for dull, bright in _BRIGHTER.items():
        drawn[1] = drawn[1].replace(dull, bright)
    light, dark = (data_uri(text.encode(), "image/svg+xml") for text in drawn)
    return Picture(light, dark, width, height, alternative, caption or alternative)


def data_uri(content: bytes, media_type: str) -> str:
    """A file's content as an address.

    Example:

    >>> data_uri(b"hop", "text/plain")
    'data:text/plain;base64,aG9w'
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _size_of_svg(text: str) -> tuple[int, int]:
    """Width and height in pixels of what matplotlib wrote, which says points."""
    found = (
        re.search(r'<svg[^>]* width="([\d.]+)pt"', text),
        re.search(r'<svg[^>]* height="([\d.]+)pt"', text),
    )
    width, height = (round(float(side.group(1)) * 4 / 3) if side else 0 for side in found)
    return width, height
