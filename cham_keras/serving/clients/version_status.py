"""What a client tells of a version that a server knows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionStatus:
    """A version of a model on a server.

    Attributes:
        version: its number.
        state: `AVAILABLE` where it is served, else `START`, `LOADING`, `UNLOADING` or `END`.
        error: why it could not be loaded; empty where nothing is wrong.
    """

    version: int
    state: str
    error: str
