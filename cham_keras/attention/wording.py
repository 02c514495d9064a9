"""The words in attention pictures and films, so that both say the same in the same way."""

import re

from cham_keras.attention.clip_attention import ClipAttention

#: Stands behind a prediction that is right; only where the true class is known.
RIGHT_MARK = "✓"


def when(clip_attention: ClipAttention, step: int) -> str:
    """Which frame a step saw: number and time in the video."""
    number, seconds = clip_attention.frame_numbers[step], clip_attention.seconds[step]
    return f"frame {number}, {seconds:.2f} s"


def class_at_step(clip_attention: ClipAttention, step: int, line_length: int) -> str:
    """The class with the highest probability at a step, and the probability."""
    probabilities = clip_attention.probabilities[step]
    return _class_and_share(clip_attention, int(probabilities.argmax()), probabilities, line_length)


def class_of_clip(clip_attention: ClipAttention, line_length: int = 60) -> str:
    """The class that the clip is taken for, and its mean probability."""
    probabilities = clip_attention.clip_probabilities
    return _class_and_share(clip_attention, clip_attention.predicted, probabilities, line_length)


def true_class(clip_attention: ClipAttention) -> str:
    """The clip's class, as far as it is known."""
    if clip_attention.label is None:
        return "class not known"
    return f"class: {wrapped(clip_attention.classes[clip_attention.label], 60)}"


def wrapped(text: str, line_length: int, num_lines: int = 2) -> str:
    """Breaks a name into lines after blanks, hyphens and underscores; cuts what is too long.

    Args:
        text: the name.
        line_length: characters in a line.
        num_lines: lines at most.

    Example:
    >>> wrapped("stretch-then-squat", 14)
    'stretch-then-\\nsquat'
    >>> wrapped("pneumonoultramicroscopic", 9, num_lines=1)
    'pneumono…'
    """
    lines = [""]
    for part in re.findall(r"[^-_ ]*[-_ ]?", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > line_length:
            lines.append("")
        lines[-1] += part
    if len(lines) > num_lines:
        lines[num_lines - 1 :] = ["".join(lines[num_lines - 1 :])]
    return "\n".join(_cut(line.rstrip(" "), line_length) for line in lines)


def _cut(line: str, length: int) -> str:
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _class_and_share(clip_attention, index, probabilities, line_length) -> str:
    name = wrapped(clip_attention.classes[index], line_length)
    mark = f" {RIGHT_MARK}" if index == clip_attention.label else ""
    separator = ", " if "\n" not in name and line_length > 30 else "\n"
    return f"{name}{separator}{probabilities[index]:.0%}{mark}"
