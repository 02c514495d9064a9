"""The words in attention pictures and films, so that both say the same in the same way."""

import re

import numpy as np

from cham_keras.attention.clip_attention import ClipAttention

#: Stands behind a prediction that is right; only where the true class is known.
RIGHT_MARK = "✓"


def when(clip_attention: ClipAttention, step: int) -> str:
    """Which frame a step saw: its number and, where it is known, its time in the clip."""
    numbers = clip_attention.frame_numbers
    again = " again" if step > 0 and numbers[step] == numbers[step - 1] else ""
    seconds = clip_attention.seconds[step]
    time = "" if np.isnan(seconds) else f", {seconds:.2f} s"
    return f"frame {numbers[step]}{again}{time}"


def top_class(
    clip_attention: ClipAttention,
    probabilities: np.ndarray,
    line_length: int,
    in_one_line: bool = False,
) -> str:
    """The most probable class and its probability, with a mark if it is the right one.

    Args:
        clip_attention: whose classes they are.
        probabilities: `(classes,)`, of a step or of the clip.
        line_length: characters in a line of the class's name.
        in_one_line: whether the probability stands behind the name, and not below it.
    """
    index = int(probabilities.argmax())
    name = wrapped(clip_attention.classes[index], line_length, num_lines=1 if in_one_line else 2)
    separator = ", " if in_one_line else "\n"
    mark = f" {RIGHT_MARK}" if index == clip_attention.label else ""
    return f"{name}{separator}{probabilities[index]:.0%}{mark}"


def clip_name(clip_attention: ClipAttention, line_length: int = 70) -> str:
    """The clip's name; of a long one, its end; of bytes that are no text, question marks."""
    name = clip_attention.name.encode("utf-8", "replace").decode()
    return name if len(name) <= line_length else f"…{name[1 - line_length :]}"


def number_of_steps(clip_attention: ClipAttention) -> str:
    """How many steps there are."""
    steps = len(clip_attention.frames)
    return "1 step" if steps == 1 else f"{steps} steps"


def true_class(clip_attention: ClipAttention) -> str:
    """The clip's class, as far as it is known."""
    if clip_attention.label is None:
        return "class not known"
    return f"class: {wrapped(clip_attention.classes[clip_attention.label], 40, num_lines=1)}"


def wrapped(text: str, line_length: int, num_lines: int = 2) -> str:
    r"""Breaks a name into lines after blanks, hyphens and underscores; cuts what is too long.

    Args:
        text: the name.
        line_length: characters in a line.
        num_lines: lines at most.

    Example:
    >>> wrapped("stretch-then-squat", 14)
    'stretch-then-\nsquat'
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
