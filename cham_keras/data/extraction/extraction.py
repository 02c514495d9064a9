"""Extraction: from the videos of a clip list to shards of features.

Comes in: a clip list and a backbone. Goes out: a folder of shards with its
manifest. `cham extract` and the demo call it.

Threads decode and resize ahead while the backbone computes; frames of neighbouring
clips share batches. Neither holds more than a few batches of frames and the features of
the clip at hand, however long the list is. What a killed extraction had finished stays in
`<out>.partial`, and the same call goes on from there.
"""

import dataclasses
import hashlib
import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from cham_keras.data.backbones.backbones import Backbone
from cham_keras.data.clip_list import SPLITS, Clip, ClipList
from cham_keras.data.extraction.decoding import ClipEnd, ReadClip, decode_ahead
from cham_keras.data.extraction.in_order import InOrder
from cham_keras.data.frames.clip_frames import open_clip
from cham_keras.data.mirrored_clips import MirroredClip, mirrored_twin
from cham_keras.data.shards.clip_record import ClipFeatures
from cham_keras.data.shards.journal import JOURNAL_FILE, is_of_job
from cham_keras.data.shards.manifest import Manifest, UnreadableClip, read_manifest
from cham_keras.data.shards.remote_shards import RemoteShards
from cham_keras.data.shards.shard_folder import ShardFolder
from cham_keras.data.shards.shard_schema import MANIFEST_FILE
from cham_keras.data.shards.shards import DEFAULT_SHARD_BYTES, check_storage, finish_shards
from cham_keras.files import folder_taking_its_place, local_copy
from cham_keras.paths import AnyPath, RemotePath, as_path, local_path
from cham_keras.progress import progress_bar

#: Part of what orders the training clips; another number is another order.
DEFAULT_ORDER_SEED = 0

_MOST_DECODERS = 16
# Clips whose records may wait to be written while the backbone computes.
_WRITES_AHEAD = 2


def extract(
    clip_list: ClipList,
    out: AnyPath | str,
    backbone: Backbone,
    frame_stride: int = 1,
    max_frames: int | None = None,
    feature_dtype: str = "float16",
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    clips_per_shard: int | None = None,
    seed: int = DEFAULT_ORDER_SEED,
    strict: bool = False,
    overwrite: bool = False,
    command: str = "",
    work_dir: Path | str | None = None,
    mirrored: bool = False,
) -> Manifest:
    """Computes the features of all clips and writes them as shards.

    Training clips are put in a shuffled order that depends on their names and the seed
    only, so each shard holds clips of many classes; the other splits keep the list's
    order. A clip that cannot be read to its end is left out, named on standard
    error with the reason, and listed in the manifest.

    Whatever ends the work before its time, even a kill: the same call goes on after the
    last finished clip, and its shards have the bytes of an unbroken run.

    Args:
        clip_list: the clips.
        out: a new or empty folder for the shards, a path or a URL. A local one appears when
            all is done; until then `<out>.partial` grows beside it. To a remote one each shard
            goes when it is finished, and the manifest last.
        backbone: what computes the features.
        frame_stride: 1 takes every frame, 2 every other one.
        max_frames: take at most this many frames of a clip, after the stride.
        feature_dtype: "float16", "float32" or "int8", how features are stored.
        shard_bytes: size at which a shard is closed and the next one begun.
        clips_per_shard: number of clips at which it is closed, whatever its size.
        seed: of the order of the training clips.
        strict: whether the first unreadable clip ends everything.
        overwrite: whether a folder that is already there is replaced; also what
            another command began and left unfinished.
        command: what the manifest says that the shards were made with.
        work_dir: local folder for the shards in the making where `out` is remote; by default
            `<name of out>.partial` in the current folder.
        mirrored: whether each training clip is followed by a twin whose frames are flipped left
            to right: a clip of its own, with `#mirrored` behind its id, of the same class and
            group. It doubles the time and the space of the training clips.

    Returns:
        the manifest.

    Raises:
        FileExistsError: the folder holds files, and `overwrite` is false.
        BlockingIOError: another process extracts into the same folder.
        ValueError: an argument breaks its rule; the working folder was begun with other
            clips or settings; a clip cannot be read and `strict` is true; or a split,
            or a class in training, has lost all its clips.
        OSError: the disk is full or the remote storage does not answer, say. What is finished
            is kept.
    """
    for name, value in (("frame_stride", frame_stride), ("max_frames", max_frames)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    check_storage(feature_dtype, shard_bytes, clips_per_shard)
    out = as_path(out)
    partial = partial_folder(out, work_dir)
    remote = RemoteShards(out, partial) if isinstance(out, RemotePath) else None
    order = extraction_order(clip_list, seed, mirrored)
    settings: dict[str, Any] = {
        "frame_stride": frame_stride,
        "max_frames": max_frames,
        "dtype": feature_dtype,
    }
    settings |= {"shard_bytes": shard_bytes, "clips_per_shard": clips_per_shard}
    # The classes beside the clips: one more moves the labels of the others.
    job: dict[str, Any] = {"clips": _checksum(order), "classes": clip_list.classes}
    job |= _spec_in_job(backbone) | settings
    if mirrored:  # a key that other jobs lack: what they began before there was one goes on
        job["mirrored"] = True
    if remote is not None:
        job["out"] = str(out)
    elif isinstance(out, Path) and is_of_job(out, job):
        # A kill between the last two steps: all is there, and the journal too.
        (out / JOURNAL_FILE).unlink(missing_ok=True)
        return read_manifest(out)
    _check_out(out, remote, overwrite)
    with ShardFolder(
        partial,
        clip_list.classes,
        backbone.spec,
        feature_dtype,
        shard_bytes,
        clips_per_shard,
        job,
        remote,
        overwrite,
    ) as shards:
        read = clip_reader(clip_list, backbone, frame_stride, max_frames)
        if strict:
            _refuse(shards.unreadable())
        _extract_rest(shards, order, read, backbone, clip_list, strict)
        try:
            check_enough_is_left(clip_list, shards.unreadable())
        except ValueError as error:
            raise ValueError(
                f"{error} Mend that, remove {partial} and run the command again."
            ) from None
        manifest = finish_shards(
            shards,
            backbone=backbone.spec,
            frame_stride=frame_stride,
            max_frames=max_frames,
            clips_root=str(clip_list.root),
            command=command,
        )
        if isinstance(out, Path):
            folder_taking_its_place(partial, out)
            (out / JOURNAL_FILE).unlink(missing_ok=True)
        elif remote is not None:
            remote.finish(partial / MANIFEST_FILE)
            shutil.rmtree(partial)
    return manifest


def partial_folder(out: AnyPath, work_dir: Path | str | None = None) -> Path:
    """The local folder where an extraction to `out` works until it is finished.

    Args:
        out: the folder for the shards.
        work_dir: another one than `<out>.partial`; for a remote `out` only, since what is to
            be renamed must lie beside its place.

    Raises:
        ValueError: `work_dir` is stated for a local `out`, or is no local path.
    """
    if isinstance(out, Path):
        if work_dir is not None:
            raise ValueError(
                "`work_dir` goes with an output folder on remote storage; a local one grows beside "
                f"its place. Received: {work_dir} for {out}."
            )
        return out.with_name(f"{out.name}.partial")
    if work_dir is None:
        return Path(f"{out.name}.partial")
    return local_path(work_dir, "`work_dir`")


def _check_out(out: AnyPath, remote: RemoteShards | None, overwrite: bool) -> None:
    if remote is not None:
        remote.check_out(overwrite)
    elif out.exists() and any(out.iterdir()) and not overwrite:
        raise FileExistsError(
            f"The output folder must be new or empty. Received: {out}. "
            "Name another folder, or pass --overwrite to replace it."
        )


def extraction_order(
    clip_list: ClipList, seed: int = DEFAULT_ORDER_SEED, mirrored: bool = False
) -> list[Clip]:
    """The clips in the order in which they are extracted.

    Split after split. Training clips are ordered by a checksum of seed and name:
    mixed over the classes, the same on every machine, and a clip more or less
    does not change the order of the others. Mirrored twins are training clips like others.

    Raises:
        ValueError: a clip of the list has the id of a twin.
    """

    def checksum(clip: Clip) -> bytes:
        return hashlib.sha256(f"{seed}/{clip.id}".encode()).digest()

    train = list(clip_list.clips_of_split("train"))
    if mirrored:
        twins = [mirrored_twin(clip) for clip in train]
        if taken := {clip.id for clip in clip_list.clips} & {twin.id for twin in twins}:
            raise ValueError(
                "No clip may have the id of another one's mirrored twin. "
                f"Received: {min(taken)}. Rename its file."
            )
        train += twins
    train.sort(key=checksum)
    others = [
        clip for split in SPLITS if split != "train" for clip in clip_list.clips_of_split(split)
    ]
    return [*train, *others]


def clip_reader(
    clip_list: ClipList, backbone: Backbone, frame_stride: int, max_frames: int | None
) -> ReadClip:
    """How a clip's frames are read, resized for a backbone, and mirrored if the clip is."""

    def read(clip: Clip) -> tuple[float, Iterator[np.ndarray]]:
        with ExitStack() as copies:
            # A remote clip is on the local disk while its frames are read, and no longer.
            path = copies.enter_context(local_copy(clip_list.path_of(clip)))
            rate_hz, frames = open_clip(
                path,
                frame_stride,
                max_frames,
                clip.start_seconds,
                clip.end_seconds,
                backbone.resizing,
            )
            if isinstance(clip, MirroredClip):
                frames = map(np.fliplr, frames)  # (height, width, 3)
            return rate_hz / frame_stride, _frames_until_left(copies.pop_all(), frames)

    return read


def _frames_until_left(copies: ExitStack, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    with copies:
        yield from frames


def _extract_rest(
    shards: ShardFolder,
    order: list[Clip],
    read: ReadClip,
    backbone: Backbone,
    clip_list: ClipList,
    strict: bool,
) -> None:
    """Extracts the clips that are not in the journal yet."""
    finished = len(shards.entries)
    # Each frame gets the place in its batch that it has in an unbroken run.
    position = shards.entries[-1]["position"] if finished else 0
    num_threads = min(_MOST_DECODERS, len(os.sched_getaffinity(0)))
    decoded = decode_ahead(order[finished:], read, num_threads, 2 * backbone.batch_size)
    start = time.monotonic()
    with closing(decoded), progress_bar() as bar, InOrder(_WRITES_AHEAD) as writer:
        task = bar.add_task("Extracting features", total=len(order), completed=finished, note="")
        if finished:
            bar.console.print(f"Going on after {finished} finished clips.", highlight=False)
        clips = clips_with_features(decoded, backbone, clip_list, position)
        for number, (clip, position) in enumerate(clips, start=1):
            if isinstance(clip, UnreadableClip):
                if strict:
                    _refuse((clip,))
                bar.console.print(
                    f"Unreadable: {clip.path}: {clip.reason}", markup=False, highlight=False
                )
            writer.do(shards.write, clip, position=position)
            note = f"{number / (time.monotonic() - start):.1f} clips/s"
            bar.update(task, completed=finished + number, note=note)


def clips_with_features(
    events: Iterable[np.ndarray | ClipEnd],
    backbone: Backbone,
    clip_list: ClipList,
    position: int = 0,
) -> Generator[tuple[ClipFeatures | UnreadableClip, int]]:
    """Runs frames through the backbone in full batches and puts the clips together again.

    Args:
        events: from `decode_ahead`.
        backbone: what computes.
        clip_list: where the clips are from.
        position: number of frames that went before, in an earlier run.

    Yields:
        each clip, and the number of frames up to its end.
    """
    size = backbone.batch_size
    batch = np.zeros((size, backbone.spec.image_size, backbone.spec.image_size, 3), np.uint8)
    # The batch that the earlier run was in the middle of: its frames' places stay empty.
    num_blank = num_held = position % size
    features: deque[np.ndarray] = deque()  # computed, not yet given to a clip
    ends: deque[ClipEnd] = deque()  # of clips that are decoded, not yet given out

    def compute() -> None:
        nonlocal num_blank, num_held
        if num_held > num_blank:
            features.extend(backbone.features_of_resized(batch[:num_held])[num_blank:])
            num_blank = num_held = 0

    def finished() -> Iterator[tuple[ClipFeatures | UnreadableClip, int]]:
        nonlocal position
        while ends and len(features) >= ends[0].num_frames:
            end = ends.popleft()
            position += end.num_frames
            of_clip = [features.popleft() for _ in range(end.num_frames)]
            yield _clip_of_end(end, of_clip, clip_list), position

    for event in events:
        if isinstance(event, ClipEnd):
            ends.append(event)
        else:
            batch[num_held] = event
            num_held += 1
        if num_held == size:
            compute()
        yield from finished()
    compute()
    yield from finished()


def _clip_of_end(
    end: ClipEnd, features: list[np.ndarray], clip_list: ClipList
) -> ClipFeatures | UnreadableClip:
    if end.unreadable_because is not None:
        return UnreadableClip(end.clip.id, end.unreadable_because)
    return ClipFeatures(
        id=end.clip.id,
        split=end.clip.split,
        label=clip_list.label_of(end.clip),
        group=end.clip.group,
        frame_rate_hz=end.frame_rate_hz,
        features=np.stack(features),
    )


def _checksum(order: list[Clip]) -> str:
    text = "\n".join(repr(dataclasses.astuple(clip)) for clip in order)
    return hashlib.sha256(text.encode()).hexdigest()


def _spec_in_job(backbone: Backbone) -> dict[str, Any]:
    """What of a backbone decides the features; where its weights lie does not."""
    values = {f"backbone {name}": v for name, v in dataclasses.asdict(backbone.spec).items()}
    if backbone.spec.weights_sha256 is not None:
        del values["backbone weights"]
    return values | {"batch size": backbone.batch_size}


def _refuse(unreadable: Iterable[UnreadableClip]) -> None:
    for clip in unreadable:
        raise ValueError(
            f"Every clip must be readable with --strict. Received: {clip.path}: {clip.reason}"
        )


def check_enough_is_left(clip_list: ClipList, unreadable: tuple[UnreadableClip, ...]) -> None:
    lost = {clip.path for clip in unreadable}
    kept = [clip for clip in clip_list.clips if clip.id not in lost]
    first_reason = f" The first: {unreadable[0].path}: {unreadable[0].reason}" if unreadable else ""
    kept_of_split = Counter(clip.split for clip in kept)
    for split in SPLITS:
        num_listed = len(clip_list.clips_of_split(split))
        if num_listed and not kept_of_split[split]:
            raise ValueError(
                f"Each split must keep at least one clip. All {num_listed} of {split} are "
                f"unreadable.{first_reason}"
            )
    kept_in_training = Counter(clip.label for clip in kept if clip.split == "train")
    listed_in_training = Counter(clip.label for clip in clip_list.clips_of_split("train"))
    for label, num_listed in sorted(listed_in_training.items()):
        if not kept_in_training[label]:
            raise ValueError(
                f"Each class must keep at least one clip for training. All {num_listed} of "
                f"{label} are unreadable.{first_reason}"
            )
