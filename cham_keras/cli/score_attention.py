"""`cham score-attention`: runs and clips in, scores of where the models look out."""

from pathlib import Path

from rich.markdown import Markdown
from rich.markup import escape

from cham_keras.cli.locations import Location, short_names
from cham_keras.progress import stdout


def score_attention(
    runs: list[Path],
    /,
    *,
    shards: Location,
    boxes: Location | None = None,
    split: str = "test",
    num_clips: int | None = None,
    num_shuffles: int = 3,
    removal_points: int = 8,
    clips_root: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
) -> None:
    """Measure where a model looks: in boxes, by what it is worth, against shuffled weights.

    With --boxes: the pointing game and the share of attention inside the boxes, against the
    model's mean map, the middle of the frame, chance, and the same model with shuffled weights.
    Always: insertion and deletion curves, the randomisation test, and entropy over time. All
    with intervals over groups of clips. The shards' features are enough; of the videos, only
    the sizes of frames are read, and only with --boxes.

    Examples:

        cham score-attention runs/cham --shards shards --boxes clips/boxes.csv
        cham score-attention runs/cham runs/conv --shards shards --removal-points 0

    Parameters
    ----------
    runs
        Run folders that `cham train` has written, of models with attention.
    shards
        Folder of shards with the same classes and features.
    boxes
        CSV file with the columns path, frame (from 0), left, top, width and height in pixels, as
        `cham prepare ucf-sports` and `cham demo` write it, or the folder that holds boxes.csv.
    split
        Name of the split.
    num_clips
        So many clips, spread over the classes; all by default.
    num_shuffles
        How often the weights are shuffled.
    removal_points
        Points of the insertion and deletion curves; 0 leaves them out and saves most of the time.
    clips_root
        The folder of the videos, if they have moved since they were extracted.
    out
        Folder for scores.json, .md, .csv and .png; `attention` in the run folder by default. With
        several runs, a folder a run in it.
    seed
        Of shuffles, orders of chance and intervals.
    """
    from cham_keras.attention import score_attention as score
    from cham_keras.attention.explain import ATTENTION_FOLDER
    from cham_keras.data.prepare import read_boxes
    from cham_keras.runs import open_run

    given = () if boxes is None else read_boxes(boxes)
    opened = [open_run(folder) for folder in runs]
    for name, run in zip(short_names(runs), opened, strict=True):
        scores = score(
            run,
            shards,
            split,
            given,
            num_clips=num_clips,
            num_shuffles=num_shuffles,
            removal_points=removal_points,
            clips_root=clips_root,
            seed=seed,
        )
        folder = run.folder / ATTENTION_FOLDER
        if out is not None:
            folder = out if len(runs) == 1 else out / name
        scores.write(folder)
        stdout.print(Markdown(scores.to_markdown()))
        stdout.print(escape(f"Written to {folder}."), soft_wrap=True)
