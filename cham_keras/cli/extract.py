"""The verb `extract`: from clips to shards of features."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from cham_keras.data.manifest import Manifest


def extract(
    clips: Path,
    /,
    *,
    out: Path,
    backbone: str = "resnet152",
    weights: str | None = None,
    frame_stride: int = 1,
    max_frames: int | None = None,
    image_size: int | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    strict: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compute the features of all clips and write them as TFRecord shards.

    Example: `cham extract my_clips --out shards/my_videos --backbone resnet50`

    Parameters
    ----------
    clips
        `clips.json` that `cham prepare` wrote, or the folder that holds it.
    out
        New folder for the shards and their manifest.
    backbone
        Network of keras.applications, in small letters (resnet152, mobilenet,
        efficientnet_b0), or filter_bank, which needs no weights.
    weights
        imagenet (the default: downloads them), none (random), or the path of a
        weights file without the classifier.
    frame_stride
        1 takes every frame, 2 every other one.
    max_frames
        Take at most this many frames of a clip, after the stride.
    image_size
        Height and width that frames are resized to; left out, what the backbone
        was trained at.
    dtype
        How features are stored.
    strict
        End at the first clip that cannot be read, instead of listing it.
    overwrite
        Replace `out` if it is there.
    """
    from cham_keras.data.backbones import load_backbone
    from cham_keras.data.clip_list import read_clip_list
    from cham_keras.data.extraction import extract as extract_features

    manifest = extract_features(
        read_clip_list(clips),
        out,
        load_backbone(backbone, weights, image_size),
        frame_stride=frame_stride,
        max_frames=max_frames,
        feature_dtype=dtype,
        strict=strict,
        overwrite=overwrite,
        command=shlex.join(["cham", *sys.argv[1:]]),
    )
    _print(manifest, out)


def _print(manifest: "Manifest", out: Path) -> None:
    from rich.table import Table

    from cham_keras.progress import stdout

    table = Table(title=f"Shards in {out}", title_justify="left")
    table.add_column("split")
    for name in ("clips", "frames", "MB"):
        table.add_column(name, justify="right")
    for name, split in manifest.splits.items():
        megabytes = sum(shard.bytes for shard in split.shards) / 1e6
        table.add_row(name, str(split.clips), str(split.frames), f"{megabytes:.1f}")
    stdout.print(table)
    if manifest.unreadable:
        stdout.print(
            f"{len(manifest.unreadable)} clip(s) could not be read; {out}/manifest.json lists "
            "them under `unreadable`.",
            highlight=False,
            soft_wrap=True,
        )
    run = Path("runs") / (out.absolute().parent.name if out.name == "shards" else out.name)
    command = shlex.join(["cham", "train", str(out), "--out", str(run)])
    stdout.print(f"Next: {command}", markup=False, highlight=False, soft_wrap=True)
