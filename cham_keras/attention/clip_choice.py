"""Which clips of a split are looked at: no chance, no look at the scores."""

from collections.abc import Sequence

from cham_keras.data import ClipRecord
from cham_keras.data.mirrored_clips import mirrored_id


def spread_over_classes(clips: Sequence[ClipRecord], num_clips: int) -> list[ClipRecord]:
    """Chooses clips from as many classes as possible: no chance, no look at the scores.

    Every class gives its first clip, then its second, and so on; where fewer clips are
    left to choose than there are classes, the classes are evenly spaced.

    Args:
        clips: the clips to choose from.
        num_clips: how many.

    Returns:
        the chosen ones.

    Raises:
        ValueError: there are fewer clips, or `num_clips` is below 1.

    Example:
    >>> clips = [ClipRecord(f"{n}.mp4", n // 2, "", 9, 25.0) for n in range(12)]
    >>> [clip.label for clip in spread_over_classes(clips, 2)]
    [1, 4]
    """
    if not 1 <= num_clips <= len(clips):
        raise ValueError(
            f"`num_clips` must be from 1 to {len(clips)}, the clips of the split. "
            f"Received: {num_clips}."
        )
    chosen: list[ClipRecord] = []
    left = list(clips)
    while len(chosen) < num_clips:
        first_of_class = {clip.label: clip for clip in reversed(left)}
        round_of_clips = [first_of_class[label] for label in sorted(first_of_class)]
        wanted = min(num_clips - len(chosen), len(round_of_clips))
        middles = [(2 * k + 1) * len(round_of_clips) // (2 * wanted) for k in range(wanted)]
        chosen += [round_of_clips[index] for index in middles]
        left = [clip for clip in left if clip not in round_of_clips]
    return chosen


def with_a_video(clips: Sequence[ClipRecord]) -> list[ClipRecord]:
    """The clips without the mirrored twins among them."""
    twins = {mirrored_id(clip.id) for clip in clips}
    return [clip for clip in clips if clip.id not in twins]
