"""Reads shards through tf.data service: workers read and decode, this program gets batches.

    python scripts/read_with_service.py SHARDS --split train

Starts a dispatcher and two workers in this process, which talk over the loopback address;
the workers share the shards out among themselves, and it is checked that each clip is seen
exactly once. To read from several machines, run a dispatcher and workers there
(`tf.data.experimental.service.DispatchServer` and `WorkerServer`) that all see the folder of
shards under the same path, and name the dispatcher:

    python scripts/read_with_service.py /data/shards --dispatcher grpc://10.0.0.1:5050

What travels to the workers is the data set's graph. Random access to frames is Python and
does not travel, so `reading="sequential"` is chosen: TensorFlow's own operations only.
"""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Any

import tensorflow as tf

from cham_keras.data import clip_windows, clips_in_split, shard_errors_named

NUM_WORKERS = 2


def served(dataset: tf.data.Dataset, dispatcher: str) -> tf.data.Dataset:
    """The same batches by way of the workers, in any order.

    Args:
        dataset: reads sequentially, without shuffling and without random frames, so that
            the shards are its only source.
        dispatcher: address of the dispatcher, as grpc://host:port.
    """
    # DYNAMIC hands shard after shard to whichever worker is free, and each shard once.
    return dataset.apply(
        tf.data.experimental.service.distribute(
            processing_mode=tf.data.experimental.service.ShardingPolicy.DYNAMIC,
            service=dispatcher,
        )
    )


def start_service(num_workers: int = NUM_WORKERS) -> tuple[str, list[Any]]:
    """Starts a dispatcher and workers on free ports.

    Returns:
        the dispatcher's address, and the servers, which run as long as they are kept.
    """
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    config = service.WorkerConfig(dispatcher_address=dispatcher.target.split("://")[1])
    workers = [service.WorkerServer(config) for _ in range(num_workers)]
    return dispatcher.target, [*workers, dispatcher]


def count_clips(
    shards: Path | str, split: str, num_frames: int, batch_size: int, dispatcher: str
) -> tuple[Counter[str], int]:
    """Reads every frame of a split once, by way of the workers.

    Returns:
        how many frames of each clip were seen, by the clip's id, and the number of batches.
    """
    windows = clip_windows(shards, split, num_frames, batch_size, reading="sequential")
    ids = [clip.id for clip in clips_in_split(shards, split)]
    frames_seen: Counter[str] = Counter()
    num_batches = 0
    with shard_errors_named():
        for inputs, _targets, clip_index in served(windows, dispatcher):
            num_batches += 1
            for clip, length in zip(clip_index.numpy(), inputs["lengths"].numpy(), strict=True):
                frames_seen[ids[clip]] += int(length)
    return frames_seen, num_batches


def problems(shards: Path | str, split: str, frames_seen: Counter[str]) -> list[str]:
    """Clips that were not seen exactly once, a sentence for each."""
    return [
        f"{clip.id} has {clip.num_frames} frames, and {frames_seen[clip.id]} were seen."
        for clip in clips_in_split(shards, split)
        if frames_seen[clip.id] != clip.num_frames
    ]


def main() -> None:
    """Reads a split and says whether each clip was seen once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("shards", help="a folder that `cham extract` has written")
    parser.add_argument("--split", default="train")
    parser.add_argument("--num-frames", type=int, default=30, help="frames of a window")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--dispatcher", help="a running one, as grpc://host:port")
    options = parser.parse_args()
    dispatcher, _servers = options.dispatcher, []
    if dispatcher is None:
        dispatcher, _servers = start_service()
    start = time.monotonic()
    frames_seen, num_batches = count_clips(
        options.shards, options.split, options.num_frames, options.batch_size, dispatcher
    )
    seconds = time.monotonic() - start
    found = problems(options.shards, options.split, frames_seen)
    print(
        f"{len(frames_seen)} clips, {frames_seen.total()} frames in {num_batches} batches, "
        f"{seconds:.1f} s, from {dispatcher}"
    )
    if found:
        raise SystemExit("\n".join(found))
    print("Each clip was seen exactly once.")


if __name__ == "__main__":
    main()
