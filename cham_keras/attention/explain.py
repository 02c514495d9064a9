"""Pictures and films of where the models of runs look, for chosen clips or videos.

Comes in: a `Run` or several, and shards, a video or a folder of videos. Goes out: a PNG and an
MP4 a clip; of several runs, both show them side by side. `cham explain` calls it.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cham_keras.attention.attention_reader import AttentionReader
from cham_keras.attention.clip_attention import ClipAttention
from cham_keras.attention.clip_choice import spread_over_classes, with_a_video
from cham_keras.attention.comparison_video import write_comparison_video
from cham_keras.attention.pictures import write_attention_picture, write_comparison_picture
from cham_keras.attention.video import DEFAULT_FRAME_RATE_HZ, write_attention_video
from cham_keras.data import clips_in_split, read_manifest
from cham_keras.data.clip_list import place_of_id
from cham_keras.data.frames import clips_in_folder, require_frame_rate
from cham_keras.paths import AnyPath, as_path
from cham_keras.progress import track
from cham_keras.runs import Run
from cham_keras.runs.run_folder import require_same_features

ATTENTION_FOLDER = "attention"

#: One run, or several by the names that they shall have in pictures.
Runs = Run | Mapping[str, Run]


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What was written for a clip.

    Attributes:
        name: the clip's path in the shards, or below the folder, or the video's file name.
        true_class: the clip's class; None where it is not known.
        predictions: by run, the class that the clip is taken for, and its probability, the
            mean over the steps. One run has the name "".
        picture: the PNG.
        video: the MP4.
    """

    name: str
    true_class: str | None
    predictions: Mapping[str, tuple[str, float]]
    picture: Path
    video: Path

    @property
    def predicted_class(self) -> str:
        """The class that the first run takes the clip for."""
        return next(iter(self.predictions.values()))[0]

    @property
    def probability(self) -> float:
        """Of that class, the mean over the steps."""
        return next(iter(self.predictions.values()))[1]


def explain_split(
    run: Runs,
    shards: AnyPath | str,
    split: str = "test",
    num_clips: int = 4,
    out: Path | str | None = None,
    *,
    clips_root: Path | str | None = None,
    weights: Path | None = None,
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
    layers: bool = False,
) -> list[Explanation]:
    """Explains clips of a split, spread over its classes; always the same ones.

    The mirrored twins that `cham extract --mirrored` stored are passed over: they have no
    video of their own.

    Args:
        run: a finished run, or several by name, which are shown side by side.
        shards: shards with the runs' features and classes.
        split: name of the split.
        num_clips: how many clips.
        out: folder to write into; `attention` in the (first) run's folder by default. Pictures
            of the same clips that lie there are replaced.
        clips_root: the folder of the videos; where they lay at extraction by default.
        weights: where the backbone's weights file lies now, if it was moved.
        frame_rate_hz: steps that the films show in a second.
        layers: whether the picture also shows where the energy of each recurrent layer's state
            lies; with one run only.

    Returns:
        what was written, a clip each.

    Raises:
        FileNotFoundError: a video is not where it was.
        ValueError: the shards hold other features, no such split or fewer clips, or
            a model has no attention.
    """
    manifest = read_manifest(shards)
    for each in _named(run).values():
        require_same_features(each, manifest, as_path(shards))
    clips = spread_over_classes(with_a_video(clips_in_split(shards, split)), num_clips)
    root = Path(manifest.clips_root if clips_root is None else clips_root)
    for clip in clips:  # before anything is loaded or drawn
        path = root / place_of_id(clip.id)[0]
        if not path.exists():
            raise FileNotFoundError(
                f"There is no video {path}. The clips must lie where they were "
                "extracted from, or in the folder that --clips-root names."
            )
    explainer = _Explainer(run, out, weights, frame_rate_hz, layers)
    places = explainer.places([clip.id for clip in clips])
    return [
        explainer.write(explainer.read(root, name, clip.label), base)
        for clip, (name, base) in track(list(zip(clips, places, strict=True)), "drawing attention")
    ]


def explain_video(
    run: Runs,
    video: Path | str,
    out: Path | str | None = None,
    *,
    weights: Path | None = None,
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
    layers: bool = False,
) -> Explanation:
    """Explains a video of one's own.

    Args:
        run: a finished run, or several by name, which are shown side by side.
        video: a video file, a Norpix sequence or a folder of numbered images.
        out: folder to write into; `attention` in the (first) run's folder by default.
        weights: where the backbone's weights file lies now, if it was moved.
        frame_rate_hz: steps that the film shows in a second.
        layers: as for `explain_split`.

    Returns:
        what was written.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read to its end, or a model has no attention.
    """
    explainer = _Explainer(run, out, weights, frame_rate_hz, layers)
    video = Path(video)
    [(name, base)] = explainer.places([video.name])
    return explainer.write(explainer.read(video.parent, name), base)


def explain_folder(
    run: Runs,
    folder: Path | str,
    out: Path | str | None = None,
    *,
    weights: Path | None = None,
    frame_rate_hz: float = DEFAULT_FRAME_RATE_HZ,
    layers: bool = False,
) -> list[Explanation]:
    """Explains every video in a folder and in those below it.

    Args:
        run: a finished run, or several by name, which are shown side by side.
        folder: where the videos lie.
        out: folder to write into; `attention` in the (first) run's folder by default.
        weights: where the backbone's weights file lies now, if it was moved.
        frame_rate_hz: steps that the films show in a second.
        layers: as for `explain_split`.

    Returns:
        what was written, a video each, in the order of their paths.

    Raises:
        FileNotFoundError: there is no such folder, or no video in it.
        ValueError: a model has no attention, or a file cannot be read to its end; the pictures
            of the others are there then.
    """
    folder = Path(folder)
    # What an earlier call wrote beside the videos is none of them.
    names = [
        path.relative_to(folder).as_posix()
        for path in clips_in_folder(folder)
        if not (path.stem.endswith(_WRITTEN) and path.with_suffix(".png").is_file())
    ]
    if not names:
        raise FileNotFoundError(f"There is no video in {folder}.")
    explainer = _Explainer(run, out, weights, frame_rate_hz, layers)
    explained, broken = [], []
    for name, base in track(explainer.places(names), "drawing attention"):
        try:
            looks = explainer.read(folder, name)
        except (OSError, ValueError) as error:
            broken.append(f"{name}: {error}")
        else:
            explained.append(explainer.write(looks, base))
    if broken:
        raise ValueError(
            f"Each file must be a video that can be read. Received: {len(broken)} of {len(names)} "
            f"that are none: {' '.join(broken[:_MOST_NAMED])} Mend them or take them out. The "
            f"pictures of the {len(explained)} others lie in {explainer.folder}."
        )
    return explained


#: How the names of pictures and films end, so that they are never those of a video.
_WRITTEN = ("-attention", "-comparison")

# File systems take 255 bytes, of which endings and temporary names need some.
_MOST_BYTES_OF_A_NAME = 200
_KEPT_AT_EACH_END = 24

# So many files that cannot be read are told with their reasons.
_MOST_NAMED = 5


class _Explainer:
    """The readers of the runs, and where and how their attention is drawn."""

    def __init__(
        self,
        run: Runs,
        out: Path | str | None,
        weights: Path | None,
        frame_rate_hz: float,
        layers: bool,
    ) -> None:
        require_frame_rate(frame_rate_hz)
        runs = _named(run)
        first = next(iter(runs.values()))
        if len(runs) > 1 and layers:
            raise ValueError(
                f"`layers` must be left out for several runs. Received: {', '.join(runs)}."
            )
        for name, other in runs.items():
            if other.manifest.classes != first.manifest.classes:
                raise ValueError(
                    f"All runs must know the same classes. Received: "
                    f"{', '.join(first.manifest.classes)}, and "
                    f"{', '.join(other.manifest.classes)} of {name}."
                )
        self.folder = first.folder / ATTENTION_FOLDER if out is None else Path(out)
        self.frame_rate_hz = frame_rate_hz
        self.readers = {
            name: AttentionReader(each, weights, layers=layers) for name, each in runs.items()
        }

    def places(self, names: Sequence[str]) -> list[tuple[str, Path]]:
        """Each clip's name, and the path without an ending that its files get."""
        return list(zip(names, _paths(self.folder, names), strict=True))

    def read(self, root: Path, name: str, label: int | None = None) -> dict[str, ClipAttention]:
        """What each run does with a clip; the label is that of a known class."""
        path, start, end = place_of_id(name)
        return {
            run: reader.read(
                root / path, label=label, name=name, start_seconds=start, end_seconds=end
            )
            for run, reader in self.readers.items()
        }

    def write(self, looks: dict[str, ClipAttention], base: Path) -> Explanation:
        """Draws a clip as a picture and a film."""
        ending = _WRITTEN[len(looks) > 1]
        # Never the name of the clip itself, which may lie in the same folder.
        picture, video = (base.with_name(f"{base.name}{ending}{end}") for end in (".png", ".mp4"))
        first = next(iter(looks.values()))
        if len(looks) > 1:
            write_comparison_picture(looks, picture)
            write_comparison_video(looks, video, self.frame_rate_hz)
        else:
            write_attention_picture(first, picture)
            write_attention_video(first, video, self.frame_rate_hz)
        return Explanation(
            name=first.name,
            true_class=None if first.label is None else first.classes[first.label],
            predictions={
                run: (look.classes[look.predicted], float(look.clip_probabilities[look.predicted]))
                for run, look in looks.items()
            },
            picture=picture,
            video=video,
        )


def _named(run: Runs) -> Mapping[str, Run]:
    if isinstance(run, Run):
        return {"": run}
    if not run:
        raise ValueError("`run` must hold at least one run. Received: none.")
    return run


def _paths(folder: Path, names: Sequence[str]) -> list[Path]:
    """A path without suffix for each clip, all different and all in `folder` itself."""
    paths: list[Path] = []
    for clip_name in names:
        path, start, end = place_of_id(clip_name)
        parts = [part for part in Path(path).with_suffix("").parts if part != ".."]
        if start is not None:
            parts.append(f"{start:g}s" if end is None else f"{start:g}-{end:g}s")
        whole = name = _shortened("-".join(parts))
        number = 2
        while folder / name in paths:
            name = f"{whole}-{number}"
            number += 1
        paths.append(folder / name)
    return paths


def _shortened(name: str) -> str:
    """A name that file systems take, whatever its characters and what is put behind it."""
    if len(os.fsencode(name)) <= _MOST_BYTES_OF_A_NAME:
        return name
    return f"{name[:_KEPT_AT_EACH_END]}…{name[-_KEPT_AT_EACH_END:]}"
