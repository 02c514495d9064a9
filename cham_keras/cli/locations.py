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
