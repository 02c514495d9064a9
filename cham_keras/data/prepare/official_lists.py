"""What data sets with official lists share: lists against files, groups, validation clips.

In come the clips that the owners' lists name (`ListedClip`) and the files that lie in the class
folders; out goes a `Prepared`. `hmdb51.py`, `ucf101.py` and `olympic_sports.py` call this.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cham_keras.data.clip_list import Clip, ClipList
from cham_keras.data.prepare.prepared import Prepared
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.data.splits import hold_out_validation


@dataclasses.dataclass(frozen=True)
class ListedClip:
    """One clip as an official list names it.

    Attributes:
        label: its class.
        name: the name of its file, or the part that lists and files share.
        side: "train", "test", or None where the split does not use the clip.
        source: the video that it was cut from, so far as the name tells.
    """

    label: str
    name: str
    side: str | None
    source: str

    @property
    def key(self) -> tuple[str, str]:
        """What finds the clip among the files: class and name."""
        return self.label, self.name


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the owners of a data set say is in it.

    Attributes:
        classes: number of classes.
        clips: number of clips on the disk, used or not.
        train: number of clips to train on.
        test: number of clips to test on.
        per_class: number of clips to train and to test on in every class, where all have as many.
    """

    classes: int
    clips: int
    train: int
    test: int
    per_class: tuple[int, int] | None = None


def prepare_listed(
    place: Path,
    files: Mapping[tuple[str, str], str],
    listed: Sequence[ListedClip],
    expected: Expected,
    validation_fraction: float,
    seed: int,
    problems: Sequence[str] = (),
) -> Prepared:
    """Makes a clip list of the files that the lists put on a side.

    The official split is kept to the clip. Where it puts clips of one source
    video on both sides, the group is named after source and side, and a problem
    counts these sources. Validation clips are taken from the training clips by
    whole groups.

    Args:
        place: the folder of the class folders, the list's root.
        files: (class, name) -> path relative to `place`.
        listed: the clips of one split.
        expected: what the owners say.
        validation_fraction: fraction of the training clips to validate on, in [0, 1).
        seed: of the choice of the validation clips.
        problems: sentences that stand before those found here.

    Returns:
        the clips, sorted by path.

    Raises:
        FileNotFoundError: none of the listed clips is there.
        ValueError: a clip is on both sides, or there are too few groups to validate on.
    """
    clip_of_key = _unique(listed)
    used = {key: clip for key, clip in clip_of_key.items() if clip.side and key in files}
    if not used:
        first = "/".join(listed[0].key) if listed else "(none)"
        raise FileNotFoundError(
            f"None of the {len(clip_of_key)} clips in the lists lies in {place}. The first should "
            f"be {first}."
        )
    both_sides = _on_both_sides((clip.source, clip.side) for clip in used.values())
    clips = [
        Clip(
            files[key],
            clip.label,
            str(clip.side),
            f"{clip.source} ({clip.side})" if clip.source in both_sides else clip.source,
        )
        for key, clip in used.items()
    ]
    clips.sort(key=lambda clip: clip.path)
    found = [
        *problems,
        *_problems_of_lists(listed, clip_of_key, files),
        *_problems_of_counts(clips, files, expected),
    ]
    if both_sides:
        in_a_class = _on_both_sides(
            (f"{clip.label}/{clip.source}", clip.side) for clip in used.values()
        )
        found.append(
            f"{len(both_sides)} of {len({clip.source for clip in used.values()})} source video(s) "
            f"have clips on both sides of the official split, {len(in_a_class) or 'none'} of them "
            "within one class. The split was kept; their clips form one group a side: "
            f"{sentence_of_names(in_a_class or both_sides)}."
        )
    classes = tuple(sorted({clip.label for clip in clips}))
    splits = hold_out_validation(
        [clip.label for clip in clips],
        [clip.group for clip in clips],
        [clip.split for clip in clips],
        validation_fraction,
        seed,
    )
    clips = [dataclasses.replace(c, split=s) for c, s in zip(clips, splits, strict=True)]
    return Prepared(ClipList(place, classes, tuple(clips)), tuple(found))


def _unique(listed: Sequence[ListedClip]) -> dict[tuple[str, str], ListedClip]:
    unique: dict[tuple[str, str], ListedClip] = {}
    for clip in listed:
        first = unique.setdefault(clip.key, clip)
        if first.side != clip.side:
            raise ValueError(
                "A clip must stand on one side of an official split. "
                f"Received: {'/'.join(clip.key)} for {first.side} and for {clip.side}. "
                "Get the lists again from the data set's owners."
            )
    return unique


def _on_both_sides(sources_and_sides: Iterable[tuple[str, str | None]]) -> list[str]:
    sides_of_source: dict[str, set[str | None]] = {}
    for source, side in sources_and_sides:
        sides_of_source.setdefault(source, set()).add(side)
    return sorted(source for source, sides in sides_of_source.items() if len(sides) > 1)


def _problems_of_lists(
    listed: Sequence[ListedClip],
    clip_of_key: Mapping[tuple[str, str], ListedClip],
    files: Mapping[tuple[str, str], str],
) -> Iterable[str]:
    """Sentences on what is in the lists and not on the disk, and the other way round."""
    repeated = [key for key, number in Counter(clip.key for clip in listed).items() if number > 1]
    if repeated:
        yield f"{len(repeated)} clip(s) stand in the lists more than once: {_names(repeated)}."
    missing = [key for key in clip_of_key if key not in files]
    if missing:
        yield (
            f"{len(missing)} of {len(clip_of_key)} clip(s) in the lists are missing on the disk: "
            f"{_names(missing)}."
        )
    unlisted = [path for key, path in files.items() if key not in clip_of_key]
    if unlisted:
        yield (
            f"{len(unlisted)} clip(s) on the disk stand in no list and were left out: "
            f"{sentence_of_names(unlisted)}."
        )
    unused = [key for key, clip in clip_of_key.items() if clip.side is None and key in files]
    if unused:
        yield (
            f"{len(unused)} clip(s) are on neither side of this official split and were left out: "
            f"{_names(unused)}."
        )


def _problems_of_counts(
    clips: Sequence[Clip], files: Mapping[tuple[str, str], str], expected: Expected
) -> Iterable[str]:
    """Sentences on counts that are not what the owners say."""
    number = Counter(clip.split for clip in clips)
    labels = sorted({clip.label for clip in clips})
    for what, should, found in (
        ("classes", expected.classes, len(labels)),
        ("clips on the disk", expected.clips, len(files)),
        ("training clips", expected.train, number["train"]),
        ("test clips", expected.test, number["test"]),
    ):
        if found != should:
            yield f"There should be {should} {what}. Found: {found}."
    if expected.per_class:
        of_class = Counter((clip.label, clip.split) for clip in clips)
        counts = {label: (of_class[label, "train"], of_class[label, "test"]) for label in labels}
        wrong = [
            f"{label} {train}/{test}"
            for label, (train, test) in counts.items()
            if (train, test) != expected.per_class
        ]
        if wrong:
            train, test = expected.per_class
            yield (
                f"Every class should have {train} training and {test} test clips. {len(wrong)} "
                f"have others: {sentence_of_names(wrong)}."
            )


def _names(keys: Sequence[tuple[str, str]]) -> str:
    return sentence_of_names(["/".join(key) for key in keys])
