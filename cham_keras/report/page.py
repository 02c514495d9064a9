"""The sections of a report as one HTML page.

Comes in: what the other modules of the report made. Goes out: the page as text. The
template, its style and its script lie in `templates/`; names of classes and clips may hold
any characters, and are escaped wherever they stand.
"""

import base64
import datetime
import hashlib
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

import cham_keras
from cham_keras.report import wording
from cham_keras.report.errors import ConfidentError
from cham_keras.report.films import Film
from cham_keras.report.pictures import Picture, data_uri

_TEMPLATES = Path(__file__).parent / "templates"

#: Units of the small plots, whose width is that of all probabilities or steps.
_PLOT_WIDTH, _PLOT_HEIGHT = 200.0, 50.0


def render_page(**sections: Any) -> str:
    """Fills the template.

    Args:
        sections: what it names; an unknown or missing one is an error.

    Returns:
        the page. What it may load, it says itself: nothing but what is inside it.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "percent": wording.percent,
        "number": wording.number,
        "interval": wording.interval,
        "is_number": lambda value: value is not None and not math.isnan(value),
    }
    templates.globals |= {
        "counted": wording.counted,
        "film_plot": film_plot,
        "png": _png,
    }
    style, script = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    return templates.get_template("report.html").render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_content_hash(style),
        script_hash=_content_hash(script),
        made=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        version=cham_keras.__version__,
        **sections,
    )


def film_plot(error: ConfidentError, film: Film, classes: tuple[str, ...]) -> dict[str, Any]:
    """The mean scores so far of two classes over a film's steps, as lines and in words.

    Args:
        error: the clip.
        film: its film.
        classes: names of the classes.

    Returns:
        `predicted` and `label`, each the points of a line; `width` and `height` of the plot;
        `alternative`, what is to be seen.
    """
    of_predicted, of_label = (
        film.means[:, classes.index(name)] for name in (error.predicted, error.label)
    )
    steps = len(film.means)
    behind = np.flatnonzero(film.means.argmax(axis=1) != classes.index(error.predicted))
    since = int(behind[-1]) + 2 if len(behind) else 1
    return {
        "width": _PLOT_WIDTH,
        "height": _PLOT_HEIGHT,
        "predicted": _points(of_predicted),
        "label": _points(of_label),
        "alternative": (
            f"Mean score so far: {error.predicted} leads from step {since} of {steps} on."
            if since <= steps
            else f"Mean score so far over {steps} steps."
        ),
    }


def _points(values: np.ndarray) -> str:
    places = np.linspace(0, _PLOT_WIDTH, len(values)) if len(values) > 1 else [_PLOT_WIDTH]
    return " ".join(
        f"{x:.1f},{_PLOT_HEIGHT * (1 - y):.1f}" for x, y in zip(places, values, strict=True)
    )


def _png(path: Path, alternative: str) -> Picture:
    """A PNG file as a picture of the page; it is the same on dark pages."""
    content = path.read_bytes()
    address = data_uri(content, "image/png")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    return Picture(address, address, width, height, alternative, alternative)


def _content_hash(text: str) -> str:
    """What the page's policy names a style or a script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
