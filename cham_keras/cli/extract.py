"""The verb `extract`: from clips to shards of features."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from cham_keras.cli.locations import Location
from cham_keras.paths import AnyPath

if TYPE_CHECKING:
    from cham_keras.data.shards.manifest import Manifest


def extract(
    clips: Location,
    /,
    *,
    out: Location,
    backbone: str = "resnet152",
    weights: str | None = None,
    frame_stride: int = 1,
    max_frames: int | None = None,
    image_size: int | None = None,
    interpolation: Literal["bicubic", "bilinear", "area", "lanczos"] = "bicubic",
    scaling: Literal["none", "tf", "caffe", "torch"] | None = None,
    dtype: Literal["float16", "float32", "int8"] = "float16",
    shard_megabytes: int = 128,
    seed: int = 0,
    strict: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    runner: str | None = None,
    beam_option: Annotated[list[str] | None, Parameter(negative="")] = None,
    work_dir: Path | None = None,
    mirrored: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compute the features of all clips and write them as TFRecord shards.

    Whatever interrupts it, the same command goes on where it was: until all is
    done, OUT.partial holds what is finished.

    Example: `cham extract my_clips --out shards/my_videos --backbone resnet50`

    Example: `cham extract my_clips --out shards --backbone my_cnn.keras --scaling torch`

    Example: `cham extract my_clips --out shards/mine --runner DirectRunner --beam-option
    direct_running_mode=multi_processing --beam-option direct_num_workers=4`

    Parameters
    ----------
    clips
        `clips.json` that `cham prepare` wrote, or the folder that holds it; a path or a URL.
    out
        New folder for the shards and their manifest; a path, or a URL such as
        gs://bucket/shards, to which each shard goes when it is finished.
    backbone
        Network of keras.applications, in small letters (resnet152, mobilenet,
        efficientnet_b0); filter_bank, which needs no weights; or the path of a .keras
        file or a SavedModel of your own.
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
    interpolation
        How frames are resized, always with antialiasing and without crop.
    scaling
        For a model of your own: what pixels it takes. none is 0 to 255, the others
        are the modes of keras.applications.
    dtype
        How features are stored. int8 has a scale for each channel of a frame; the
        manifest says how far the stored numbers are off.
    shard_megabytes
        Size in MiB at which a shard is closed and the next one begun.
    seed
        Of the order of the training clips.
    strict
        End at the first clip that cannot be read, instead of listing it.
    overwrite
        Replace `out` if it is there, and what another command left unfinished.
    runner
        Extract on the workers of an Apache Beam runner: DirectRunner (this machine),
        FlinkRunner, SparkRunner, DataflowRunner or another one that Beam knows. The shards
        are the same. All workers must see CLIPS, WEIGHTS and OUT, here no URL, under the
        same paths and have cham-keras installed; OUT.beam-partial holds what is finished.
        Needs `pip install 'cham-keras[beam]'`.
    beam_option
        An option of Beam or of the runner, as name=value or name; can be given again.
        DirectRunner takes direct_running_mode and direct_num_workers, FlinkRunner
        flink_master, SparkRunner spark_master_url, DataflowRunner project, region,
        temp_location and sdk_container_image; `beam.apache.org` lists them all.
    work_dir
        Local folder for the shards in the making where OUT is a URL; left out, a folder in
        the current one, named as OUT with .partial at its end.
    mirrored
        Store each training clip twice, as it is and with its frames flipped left to right:
        more to learn from where there are few clips. It takes twice the time and space.
    """
    from cham_keras.data.backbones.backbones import load_backbone
    from cham_keras.data.clip_list import read_clip_list
    from cham_keras.data.extraction.beam import extract_with_beam
    from cham_keras.data.extraction.extraction import extract as extract_features

    if beam_option and runner is None:
        raise ValueError(
            f"`--beam-option` goes with --runner. Received: {beam_option[0]} and no runner."
        )
    clip_list = read_clip_list(clips)
    loaded = load_backbone(backbone, weights, image_size, interpolation, scaling)
    settings: dict[str, Any] = {
        "frame_stride": frame_stride,
        "max_frames": max_frames,
        "feature_dtype": dtype,
        "shard_bytes": shard_megabytes * 2**20,
        "seed": seed,
        "strict": strict,
        "overwrite": overwrite,
        "command": shlex.join(["cham", *sys.argv[1:]]),
    }
    if runner is None:
        manifest = extract_features(
            clip_list, out, loaded, work_dir=work_dir, mirrored=mirrored, **settings
        )
    elif mirrored:
        raise ValueError(f"`--mirrored` goes without --runner. Received: both, with {runner}.")
    elif work_dir is not None:
        raise ValueError(f"`--work-dir` goes without --runner. Received: {work_dir} and {runner}.")
    else:
        options = beam_option or ()
        manifest = extract_with_beam(clip_list, out, loaded.spec, runner, options, **settings)
    _print(manifest, out)


def _print(manifest: "Manifest", out: AnyPath) -> None:
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
    error = manifest.storage_error
    stdout.print(
        f"Stored as {manifest.feature_dtype}: off by {error.relative_rms:.2g} of the features' "
        f"root mean square, at most by {error.largest:.2g}.",
        highlight=False,
    )
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
