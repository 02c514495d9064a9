"""The verb `verify`: checks a folder of shards."""

from typing import Annotated

from cyclopts import Parameter

from cham_keras.cli.locations import Location


def verify(shards: Location, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Check that shards are whole and hold what their manifest says.

    Reads every byte. Prints each problem with the shard and the record where it
    lies. Exit code: 0 where there is none, 1 where there are some, 2 where nothing
    can be verified, since the manifest is missing or cannot be read.

    Example: `cham verify shards/my_videos`

    Example: `cham verify gs://my_bucket/shards --json > report.json`

    Parameters
    ----------
    shards
        Folder that `cham extract` wrote; a path or a URL.
    json
        Print a report as JSON instead: `ok`, `shards`, `clips`, `frames`, `bytes`,
        `problems` (file, record from 0 or null, what) and `not_checked`.
    """
    import dataclasses
    from json import dumps

    from cham_keras.data.shards.verify import verification_of_shards
    from cham_keras.progress import stdout

    found = verification_of_shards(shards)
    if json:
        report = {"folder": str(shards), "ok": not found.problems, **dataclasses.asdict(found)}
        print(dumps(report, indent=2, ensure_ascii=False))
        return 1 if found.problems else 0
    for problem in found.problems:
        stdout.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    for what in found.not_checked:
        stdout.print(f"Not checked: {what}", markup=False, highlight=False, soft_wrap=True)
    if found.problems:
        stdout.print(
            f"{len(found.problems)} problem(s). `cham extract` makes the shards anew, "
            "`cham resplit` a view of them.",
            highlight=False,
        )
        return 1
    stdout.print(
        f"No problems: {found.clips} clips in {found.shards} shard(s).",
        highlight=False,
    )
    return 0
