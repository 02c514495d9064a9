"""`cham trajectories`: clips in, the results of the trajectory-based method out."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.baselines.trajectories.settings import TrajectorySettings
from cham_keras.cli.locations import Location
from cham_keras.progress import stdout


def trajectories(
    clips: Location,
    *,
    out: Path,
    split: str = "test",
    add_validation: Annotated[bool, Parameter(negative="")] = False,
    skip_unreadable: Annotated[bool, Parameter(negative="")] = False,
    descriptors: Path | None = None,
    settings: Annotated[TrajectorySettings, Parameter(name="*")] = TrajectorySettings(),  # noqa: B008
) -> None:
    """Fit and evaluate the trajectory-based method on clips.

    Points are followed through the videos, their motion is taken relative to reference
    points, and a support vector machine tells histograms of it apart. Writes
    evaluation/SPLIT.json, .csv, .md and pictures into OUT, as a run has them. Whatever
    interrupts it, the same command goes on where it was. Needs
    `pip install 'cham-keras[classic]'`.

    Examples:

        cham trajectories my_clips --out runs/trajectories
        cham trajectories my_clips --out runs/trajectories --num-words 1000
        cham --settings trajectories/settings.toml trajectories my_clips --out again

    Parameters
    ----------
    clips
        `clips.json` that `cham prepare` wrote, or the folder that holds it; a path or a URL.
    out
        The folder to write: new, or of an earlier call.
    split
        What is evaluated.
    add_validation
        Also fit on the clips of the split validation.
    skip_unreadable
        Leave clips out that cannot be read or are too short, instead of refusing them.
    descriptors
        Folder of the clips' descriptors, OUT/descriptors by default. Calls with other splits of
        the same clips may share one, so that each clip's points are followed once.
    """
    from cham_keras.baselines.trajectories import trajectory_baseline
    from cham_keras.data import read_clip_list

    results = trajectory_baseline(
        read_clip_list(clips),
        out,
        settings,
        split=split,
        add_validation=add_validation,
        skip_unreadable=skip_unreadable,
        descriptors=descriptors,
    )
    stdout.print(Markdown(results.to_markdown()))
    stdout.print(escape(f"Written to {out / 'evaluation'}."), soft_wrap=True)
