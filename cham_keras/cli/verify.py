"""The verb `verify`: checks a folder of shards."""

from pathlib import Path


def verify(shards: Path, /) -> int:
    """Check that shards are whole and hold what their manifest says.

    Reads every byte. Prints each problem with the shard and the record where it
    lies; the exit code is 1 where there is one, else 0.

    Example: `cham verify shards/my_videos`

    Parameters
    ----------
    shards
        Folder that `cham extract` wrote.
    """
    from cham_keras.data.manifest import read_manifest
    from cham_keras.data.verify import verify_shards
    from cham_keras.progress import stdout

    problems = verify_shards(shards)
    for problem in problems:
        stdout.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    if problems:
        stdout.print(f"{len(problems)} problem(s). `cham extract` makes the shards anew.")
        return 1
    splits = read_manifest(shards).splits.values()
    clips, files = sum(split.clips for split in splits), sum(len(split.shards) for split in splits)
    stdout.print(f"No problems: {clips} clips in {files} shard(s).", highlight=False)
    return 0
