"""What a table is made of: data set, backbone, methods, seeds."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from cham_keras.finetuning import FinetuningSettings
from cham_keras.settings import settings

DataSetName = Literal["ucf-sports", "olympic-sports", "hmdb51", "clips"]


@settings
class TableSettings:
    """Everything that decides what a table holds; `table.toml` in its folder."""

    data_set: DataSetName = "clips"
    """Which data set; clips is any folder of class folders, or a CSV."""
    root: str = "."
    """Where it lies."""
    lists: str | None = None
    """Where the official lists lie, if not in the root or beside it (olympic-sports, hmdb51)."""
    extract_to: str | None = None
    """Where archives are extracted to (hmdb51)."""
    protocol: Literal["stratified", "leave-one-out", "103-47"] = "stratified"
    """What is tested on (ucf-sports)."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Parts of a cross-validation, by whole groups; not given: the splits as they are (clips)."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Fraction of the training clips to validate on; the paper states none."""
    backbone: str = "resnet152"
    """What computes the features."""
    weights: str | None = None
    """Its weights: imagenet, none, or a path; not given: imagenet."""
    image_size: PositiveInt | None = None
    """Height and width that frames are resized to; not given: what it was trained at."""
    scaling: Literal["none", "tf", "caffe", "torch"] | None = None
    """For a model of one's own: what pixels it takes."""
    frame_stride: PositiveInt = 1
    """1 takes every frame, 2 every other one."""
    recipes: str = "paper"
    """Folder of the recipes: a method NAME is trained with the recipe RECIPES/NAME."""
    methods: tuple[str, ...] | None = None
    """Which rows the table has; not given: all that need nothing but the features."""
    seeds: tuple[NonNegativeInt, ...] = (0, 1, 2)
    """Seeds of the runs; each method is run with each."""
    finetuning: FinetuningSettings = FinetuningSettings()
    """How the spatial ConvNet is fine-tuned."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Settings laid over every recipe, as in its file."""
