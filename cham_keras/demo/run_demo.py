"""The demo: every stage of the package on drawn clips, one after the other.

Each stage leaves its files in a folder of its own. A demo that was broken off
goes on with the first stage that is missing; a finished one is shown again.
"""

import shutil
import time
from pathlib import Path
from typing import Any

from cham_keras.attention import (
    AttentionReader,
    MapScore,
    score_attention,
    write_attention_video,
    write_comparison_picture,
)
from cham_keras.attention.explain import ATTENTION_FOLDER
from cham_keras.attention.scores.measures import MODEL, POINTING, UNIFORM
from cham_keras.data import clips_in_split, extract, load_backbone, read_clip_list
from cham_keras.data.prepare import read_boxes
from cham_keras.demo.drawn_actions import ACTIONS, write_drawn_actions
from cham_keras.demo.settings import DEMO_MODELS, DemoSettings, run_settings
from cham_keras.evaluation import evaluate
from cham_keras.evaluation.plots import plot_histories
from cham_keras.export import check_parity, export_saved_model
from cham_keras.files import read_json, write_json
from cham_keras.progress import stderr
from cham_keras.runs import Run, open_run
from cham_keras.runs.run_folder import HISTORY_FILE, METRICS_FILE, environment
from cham_keras.settings import read_settings, write_settings
from cham_keras.training import train

SETTINGS_FILE = "demo.toml"
RESULTS_FILE = "results.json"

#: So many clips of the test split, each of another class, are drawn with attention.
NUM_PICTURES = 2


def run_demo(
    out: Path, settings: DemoSettings | None = None, *, overwrite: bool = False
) -> dict[str, Any]:
    """Runs the demo.

    Args:
        out: the folder for everything it makes.
        settings: its size.
        overwrite: whether a demo that is already there is begun anew.

    Returns:
        what lies in `results.json`: seconds, versions, and for each model accuracy, pointing
        game, intervals, parameters and seconds of training; the export's largest difference.

    Raises:
        ValueError: the folder holds a demo with other settings.
    """
    out, settings = Path(out), settings or DemoSettings()
    _open_folder(out, settings, overwrite)
    if (out / RESULTS_FILE).is_file():
        stderr.print(f"This demo has been run; --overwrite runs it anew. Results of {out}:")
        return read_json(out / RESULTS_FILE)
    started = time.monotonic()

    _say(1, "drawing video clips of six actions")
    if not (out / "clips" / "clips.json").is_file():
        write_drawn_actions(
            out / "clips",
            {
                "train": settings.train_clips,
                "validation": settings.validation_clips,
                "test": settings.test_clips,
            },
            seed=settings.seed,
        )
    _say(2, "computing 7x7 features of every frame into TFRecord shards")
    shards = out / "shards"
    if not (shards / "manifest.json").is_file():
        extract(read_clip_list(out / "clips"), shards, load_backbone("filter_bank"))
    _say(3, "training FC-Attention, Conv-Attention and CHAM")
    runs = {name: _trained(name, shards, out / "runs" / name, settings) for name in DEMO_MODELS}
    _say(4, "scoring the clips of the test split")
    scores = {name: evaluate(run, shards).scores for name, run in runs.items()}
    _say(5, "drawing where the models look, and whether they look at the actor")
    _draw(runs, shards, out / "pictures")
    looks = {name: _score_attention(run, shards, out / "clips") for name, run in runs.items()}
    _say(6, "exporting CHAM as a SavedModel and checking it in another process")
    exported = export_saved_model(runs["cham"], out / "saved_model" / "cham")
    parity = check_parity(exported, runs["cham"], shards)

    results = {
        "models": {
            name: {
                "clip_accuracy": scores[name]["clip_accuracy"],
                "clip_accuracy_interval": scores[name]["clip_accuracy_interval"],
                "frame_accuracy": scores[name]["frame_accuracy"],
                "pointing_game": looks[name][MODEL].value,
                "pointing_game_interval": list(looks[name][MODEL].interval),
                "test_clips": scores[name]["clips"],
                "parameters": run.metrics()["parameters"],
                "train_seconds": run.metrics()["seconds"],
            }
            for name, run in runs.items()
        },
        "chance": 1 / len(ACTIONS),
        "pointing_game_chance": looks["cham"][UNIFORM].value,
        "export": str(exported.relative_to(out)),
        "export_largest_difference": parity.largest_difference,
        "seconds": round(time.monotonic() - started, 1),
        "seed": settings.seed,
        "environment": environment(),
    }
    write_json(out / RESULTS_FILE, results)
    return results


def _say(number: int, what: str) -> None:
    stderr.print(f"[bold]{number}/6[/bold] {what}")


def _open_folder(out: Path, settings: DemoSettings, overwrite: bool) -> None:
    if overwrite and (out / SETTINGS_FILE).is_file():
        shutil.rmtree(out)
    if not out.exists() or not any(out.iterdir()):
        write_settings(out / SETTINGS_FILE, settings, comment="The settings of this demo.")
    if not (out / SETTINGS_FILE).is_file():
        raise FileExistsError(
            f"The demo's folder must be new or empty. Received: {out}. Name another with --out."
        )
    if read_settings(DemoSettings, out / SETTINGS_FILE) != settings:
        raise ValueError(
            f"{out} holds a demo with other settings. Name another folder, or pass --overwrite."
        )


def _trained(name: str, shards: Path, folder: Path, settings: DemoSettings) -> Run:
    if (folder / METRICS_FILE).is_file():
        return open_run(folder)
    return train(shards, folder, run_settings(name, settings), overwrite=True)


def _score_attention(run: Run, shards: Path, clips: Path) -> dict[str, MapScore]:
    """The pointing game, by what the model's own maps are held against."""
    # Insertion and deletion take minutes; `cham score-attention` has them.
    scores = score_attention(run, shards, boxes=read_boxes(clips), removal_points=0)
    scores.write(run.folder / ATTENTION_FOLDER)
    return {row.map: row for row in scores.rows if row.measure == POINTING}


def _draw(runs: dict[str, Run], shards: Path, folder: Path) -> None:
    plot_histories(
        {name: run.folder / HISTORY_FILE for name, run in runs.items()}, folder / "training.png"
    )
    shutil.copy(runs["cham"].folder / "evaluation" / "test.png", folder / "confusion_cham.png")
    manifest = runs["cham"].manifest
    clips = clips_in_split(shards, "test")
    of_class = {clip.label: clip for clip in reversed(clips)}
    readers = {name: AttentionReader(run) for name, run in runs.items()}
    for label in sorted(of_class)[:NUM_PICTURES]:
        clip = of_class[label]
        video = Path(manifest.clips_root) / clip.id
        looks = {
            name: reader.read(video, label=label, name=clip.id) for name, reader in readers.items()
        }
        stem = manifest.classes[label]
        write_comparison_picture(looks, folder / f"attention_{stem}.png")
        write_attention_video(looks["cham"], folder / f"attention_{stem}.mp4", frame_rate_hz=6.0)
