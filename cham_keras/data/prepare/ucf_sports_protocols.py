"""How UCF Sports is divided into training and testing: three protocols as indices.

UCF Sports comes without a split of its owners. `ucf_sports.py` asks here which
of its videos are tested on. The videos are counted from 0 in the order of their
folders' paths (Diving-Side/001, …, Walk-Front/022), so the videos of a class
stand together, also where a class was merged out of several folders.

*stratified*: a seeded part of each class, as the paper's 75/25.

*leave-one-out*: one video is tested on, all others are trained on; 150 folds, as
Rodriguez, Ahmed and Shah (CVPR 2008) who published the data.

*103-47*: Lan, Wang and Mori (ICCV 2011) test on the first third of each class,
since leave-one-out trains and tests on videos of one scene. They state numbers
within the class, such as Golf 1 to 6. How the videos are numbered in the two
classes that were merged out of several folders is not stated: here they are
numbered through in the order of the folders (Back, Front, Side), which is our
reading.
"""

import numpy as np

from cham_keras.data.splits import assign_splits

#: The protocols by name.
PROTOCOLS = ("stratified", "leave-one-out", "103-47")

#: How many videos the owners give of each class.
VIDEOS_OF_CLASS = {
    "Diving": 14,
    "Golf-Swing": 18,
    "Kicking": 20,
    "Lifting": 6,
    "Riding-Horse": 12,
    "Run": 13,
    "SkateBoarding": 12,
    "Swing-Bench": 20,
    "Swing-Side": 13,
    "Walk": 22,
}

#: How many of the first videos of each class the 103/47 protocol tests on.
TESTED_OF_CLASS = {
    "Diving": 4,
    "Golf-Swing": 6,
    "Kicking": 6,
    "Lifting": 2,
    "Riding-Horse": 4,
    "Run": 4,
    "SkateBoarding": 4,
    "Swing-Bench": 6,
    "Swing-Side": 4,
    "Walk": 7,
}


def videos_to_test_on(
    labels: list[str],
    protocol: str = "stratified",
    fold: int | None = None,
    test_fraction: float = 0.25,
    seed: int = 0,
) -> np.ndarray:
    """The videos that a protocol tests on; all others are for training.

    Args:
        labels: the class of each video, in the order of the folders' paths.
        protocol: "stratified", "leave-one-out" or "103-47".
        fold: which video leave-one-out tests on; None with the other protocols.
        test_fraction: which part of each class is tested on, if stratified.
        seed: of the choice, if stratified.

    Returns:
        (videos,) int64: indices into `labels`, rising.

    Raises:
        ValueError: the protocol is not known; the fold is missing, out of range
            or given where it means nothing; or the 103/47 protocol is asked for
            and the videos are not the whole data set.

    Example:
    >>> labels = [name for name, number in VIDEOS_OF_CLASS.items() for _ in range(number)]
    >>> videos_to_test_on(labels, "103-47")[:8]
    array([ 0,  1,  2,  3, 14, 15, 16, 17])
    >>> videos_to_test_on(labels, "leave-one-out", fold=149)
    array([149])
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {', '.join(PROTOCOLS)}. Received: {protocol}.")
    if protocol == "leave-one-out":
        if fold is None or not 0 <= fold < len(labels):
            raise ValueError(
                f"`fold` of leave-one-out must be the number of a video, from 0 to "
                f"{len(labels) - 1}. Received: {fold}."
            )
        return np.array([fold])
    if fold is not None:
        raise ValueError(
            f"`fold` goes with the protocol leave-one-out only. Received: {fold} with {protocol}."
        )
    if protocol == "103-47":
        return _first_videos(labels)
    splits = assign_splits(labels, [str(n) for n in range(len(labels))], test_fraction, 0.0, seed)
    return np.flatnonzero(np.array(splits) == "test")


def _first_videos(labels: list[str]) -> np.ndarray:
    """(47,) int64: the first videos of each class."""
    expected = [name for name, number in VIDEOS_OF_CLASS.items() for _ in range(number)]
    if labels != expected:
        wrong = [
            f"{name} {labels.count(name)} (not {number})"
            for name, number in VIDEOS_OF_CLASS.items()
            if labels.count(name) != number
        ]
        raise ValueError(
            "The protocol 103-47 names videos by their numbers, so it needs all 150 of them, "
            f"sorted by path. Received: {', '.join(wrong) or 'another order'}. Fetch what is "
            "missing, or choose the protocol stratified."
        )
    numbers = np.array([labels[:index].count(label) for index, label in enumerate(labels)])
    tested = np.array([TESTED_OF_CLASS[label] for label in labels])
    return np.flatnonzero(numbers < tested)
