"""A data set of short videos of TensorFlow Datasets becomes folders of images and a clip list.

`cham prepare tfds` calls this. TensorFlow Datasets (TFDS) hands out decoded
frames and keeps the video files to itself, so what is written here is what it
hands out: each clip a folder of PNG images, which lose nothing. It takes more
room than the videos did. The package is optional.
"""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.data.clip_list import SPLIT_NAMES, Clip, ClipList, absolute_path
from cham_keras.data.prepare.prepared import Prepared
from cham_keras.data.prepare.problems import sentence_of_names
from cham_keras.data.splits import assign_splits, hold_out_validation
from cham_keras.files import replacing_folder
from cham_keras.progress import track

_MODULE = "tensorflow_datasets"


def prepare_tfds(
    name: str,
    frames: Path | str,
    data_dir: Path | str | None = None,
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    download: bool = False,
    overwrite: bool = False,
) -> Prepared:
    """Writes the clips of a TFDS data set as folders of images and makes a clip list of them.

    The data set must have the features `video`, uint8 (time, height, width, 1 or
    3), and `label`, a class. Its own splits are kept. Where it has no validation
    clips, they are taken from the training clips; where it has training clips
    only, all are split by the two fractions. TFDS does not tell which clips come
    from one source video, so each clip is a group of its own.

    Args:
        name: of the data set, with its configuration, such as "ucf101/ucf101_1".
        frames: the folder to write the images to; new or empty.
        data_dir: where TFDS keeps its data sets; by default where it always does.
        test_fraction: fraction of all clips to test on, where there are training
            clips only.
        validation_fraction: fraction of the training clips to validate on, where
            there are none for validation; of all clips, where there are training
            clips only.
        seed: of what is chosen by chance.
        download: whether TFDS may download the data set and prepare it.
        overwrite: whether a folder `frames` that holds files is replaced.

    Returns:
        the clips in the order of the data set, with their numbers of frames.

    Raises:
        FileExistsError: `frames` holds files and `overwrite` is false.
        FileNotFoundError: the data set lies not in `data_dir`, and `download` is
            false.
        ValueError: TFDS is not installed, knows no such data set, or the data
            set has other features; or the list breaks a rule of `ClipList`.
    """
    builder = _builder(name, data_dir)
    if download:
        builder.download_and_prepare()
    sizes = {split: int(info.num_examples) for split, info in dict(builder.info.splits).items()}
    if not sizes:
        raise FileNotFoundError(
            f"TFDS has not prepared the data set {name} in {builder.data_dir}. Pass --download, or "
            "name the folder that holds it with --data-dir."
        )
    classes = _classes(name, builder.info.features)
    problems = []
    unknown = [f"{split} ({number})" for split, number in sizes.items() if split not in SPLIT_NAMES]
    if unknown:
        problems.append(f"Splits (clips) that are left out: {sentence_of_names(unknown)}.")
    frames = absolute_path(frames)
    clips: list[Clip] = []
    with replacing_folder(frames, overwrite) as folder:
        for split, number in sizes.items():
            if split in SPLIT_NAMES:
                examples = track(_examples(builder, split), f"Writing {split}", total=number)
                for index, example in enumerate(examples):
                    clips.append(_write_clip(folder, split, index, example, classes))
        splits = _splits(clips, test_fraction, validation_fraction, seed)
        clips = [replace(clip, split=split) for clip, split in zip(clips, splits, strict=True)]
        present = sorted({clip.label for clip in clips})
        clip_list = ClipList(frames, tuple(present), tuple(clips))
    if absent := sorted(set(classes) - set(present)):
        problems.append(f"{len(absent)} class(es) have no clips: {sentence_of_names(absent)}.")
    if "test" not in splits:
        problems.append("There are no clips to test on.")
    return Prepared(clip_list, tuple(problems))


def _imported() -> Any:
    try:
        return importlib.import_module(_MODULE)
    except ImportError as error:
        raise ValueError(
            "Data sets of TensorFlow Datasets need the package tensorflow-datasets. "
            f"Install it: pip install tensorflow-datasets. ({error})"
        ) from error


def _builder(name: str, data_dir: Path | str | None) -> Any:
    tfds = _imported()
    try:
        return tfds.builder(name, data_dir=None if data_dir is None else str(data_dir))
    except ValueError as error:
        # The lines after the first list every data set that there is.
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"TFDS gives no data set {name!r}. It says: {reason}") from error


def _classes(name: str, features: Any) -> list[str]:
    """The names of the classes, in the order of their numbers."""
    present = list(features.keys())
    classes = getattr(features["label"], "names", None) if "label" in present else None
    if "video" not in present or not classes:
        raise ValueError(
            f"A TFDS data set must have the features `video` and `label`, a class with a name. "
            f"{name} has {', '.join(present)}. Write its clips to files and use "
            "`cham prepare csv`."
        )
    return list(classes)


def _examples(builder: Any, split: str) -> Iterator[dict]:
    # In the order of the files, so that the same data set gives the same list.
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    yield from _imported().as_numpy(dataset)


def _write_clip(folder: Path, split: str, index: int, example: dict, classes: list[str]) -> Clip:
    """Writes the frames of one clip; numbers in the names, since names of classes may hold `/`."""
    from PIL import Image

    path = f"{split}/{index:06}"
    video = np.asarray(example["video"])
    if (
        video.dtype != np.uint8
        or video.ndim != 4
        or video.shape[-1] not in (1, 3)
        or not video.size
    ):
        raise ValueError(
            "`video` of a TFDS example must be uint8 (time, height, width, 1 or 3). "
            f"Received: {video.dtype} {video.shape} for example {index} of {split}."
        )
    (folder / path).mkdir(parents=True)
    for number, frame in enumerate(video, start=1):
        # (height, width, 1) -> (height, width), which Pillow takes for grey
        image = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)
        image.save(folder / path / f"{number:06}.png", compress_level=1)
    label = classes[int(example["label"])]
    return Clip(path, label, SPLIT_NAMES[split], path, num_frames=len(video))


def _splits(
    clips: list[Clip], test_fraction: float, validation_fraction: float, seed: int
) -> list[str]:
    """The split of each clip: as stated, and what is missing by chance."""
    labels, groups = [clip.label for clip in clips], [clip.group for clip in clips]
    stated = [clip.split for clip in clips]
    if set(stated) == {"train"}:
        return assign_splits(labels, groups, test_fraction, validation_fraction, seed)
    if set(stated) == {"train", "test"}:
        return hold_out_validation(labels, groups, stated, validation_fraction, seed)
    return stated
