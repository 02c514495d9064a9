"""What an export says of itself: `assets.extra/cham.json`, beside the SavedModel.

Comes in: a run. Goes out: everything that a video needs on its way into the
model, so that an export can be used where the run is not. `saved_model` writes
it, `export_folder` reads it; `video_classifier` prepares videos by it.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import PositiveInt, TypeAdapter

from cham_keras.data import BackboneSpec
from cham_keras.files import read_json, write_json
from cham_keras.runs import Run, RunSettings
from cham_keras.runs.run_folder import environment
from cham_keras.settings import settings, settings_from_dict

#: Version of the form of `cham.json` that this code writes and reads.
SCHEMA_VERSION = 1

#: Where it lies in an export. TensorFlow leaves `assets.extra` to whoever exports.
DESCRIPTION_FILE = Path("assets.extra") / "cham.json"


@settings
class Preparation:
    """How a video becomes features, as it did before training."""

    backbone: BackboneSpec
    """What computes the features of a frame."""
    feature_dtype: Literal["float16", "float32", "int8"]
    """Features are rounded to this type, as they were in the shards."""
    frame_stride: PositiveInt
    """1 for every frame of a video, 2 for every other one."""
    max_frames: PositiveInt | None
    """At most this many frames from a video's start; nothing means all."""
    num_frames: PositiveInt
    """Number of frames, evenly spaced, that stand for a video."""
    short_clips: Literal["repeat", "pad"]
    """What a shorter video gets: its last frame again, or fewer steps."""


@settings
class Description:
    """What an export is."""

    classes: tuple[str, ...]
    """Names of the classes, in the order of the probabilities."""
    preparation: Preparation
    """How a video becomes features."""
    settings: RunSettings
    """The settings of the run."""
    model_sha256: str
    """Checksum of the run's model file."""
    versions: dict[str, str]
    """Versions of Python and of the packages that wrote the export."""
    schema_version: int = SCHEMA_VERSION
    """Version of the form of this description."""


def preparation_of_run(run: Run) -> Preparation:
    """How videos become features for a run."""
    return Preparation(
        backbone=run.manifest.backbone,
        feature_dtype=run.manifest.feature_dtype,
        frame_stride=run.manifest.frame_stride,
        max_frames=run.manifest.max_frames,
        num_frames=run.num_frames,
        short_clips=run.settings.data.short_clips,
    )


def describe_run(run: Run) -> Description:
    """Describes the export of a run."""
    return Description(
        classes=run.manifest.classes,
        preparation=preparation_of_run(run),
        settings=run.settings,
        model_sha256=run.model_sha256(),
        versions=environment()["versions"],
    )


def write_description(description: Description, folder: Path) -> None:
    """Writes a description into an export's folder."""
    write_json(folder / DESCRIPTION_FILE, _values(description))


def description_as_json(description: Description) -> str:
    """A description as a server tells it: of the backbone's weights the file's name only."""
    backbone = description.preparation.backbone
    named = dataclasses.replace(backbone, weights=Path(backbone.weights).name)
    preparation = dataclasses.replace(description.preparation, backbone=named)
    return json.dumps(_values(dataclasses.replace(description, preparation=preparation)))


def description_from_json(content: str, source: str) -> Description:
    """The way back from `description_as_json`.

    Args:
        content: what a server told.
        source: who, for errors.

    Raises:
        ValueError: it is no description of this version.
    """
    return _description(json.loads(content), source)


def _values(description: Description) -> dict[str, Any]:
    values: dict[str, Any] = TypeAdapter(Description).dump_python(description, mode="json")
    return {"schema_version": values.pop("schema_version"), **values}


def read_description(folder: Path) -> Description:
    """Reads the description of an export.

    Args:
        folder: folder of one version, with `saved_model.pb` in it.

    Raises:
        FileNotFoundError: the SavedModel has none.
        ValueError: it is none of this version.
    """
    file = folder / DESCRIPTION_FILE
    if not file.is_file():
        raise FileNotFoundError(
            f"The SavedModel {folder} has no {DESCRIPTION_FILE}, which says how videos become "
            "features. `cham export` writes it: export the run again, or name the run itself."
        )
    return _description(read_json(file), str(file))


def _description(values: Any, source: str) -> Description:
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{source}: `schema_version` must be {SCHEMA_VERSION}. Received: {version!r}. "
            "Run `cham export` again."
        )
    return settings_from_dict(Description, values, source=source)
