"""Import: from feature files in HDF5 to shards, without a video or a backbone.

Comes in: a folder of feature files, or one file and a CSV. Goes out: a folder of shards with
its manifest, as `extraction.extract` writes it. `cham import-hdf5` calls it.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.backbones.backbones import IMPORTED
from cham_keras.data.clip_list import Clip
from cham_keras.data.extraction.extraction import extraction_order
from cham_keras.data.feature_files.concatenated_layout import MAP_SHAPE, concatenated_layout
from cham_keras.data.feature_files.dataset_per_clip import dataset_per_clip
from cham_keras.data.feature_files.hdf5_reader import Reader, choose_reader, read_rows
from cham_keras.data.feature_files.stored_clips import Order, StoredClips, maps_of_rows
from cham_keras.data.shards.clip_record import ClipFeatures
from cham_keras.data.shards.manifest import Manifest
from cham_keras.data.shards.shards import write_shards
from cham_keras.progress import track

#: What the FC-Attention authors take all videos for.
DEFAULT_FRAME_RATE_HZ = 30.0


def import_hdf5(
    source: Path | str,
    out: Path | str,
    *,
    clips_csv: Path | str | None = None,
    map_shape: tuple[int, int] | None = None,
    order: Order | None = None,
    class_names: Path | str | None = None,
    backbone_name: str = "",
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
    feature_dtype: str = "float16",
    reader: Reader = "auto",
    test_fraction: float = 0.25,
    validation_fraction: float = 0.15,
    seed: int = 0,
    command: str = "",
    overwrite: bool = False,
) -> Manifest:
    """Turns feature files into shards.

    Training clips are put in the same shuffled order as `extract` puts them.

    Args:
        source: a folder with `<split>_features.h5` and text files beside them, as
            `concatenated_layout` describes it; or an HDF5 file with a data set for each clip.
        out: a new or empty folder for the shards. It appears when all is done.
        clips_csv: with a file, and only then: the CSV that `dataset_per_clip` describes.
        map_shape: height and width of a frame's map; of a folder 7 and 7 by default.
        order: of a folder only: "F" (the default) or "C", see `concatenated_layout`.
        class_names: of a folder only: text file with a class's name a line.
        backbone_name: what the features were computed with, in words, for the manifest.
        frame_rate_hz: frames per second of the features, which the files do not say.
        feature_dtype: how features are stored, see `write_shards`.
        reader: "auto", "h5py" or "tensorflow-io"; both give the same shards.
        test_fraction: fraction of all clips to test on, where a CSV states no splits.
        validation_fraction: fraction of all clips to validate on, likewise.
        seed: of the split, likewise.
        command: what the manifest says that the shards were made with.
        overwrite: whether a folder that is already there is replaced.

    Returns:
        the manifest. Its backbone is called "imported": there is no way from a video to
        these features.

    Raises:
        FileNotFoundError: a file is missing.
        FileExistsError: `out` holds files, and `overwrite` is false.
        ValueError: an argument breaks its rule, the files contradict each other, cannot be
            read, or hold numbers that cannot be stored.
    """
    if not (np.isfinite(frame_rate_hz) and frame_rate_hz > 0):
        raise ValueError(f"`frame_rate_hz` must be above 0. Received: {frame_rate_hz}.")
    if map_shape is not None and min(map_shape) < 1:
        raise ValueError(f"`map_shape` must be two numbers of at least 1. Received: {map_shape}.")
    source = Path(source)
    if clips_csv is None:
        _check_is_folder(source)
        names = None if class_names is None else Path(class_names)
        stored = concatenated_layout(source, map_shape or MAP_SHAPE, order or "F", names)
    else:
        for name, value in (("order", order), ("class_names", class_names)):
            if value is not None:
                raise ValueError(
                    f"`{name}` must be left out with a CSV of clips, which says it all. "
                    f"Received: {value}."
                )
        stored = dataset_per_clip(
            source, Path(clips_csv), map_shape, test_fraction, validation_fraction, seed
        )
    ordered = extraction_order(stored.clip_list)
    chosen = choose_reader([stored.rows[clip.id] for clip in ordered], reader)
    with closing(_clips(stored, ordered, chosen, frame_rate_hz)) as clips:
        return write_shards(
            out,
            track(clips, f"Importing features with {chosen}", total=len(ordered)),
            classes=stored.clip_list.classes,
            backbone=_backbone_spec(stored, backbone_name),
            feature_dtype=feature_dtype,
            clips_root=str(stored.clip_list.root),
            command=command,
            overwrite=overwrite,
        )


def _clips(
    stored: StoredClips, ordered: Sequence[Clip], reader: Reader, frame_rate_hz: float
) -> Generator[ClipFeatures]:
    rows = read_rows([stored.rows[clip.id] for clip in ordered], reader)
    for clip, numbers in zip(ordered, rows, strict=True):
        yield ClipFeatures(
            id=clip.id,
            split=clip.split,
            label=stored.clip_list.label_of(clip),
            group=clip.group,
            frame_rate_hz=frame_rate_hz,
            features=maps_of_rows(numbers, stored.feature_shape, stored.order),
        )


def _backbone_spec(stored: StoredClips, backbone_name: str) -> BackboneSpec:
    return BackboneSpec(
        name=IMPORTED,
        weights="unknown",
        weights_sha256=None,
        image_size=0,
        feature_shape=stored.feature_shape,
        preprocessing=(
            f"not known: features of {backbone_name or 'an unknown backbone'}, imported from "
            f"{stored.layout}"
        ),
    )


def _check_is_folder(source: Path) -> None:
    if source.is_file():
        raise ValueError(
            f"A single file with a data set for each clip needs a CSV that says what the clips "
            f"are. Received: {source} alone. Pass the CSV with --clips, or the folder of "
            "<split>_features.h5 files."
        )
