"""Which clip goes into which shard, told from the sizes of the records.

Comes in: an entry for each finished clip. Goes out: what each shard is to hold, cut where
`ShardFolder` would close it. `pipeline` plans the shards, `extraction` counts what is in them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cham_keras.data.clip_list import SPLITS
from cham_keras.data.shards import shard_schema as schema
from cham_keras.data.shards.manifest import ShardInfo, SplitInfo

#: What is known of a finished clip: `position` in the extraction's order, then either
#: `unreadable` (its id) and `reason`, or `clip` (its id), `split`, `label`, `frames`, `bytes`
#: (of the record with its frame), `largest_error`, `squared_error`, `squared_norm`, `file`.
Entry = dict[str, Any]


@dataclass(frozen=True)
class PlannedShard:
    """What a shard is to hold.

    Attributes:
        file: name of the shard's file.
        clip_files: names of the files with its clips' records, in order.
        num_bytes: size of the shard.
    """

    file: str
    clip_files: tuple[str, ...]
    num_bytes: int


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order of the extraction; runners give them in any."""
    return sorted(entries, key=lambda entry: entry["position"])


def plan_shards(
    entries: Iterable[Entry], shard_bytes: int, clips_per_shard: int | None
) -> dict[str, list[PlannedShard]]:
    """Cuts the clips of each split into shards.

    Args:
        entries: of all clips, in any order.
        shard_bytes: a shard is closed as soon as it has this size.
        clips_per_shard: and as soon as it has this number of clips; None for any.

    Returns:
        the shards of each split that has clips.

    Example:
    >>> entries = [
    ...     {"position": n, "clip": f"{n}", "split": "train", "bytes": 10, "file": f"{n}.tfrecord"}
    ...     for n in (2, 0, 1)
    ... ]
    >>> for shard in plan_shards(entries, 20, None)["train"]:
    ...     print(shard.file, shard.clip_files, shard.num_bytes)
    train-00000-of-00002.tfrecord ('0.tfrecord', '1.tfrecord') 20
    train-00001-of-00002.tfrecord ('2.tfrecord',) 10
    """
    cut: dict[str, list[list[Entry]]] = {split: [] for split in SPLITS}
    num_bytes = dict.fromkeys(SPLITS, 0)  # of the last shard of each split
    for entry in in_order(entries):
        if "clip" not in entry:
            continue
        split = entry["split"]
        shards = cut[split]
        if not shards or num_bytes[split] >= shard_bytes or len(shards[-1]) == clips_per_shard:
            shards.append([])
            num_bytes[split] = 0
        shards[-1].append(entry)
        num_bytes[split] += entry["bytes"]
    return {
        split: [
            PlannedShard(
                schema.shard_file_name(split, index, len(shards)),
                tuple(e["file"] for e in clips),
                sum(e["bytes"] for e in clips),
            )
            for index, clips in enumerate(shards)
        ]
        for split, shards in cut.items()
        if shards
    }


def splits_of(
    entries: Iterable[Entry],
    planned: Mapping[str, Sequence[PlannedShard]],
    sha256_of_file: Mapping[str, str],
    classes: Sequence[str],
) -> dict[str, SplitInfo]:
    """What the manifest says of the splits.

    Args:
        entries: of all clips.
        planned: the shards of each split.
        sha256_of_file: checksum of each shard that was written.
        classes: names of the classes.

    Raises:
        ValueError: a shard was planned and not written.
    """
    missing = [s.file for of in planned.values() for s in of if s.file not in sha256_of_file]
    if missing:
        raise ValueError(f"All planned shards must be written. Missing: {', '.join(missing)}.")
    found = {}
    for split, shards in planned.items():
        clips = [entry for entry in entries if entry.get("split") == split]
        of_class = Counter(classes[entry["label"]] for entry in clips)
        found[split] = SplitInfo(
            clips=len(clips),
            frames=sum(entry["frames"] for entry in clips),
            clips_per_class={name: of_class[name] for name in classes},
            shards=tuple(
                ShardInfo(s.file, len(s.clip_files), s.num_bytes, sha256_of_file[s.file])
                for s in shards
            ),
        )
    return found
