"""How the command line takes what may be a path or a URL such as gs://bucket/folder.

`pathlib.Path` takes a slash out of a URL before anyone can see it. So the verbs that work on
remote storage have options of the type `Location`, and those that might be given a URL and
work on local paths only, `LocalPath`, which refuses it in one sentence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

from cham_keras.paths import AnyPath, as_path, local_path


def _location(type_: object, tokens: Sequence[Token]) -> AnyPath:
    return as_path(tokens[0].value)


def _local(type_: object, tokens: Sequence[Token]) -> Path:
    return local_path(tokens[0].value, f"`{tokens[0].keyword or 'ROOT'}`")


Location = Annotated[AnyPath, Parameter(converter=_location, n_tokens=1, accepts_keys=False)]
LocalPath = Annotated[Path, Parameter(converter=_local)]


def short_names(folders: Sequence[Path]) -> list[str]:
    """What tells folders apart: their paths without the parts that all begin or end with.

    Raises:
        ValueError: one folder stands there twice.

    Example:
    >>> short_names([Path("runs/cham/seed-0"), Path("runs/conv_attention/seed-0")])
    ['cham', 'conv_attention']
    >>> short_names([Path("runs/cham")])
    ['cham']
    """
    names = [folder.name for folder in folders]
    if len(set(names)) == len(names):
        return names
    parts = [folder.absolute().parts for folder in folders]
    for place, of in enumerate(parts):
        if of in parts[:place]:
            raise ValueError(f"Each folder must be given once. Received: {folders[place]} twice.")
    shortest = min(map(len, parts))
    same = [len({of[place] for of in parts}) == 1 for place in range(shortest)]
    same_at_end = [len({of[-1 - place] for of in parts}) == 1 for place in range(shortest)]
    begin = next((place for place, is_same in enumerate(same) if not is_same), 0)
    end = next((place for place, is_same in enumerate(same_at_end) if not is_same), 0)
    return ["/".join(of[begin : len(of) - end]) for of in parts]
