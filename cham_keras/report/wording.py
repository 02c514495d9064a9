"""Numbers as the page says them. The other modules of the report call it."""

import math
from collections.abc import Sequence

#: What stands where there is no number.
NOTHING = "–"
#: A space that does not end a line.
_SPACE = "\u00a0"


def percent(share: float | None, decimals: int = 1) -> str:
    r"""A share in percent.

    Example:

    >>> percent(0.875), percent(float("nan"))
    ('87.5\xa0%', '–')
    """
    if share is None or math.isnan(share):
        return NOTHING
    return f"{100 * share:.{decimals}f}{_SPACE}%"


def number(value: float | None) -> str:
    """Three decimals.

    Example:

    >>> number(0.55008)
    '0.550'
    """
    return NOTHING if value is None or math.isnan(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference, three decimals.

    Example:

    >>> signed(0.55008), signed(-0.25)
    ('+0.550', '−0.250')
    """
    return f"{value:+.3f}".replace("-", "\u2212")


def interval(ends: Sequence[float] | None, decimals: int = 1) -> str:
    r"""An interval of shares in percent; nothing where there is none.

    Example:

    >>> interval((0.94166, 1.0))
    '94.2 to 100.0\xa0%'
    """
    if ends is None or any(math.isnan(end) for end in ends):
        return ""
    lower, upper = ends
    return f"{100 * lower:.{decimals}f} to {100 * upper:.{decimals}f}{_SPACE}%"


def counted(number: int, what: str, plural: str = "") -> str:
    """A number of things.

    Example:

    >>> counted(1, "clip"), counted(1200, "class", "classes")
    ('1 clip', '1,200 classes')
    """
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:

    >>> duration(45.4), duration(3725)
    ('45 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def byte_size(size: int) -> str:
    """The size of a file.

    Example:

    >>> byte_size(420_000), byte_size(2_340_000)
    ('420 kB', '2.3 MB')
    """
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{max(1, round(size / 1000))} kB"
