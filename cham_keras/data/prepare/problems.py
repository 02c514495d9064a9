"""How problems are put into sentences: the same words wherever a data set is prepared."""

from collections.abc import Iterable, Sequence

from cham_keras.data.frames.image_folder import ImageFolder


def sentence_of_names(names: Sequence[str], shown: int = 3) -> str:
    """The first few names and how many more there are, for a problem's sentence.

    Example:
    >>> sentence_of_names(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def problems_of_image_folders(folders: Iterable[ImageFolder]) -> tuple[str, ...]:
    """One sentence on all folders of images whose numbering has gaps; none where none has.

    Args:
        folders: the clips of a data set that are folders of images.
    """
    names = [
        f"{folder.path.parent.name}/{folder.path.name}" for folder in folders if folder.problem
    ]
    if not names:
        return ()
    return (
        f"{len(names)} folder(s) of images miss numbers; the images that are there are used: "
        f"{sentence_of_names(names)}.",
    )
