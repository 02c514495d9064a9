"""What preparing a data set gives: its clips, its boxes, and what is wrong with it.

Every `prepare_<kind>` returns a `Prepared`; `cham prepare` writes it with
`write_prepared`, where identical files are looked for too. The folder then holds
`clips.json`, `report.json` (counts and problems) and, where a data set states
where the actors are, `boxes.csv`.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable
from typing import Literal, get_args

from cham_keras.data.clip_list import CLIP_LIST_FILE, SPLITS, Clip, ClipList, write_clip_list
from cham_keras.data.prepare.duplicates import check_duplicates
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.files import replacing_file, write_json
from cham_keras.paths import AnyPath, as_path, file_in_folder

#: Where the boxes of a data set are written, beside the clip list.
BOXES_FILE = "boxes.csv"
#: Where counts and problems are written, beside the clip list.
REPORT_FILE = "report.json"

#: What to do about identical files on both sides of a split: end with an error,
#: let them stand as a problem, or do not look for them.
Duplicates = Literal["refuse", "allow", "unchecked"]

__all__ = [
    "BOXES_FILE",
    "REPORT_FILE",
    "Box",
    "Duplicates",
    "Prepared",
    "read_boxes",
    "report_of",
    "sentence_of_names",
    "write_boxes",
    "write_prepared",
]


@dataclasses.dataclass(frozen=True)
class Box:
    """Where the actor is in one frame of a clip, in pixels of the stored frame.

    Attributes:
        path: the clip's path, as in the clip list.
        frame: number of the frame, from 0.
        left: of the box's left edge.
        top: of the box's upper edge.
        width: of the box.
        height: of the box.
    """

    path: str
    frame: int
    left: float
    top: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A data set as it was found.

    Attributes:
        clip_list: the clips.
        problems: sentences on what is missing, damaged or against expectation; empty
            where all is as the data set's owners describe it.
        boxes: where the actors are, if the data set says it.
    """

    clip_list: ClipList
    problems: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()


def write_prepared(
    prepared: Prepared, folder: AnyPath | str, duplicates: Duplicates = "refuse"
) -> Prepared:
    """Looks for identical files, then writes the boxes, the report, and last the clip list.

    Args:
        prepared: what to write.
        folder: where `clips.json`, `report.json` and, if there are boxes, `boxes.csv` shall
            lie; a path or a URL. Those of an earlier call are replaced.
        duplicates: "refuse" ends with an error where a file stands on both sides
            of a split, "allow" makes it a problem, "unchecked" reads no file.

    Returns:
        what was given, with the problems that were found here.

    Raises:
        FileNotFoundError: a clip's file is gone.
        ValueError: identical files stand on both sides of a split, or
            `duplicates` is not known. Nothing is written then.

    Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> from cham_keras.data.clip_list import read_clip_list
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("1.mp4", "2.mp4"):
    ...     _ = (folder / name).write_bytes(b"the same film")
    >>> clips = [Clip("1.mp4", "run", "train", "a"), Clip("2.mp4", "hop", "train", "b")]
    >>> prepared = Prepared(ClipList(folder, ["hop", "run"], clips))
    >>> write_prepared(prepared, folder).problems
    ('1 file(s) stand in one split more than once: 1.mp4 = 2.mp4.',)
    >>> len(read_clip_list(folder).clips)
    2
    """
    if duplicates not in get_args(Duplicates):
        raise ValueError(
            f"`duplicates` must be one of {', '.join(get_args(Duplicates))}. "
            f"Received: {duplicates!r}."
        )
    if duplicates != "unchecked":
        found = check_duplicates(prepared.clip_list, allow=duplicates == "allow")
        prepared = dataclasses.replace(prepared, problems=(*prepared.problems, *found))
    folder = as_path(folder)
    if prepared.boxes:
        write_boxes(prepared.boxes, folder / BOXES_FILE)
    else:
        (folder / BOXES_FILE).unlink(missing_ok=True)  # of other clips, from an earlier call
    write_json(folder / REPORT_FILE, report_of(prepared))
    write_clip_list(prepared.clip_list, folder / CLIP_LIST_FILE)
    return prepared


def report_of(prepared: Prepared) -> dict:
    """Counts and problems, as they stand in `report.json`."""
    clips = prepared.clip_list.clips
    return {
        "classes": {
            label: {
                split: _count(c for c in clips if (c.label, c.split) == (label, split))
                for split in SPLITS
            }
            for label in prepared.clip_list.classes
        },
        "splits": {split: _count(c for c in clips if c.split == split) for split in SPLITS},
        "clips": len(clips),
        "boxes": len(prepared.boxes),
        "problems": list(prepared.problems),
    }


def _count(clips: Iterable[Clip]) -> dict[str, int]:
    clips = list(clips)
    return {"clips": len(clips), "groups": len({clip.group for clip in clips})}


def write_boxes(boxes: Iterable[Box], path: AnyPath | str) -> None:
    """Writes boxes as `read_boxes` reads them.

    Args:
        boxes: the boxes.
        path: the CSV file; one that is there is replaced.
    """
    with (
        replacing_file(as_path(path)) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow([field.name for field in dataclasses.fields(Box)])
        writer.writerows(dataclasses.astuple(box) for box in boxes)


def read_boxes(path: AnyPath | str) -> tuple[Box, ...]:
    """Reads boxes from a CSV file with the columns of `Box`.

    Args:
        path: the file, or the folder that holds `boxes.csv`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column or every box is missing, or a row is no box.
    """
    path = file_in_folder(path, BOXES_FILE)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of boxes {path}.")
    names = [field.name for field in dataclasses.fields(Box)]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text. Received: {error}.") from None
    with io.StringIO(text, newline="") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in names if name not in (reader.fieldnames or ())]:
            raise ValueError(
                f"{path} must have the columns {', '.join(names)}. Missing: {', '.join(missing)}."
            )
        boxes = []
        for row in reader:
            try:
                edges = [float(row[name]) for name in names[2:]]
                boxes.append(_checked(Box(row["path"], int(row["frame"]), *edges)))
            except (TypeError, ValueError):
                raise ValueError(
                    f"Line {reader.line_num} of {path} must hold a path, the number of a frame "
                    "from 0, and four finite numbers, of which width and height are above 0. "
                    f"Received: {', '.join(str(row[name]) for name in names)}."
                ) from None
    if not boxes:
        raise ValueError(f"{path} must hold at least one box. Received: its head alone.")
    return tuple(boxes)


def _checked(box: Box) -> Box:
    edges = (box.left, box.top, box.width, box.height)
    if box.frame < 0 or not all(map(math.isfinite, edges)) or min(edges[2:]) <= 0:
        raise ValueError(f"{box} is none.")
    return box
