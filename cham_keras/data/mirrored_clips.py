"""Mirrored clips: what `cham extract --mirrored` stores beside a training clip.

A feature map that is flipped left to right is not the map of the flipped frame, since a network's
kernels are not symmetric. So mirrored frames go through the network themselves, and what comes
out is a clip of its own, of the same class, group and split.
"""

import dataclasses

from cham_keras.data.clip_list import Clip

_MARK = "mirrored"


def mirrored_id(clip_id: str) -> str:
    """The id of a clip's mirrored twin.

    Example:
    >>> mirrored_id("run/1.mp4"), mirrored_id("run/1.mp4#t=2,4.5")
    ('run/1.mp4#mirrored', 'run/1.mp4#t=2,4.5,mirrored')
    """
    return f"{clip_id}{',' if '#t=' in clip_id else '#'}{_MARK}"


def id_of_twin(clip_id: str) -> tuple[str, bool]:
    """The id of the clip whose frames an id stands for, and whether it stands for mirrored ones.

    Example:
    >>> id_of_twin("run/1.mp4#t=2,4.5,mirrored"), id_of_twin("run/1.mp4")
    (('run/1.mp4#t=2,4.5', True), ('run/1.mp4', False))
    """
    for ending in (f"#{_MARK}", f",{_MARK}"):
        if clip_id.endswith(ending):
            return clip_id.removesuffix(ending), True
    return clip_id, False


@dataclasses.dataclass(frozen=True)
class MirroredClip(Clip):
    """The mirrored twin of a clip: the same file, each frame flipped left to right."""

    @property
    def id(self) -> str:
        """The twin's own id."""
        return mirrored_id(super().id)


def mirrored_twin(clip: Clip) -> MirroredClip:
    """The mirrored twin of a clip.

    Example:
    >>> mirrored_twin(Clip("run/1.mp4", "run", "train", "a")).id
    'run/1.mp4#mirrored'
    """
    return MirroredClip(**dataclasses.asdict(clip))
