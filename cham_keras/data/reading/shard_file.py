"""The shards of a split as files that can be read.

Comes in: a folder of shards with its manifest. Goes out: the shards, checked to be
there and of the size that the manifest says, and copied where the caller wants that.
`shard_index`, `shard_reader` and `frame_reader` read them. Of a view's shards only some
records belong to the split.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import tensorflow as tf

from cham_keras.data.shards.manifest import Manifest, ShardInfo
from cham_keras.data.shards.view import folder_of_shards, name_of_shard, problem_of_records
from cham_keras.files import replacing_file
from cham_keras.paths import AnyPath


@dataclass(frozen=True)
class ShardFile:
    """One shard.

    Attributes:
        path: the file; a path, or a URL that `tf.io.gfile` knows.
        num_records: how many records it holds.
        num_bytes: its size.
        content: the file's bytes where they are kept in memory, else None.
        records: numbers of the records that belong to the split, ascending; None for all.
    """

    path: str
    num_records: int
    num_bytes: int
    content: bytes | None = field(default=None, repr=False)
    records: tuple[int, ...] | None = field(default=None, repr=False)

    @property
    def record_numbers(self) -> Sequence[int]:
        """Numbers of the records that belong to the split, ascending."""
        return range(self.num_records) if self.records is None else self.records

    @property
    def has_random_access(self) -> bool:
        """Whether any place of it can be read without reading what stands before."""
        return self.content is not None or not is_url(self.path)

    @contextmanager
    def opened(self, buffer_size: int = 0) -> Iterator[BinaryIO]:
        """Opens a shard with random access.

        Args:
            buffer_size: bytes that are read ahead; 0 reads only what is asked for.

        Yields:
            the file, with `seek`, `read` and `readinto`.
        """
        if self.content is not None:
            yield io.BytesIO(self.content)  # shares the bytes
        else:
            with Path(self.path).open("rb", buffering=buffer_size) as file:
                yield file


def is_url(folder: AnyPath | str) -> bool:
    """Whether a folder lies on a store behind `tf.io.gfile`, such as gs://bucket/shards.

    Example:
    >>> is_url("gs://bucket/shards"), is_url(Path("runs") / "shards")
    (True, False)
    """
    return "://" in str(folder)


def shard_files(
    folder: AnyPath | str, manifest: Manifest, split: str, cache: bool | Path = False
) -> list[ShardFile]:
    """The shards of a split, in the order in which they were written.

    Args:
        folder: the folder of shards.
        manifest: its manifest.
        split: name of the split.
        cache: True reads all of them into memory now. A path copies them now to local
            files whose names begin with it and hold the shards' checksums; copies that
            are there already are taken.

    Raises:
        FileNotFoundError: a shard is missing, or those of a view are not where they were.
        ValueError: there is no such split, a shard has another size than the manifest
            says, or those of a view are not the ones that it was made of.
    """
    shards = []
    infos = manifest.split(split).shards
    place = folder_of_shards(folder, manifest)
    for info in infos:
        path = str(place / name_of_shard(info))
        if (problem := problem_of_records(info)) is not None:
            raise ValueError(f"Shard {path} {problem} Run `cham resplit` again.")
        _check_size(path, info)
        content = None
        if cache is True:
            with tf.io.gfile.GFile(path, "rb") as file:
                content = file.read()
        elif cache is not False:
            path = _local_copy(path, info, Path(cache))
        shards.append(ShardFile(path, info.clips, info.bytes, content, info.records))
    return shards


def record_error(shard: str, number: int, found: str, rule: str) -> ValueError:
    """The error for a record that cannot be used: which one, what it holds, and the rule.

    `shard_reader.shard_errors_named` finds this sentence in TensorFlow's text.

    Example:
    >>> print(record_error("a.tfrecord", 3, "holds 0 frames", "there must be at least 1"))
    Shard a.tfrecord, record 3, holds 0 frames: there must be at least 1.
    Run `cham verify` on its folder.
    """
    return ValueError(
        f"Shard {shard}, record {number}, {found}: {rule}. Run `cham verify` on its folder."
    )


def _check_size(path: str, info: ShardInfo) -> None:
    if not tf.io.gfile.exists(path):
        raise FileNotFoundError(f"There is no shard {path}, which the manifest names.")
    num_bytes = tf.io.gfile.stat(path).length
    if num_bytes != info.bytes:
        raise ValueError(
            f"Shard {path} must have the {info.bytes} bytes that the manifest says. "
            f"Received: {num_bytes} bytes. Run `cham extract` again."
        )


def _local_copy(path: str, info: ShardInfo, cache: Path) -> str:
    # The checksum in the name: shards of another extraction never meet an old copy.
    copy = cache.with_name(f"{cache.name}-{info.sha256[:16]}-{name_of_shard(info)}")
    if not copy.is_file() or copy.stat().st_size != info.bytes:
        with replacing_file(copy) as temporary:
            tf.io.gfile.copy(path, str(temporary), overwrite=True)
    return str(copy)
