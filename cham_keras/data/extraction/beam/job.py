"""What an extraction by many workers is to do, and the folder it is done in.

`extraction` makes a job and begins it, `pipeline` carries it to the workers.
"""

import dataclasses
import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cham_keras.data.backbones.backbone_spec import BackboneSpec
from cham_keras.data.clip_list import ClipList, write_clip_list
from cham_keras.data.extraction.beam.work_folder import WorkFolder
from cham_keras.data.extraction.extraction import extraction_order
from cham_keras.files import read_json, write_json


@dataclass(frozen=True)
class PipelineJob:
    """What all workers must know.

    Attributes:
        folder: where they meet.
        num_clips: number of clips in the list.
        backbone: what computes the features.
        frame_stride: as `extraction.extract` takes it, like what follows.
        max_frames: see there.
        feature_dtype: see there.
        shard_bytes: see there.
        clips_per_shard: see there.
        seed: see there.
        strict: see there.
    """

    folder: WorkFolder
    num_clips: int
    backbone: BackboneSpec
    frame_stride: int
    max_frames: int | None
    feature_dtype: str
    shard_bytes: int
    clips_per_shard: int | None
    seed: int
    strict: bool

    @contextmanager
    def begun(self, clip_list: ClipList, overwrite: bool) -> Iterator[None]:
        """Makes the folder, or takes up what an earlier run left; no one else may, meanwhile.

        Args:
            clip_list: the clips.
            overwrite: whether what another command left is thrown away.

        Raises:
            BlockingIOError: another program works in the folder.
            ValueError: another command began it, and `overwrite` is false.
        """
        path = self.folder.path
        path.mkdir(parents=True, exist_ok=True)
        with (path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BlockingIOError(
                    f"Only one program at a time may work in {path}. Another one does so now."
                ) from None
            decides = self._what_decides_records(clip_list)
            begun = read_json(self.folder.job) if self.folder.job.is_file() else decides
            if begun != decides:
                if not overwrite:
                    names = [name for name in decides if begun.get(name) != decides[name]]
                    raise ValueError(
                        f"{path} holds what another command began: {', '.join(names)} differ(s). "
                        "Run that command again to finish it, remove the folder, or pass "
                        "--overwrite."
                    )
                self.folder.forget_clips()
            self.folder.forget_outcome()
            write_json(self.folder.job, decides)
            write_clip_list(clip_list, self.folder.clip_list)
            yield

    def _what_decides_records(self, clip_list: ClipList) -> dict[str, Any]:
        order = [dataclasses.astuple(clip) for clip in extraction_order(clip_list, self.seed)]
        backbone = dataclasses.asdict(self.backbone)
        if self.backbone.weights_sha256 is not None:
            del backbone["weights"]  # where the file lies decides nothing
        decides = {
            "clips": hashlib.sha256(repr(order).encode()).hexdigest(),
            "classes": clip_list.classes,
            "backbone": backbone,
            "frame_stride": self.frame_stride,
            "max_frames": self.max_frames,
            "dtype": self.feature_dtype,
        }
        return json.loads(json.dumps(decides))  # as it is read again: tuples are lists
