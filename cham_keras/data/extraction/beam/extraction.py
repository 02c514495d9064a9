"""Extraction by many workers: the shards of `extraction.extract`, by an Apache Beam pipeline.

Comes in: a clip list, what the backbone is, a runner with its options. Goes out: a folder
of shards with its manifest, byte for byte those of `extract` where the backbone's numbers
are the same on all machines. `cham extract --runner` calls it.

What can be judged from small facts (splits that have lost their clips, the manifest) is
judged here, by the program that started the pipeline, so that its errors are sentences
and not tracebacks of workers.
"""

import dataclasses
import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.clip_list import ClipList, absolute_path
from cham_keras.data.extraction.beam.job import PipelineJob
from cham_keras.data.extraction.beam.shard_plan import Entry, in_order, plan_shards, splits_of
from cham_keras.data.extraction.beam.work_folder import WorkFolder
from cham_keras.data.extraction.extraction import DEFAULT_ORDER_SEED, check_enough_is_left
from cham_keras.data.shards.manifest import Manifest, SplitInfo, versions_of, write_manifest
from cham_keras.data.shards.shard_folder import ShardFolder
from cham_keras.data.shards.shards import DEFAULT_SHARD_BYTES, check_storage, finish_shards
from cham_keras.files import folder_taking_its_place
from cham_keras.paths import AnyPath, local_path
from cham_keras.progress import stderr

#: What Beam's DirectRunner has at its core. That one first tries Prism, for which it downloads a
#: program and forgets `direct_running_mode`; whoever wants it says PrismRunner.
_RUNNERS = {"DirectRunner": "FnApiRunner"}


def extract_with_beam(
    clip_list: ClipList,
    out: AnyPath | str,
    backbone: BackboneSpec,
    runner: str = "DirectRunner",
    beam_options: Sequence[str] = (),
    frame_stride: int = 1,
    max_frames: int | None = None,
    feature_dtype: str = "float16",
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    clips_per_shard: int | None = None,
    seed: int = DEFAULT_ORDER_SEED,
    strict: bool = False,
    overwrite: bool = False,
    command: str = "",
) -> Manifest:
    """Computes the features of all clips on the workers of a Beam runner.

    All workers must see the clips, the backbone's weights and the folder of `out` under the
    same paths, and have this package installed. Records go neither through this program
    nor through the runner: workers keep them in `<out>.beam-partial`, which in the end
    takes twice the space of the shards.

    Whatever ends the work before its time: the same call goes on and leaves out the clips
    that are finished. Shards may be cut otherwise then.

    Args:
        clip_list: the clips.
        out: a new or empty local folder for the shards. It appears when all is done.
        backbone: what computes the features; each worker's process makes it anew.
        runner: a runner that Beam knows, such as FlinkRunner, SparkRunner, DataflowRunner, or
            DirectRunner, which works on this machine.
        beam_options: Beam's own options, each as `name=value`, or `name` for a switch.
        frame_stride: as `extract` takes it, like all that follows.
        max_frames: see there.
        feature_dtype: see there.
        shard_bytes: see there.
        clips_per_shard: see there.
        seed: see there.
        strict: see there.
        overwrite: see there.
        command: see there.

    Returns:
        the manifest: that of `extract`, and Beam's version.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        BlockingIOError: another program extracts into the same folder.
        ValueError: as `extract` raises it; Apache Beam is not installed; or Beam does not
            know the runner, or an option's value.
        OSError: a worker could not read or write a file, in none of the runner's attempts.
        RuntimeError: the pipeline failed for another reason.
    """
    for name, value in (("frame_stride", frame_stride), ("max_frames", max_frames)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    check_storage(feature_dtype, shard_bytes, clips_per_shard)
    flags = [f"--runner={_RUNNERS.get(runner, runner)}", *map(_flag, beam_options)]
    # Absolute, for workers have working directories of their own.
    out = local_path(out, "`out` of an extraction with Beam").absolute()
    _check_beam()
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise FileExistsError(
            f"The output folder must be new or empty. Received: {out}. "
            "Name another folder, or pass --overwrite to replace it."
        )
    folder = WorkFolder(beam_partial_folder(out))
    job = PipelineJob(
        folder=folder,
        num_clips=len(clip_list.clips),
        backbone=backbone,
        frame_stride=frame_stride,
        max_frames=max_frames,
        feature_dtype=feature_dtype,
        shard_bytes=shard_bytes,
        clips_per_shard=clips_per_shard,
        seed=seed,
        strict=strict,
    )
    with job.begun(clip_list, overwrite):
        shards = _shards_of_workers(job, flags, clip_list)
        manifest = finish_shards(
            shards,
            backbone=backbone,
            frame_stride=frame_stride,
            max_frames=max_frames,
            clips_root=str(clip_list.root),
            command=command,
        )
        versions = versions_of(["apache-beam"]) | manifest.versions
        manifest = dataclasses.replace(manifest, versions=versions)
        write_manifest(manifest, folder.shards)
        folder_taking_its_place(folder.shards, out)
        shutil.rmtree(folder.path)
    return manifest


def beam_partial_folder(out: Path) -> Path:
    """Where the workers of an extraction to `out` meet until it is finished."""
    return out.with_name(f"{out.name}.beam-partial")


class _ShardsOfWorkers(ShardFolder):
    """Shards that are written, closed and named."""

    splits: dict[str, SplitInfo]

    def close_shards(self) -> dict[str, SplitInfo]:
        """What is in them."""
        return self.splits


def _shards_of_workers(
    job: PipelineJob, flags: Sequence[str], clip_list: ClipList
) -> _ShardsOfWorkers:
    """Runs the pipeline and judges what came of it."""
    _run(job, flags)
    entries, sha256_of_file = job.folder.read_result()
    entries = _checked(entries, clip_list)
    shards = _ShardsOfWorkers(
        job.folder.shards,
        clip_list.classes,
        job.backbone,
        job.feature_dtype,
        job.shard_bytes,
        job.clips_per_shard,
    )
    shards.entries = entries
    for clip in shards.unreadable():
        text = f"Unreadable: {clip.path}: {clip.reason}"
        stderr.print(text, markup=False, highlight=False)
    try:
        check_enough_is_left(clip_list, shards.unreadable())
    except ValueError as error:
        raise ValueError(f"{error} Mend that and run the command again.") from None
    planned = plan_shards(entries, job.shard_bytes, job.clips_per_shard)
    shards.splits = splits_of(entries, planned, sha256_of_file, clip_list.classes)
    return shards


def _run(job: PipelineJob, flags: Sequence[str]) -> None:
    from cham_keras.data.extraction.beam.pipeline import build_pipeline

    pipeline = build_pipeline(job, flags)
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:  # runners raise what they like
        trouble = job.folder.trouble()
        if trouble is not None:
            kind, sentence = trouble
            raise kind(
                f"A worker met an error: {sentence.removesuffix('.')}. Finished clips are kept in "
                f"{job.folder.path}; mend that and run the same command again to go on."
            ) from error
        raise RuntimeError(f"The Beam pipeline failed. {error}") from error
    if state != "DONE":
        raise RuntimeError(f"The Beam pipeline must end as DONE. Received: {state}.")


def _checked(entries: list[Entry], clip_list: ClipList) -> list[Entry]:
    """The entries in order, if there is one for each clip and no failure."""
    for entry in entries:
        if "failure" in entry:
            raise ValueError(entry["failure"])
    entries = in_order(entries)
    if [entry["position"] for entry in entries] != list(range(len(clip_list.clips))):
        raise RuntimeError(
            f"The runner must give each of the {len(clip_list.clips)} clips once. "
            f"Received: {len(entries)} results. Choose exactly-once processing."
        )
    # Workers know absolute paths only; the local way names files as the list does.
    absolute = f"{absolute_path(clip_list.root)}/"
    for entry in entries:
        if "reason" in entry:
            entry["reason"] = entry["reason"].replace(absolute, f"{clip_list.root}/")
    return entries


def _flag(option: str) -> str:
    """An option as on Beam's command lines."""
    name = option.partition("=")[0]
    if not name.isidentifier():
        raise ValueError(
            "An option of Beam must be given as name=value, or name for a switch. "
            f"Received: {option!r}."
        )
    if name == "runner":
        raise ValueError(f"The runner has its own argument, --runner. Received: {option!r}.")
    return f"--{option}"


def _check_beam() -> None:
    if importlib.util.find_spec("apache_beam") is None:
        raise ValueError(
            "Extraction with a runner needs Apache Beam. Install it with "
            "`pip install 'cham-keras[beam]'`, or leave out --runner to extract on this machine."
        )
