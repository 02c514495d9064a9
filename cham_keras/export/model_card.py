"""The model card: what a served model is, what it was measured at, and where it ends.

Comes in: a run and the folder of its export. Goes out: `assets.extra/model_card.md`, to be
read, and `model_card.json`, the same for programs. `saved_model` writes it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cham_keras.files import read_json, replacing_file, write_json
from cham_keras.runs import Run
from cham_keras.runs.run_folder import EVALUATION_FOLDER, METRICS_FILE, environment

CARD_FILE = Path("assets.extra") / "model_card.md"

#: Figures of an evaluation, as its JSON names them and as the card does.
_FIGURES = {
    "clip_accuracy": "clip accuracy",
    "frame_accuracy": "frame accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "mean_average_precision": "mean average precision",
    "calibration_error": "calibration error",
    "majority_accuracy": "always the most frequent class",
}

_LIMITS = (
    "It knows its own classes only: a video of anything else gets one of them, at times with a "
    "high probability.",
    "The figures hold for clips like those of the split that they were measured on, prepared in "
    "the same way: other cameras, places or people may give others.",
    "Probabilities are those of the softmax; the calibration error says how far to trust them.",
    "Attention maps show what went into the recurrence, and are no proof of what decided.",
)


def write_model_card(run: Run, folder: Path, batch_sizes: Sequence[int]) -> None:
    """Writes the card into an export's folder.

    Args:
        run: the run.
        folder: the export, all else written.
        batch_sizes: sizes of batches that it was warmed up for.
    """
    card = model_card(run, folder, batch_sizes)
    with replacing_file(folder / CARD_FILE) as temporary:
        temporary.write_text(_markdown(card))
    write_json((folder / CARD_FILE).with_suffix(".json"), card)


def model_card(run: Run, folder: Path, batch_sizes: Sequence[int]) -> dict[str, Any]:
    """The card's content as plain values."""
    manifest, backbone = run.manifest, run.manifest.backbone
    evaluations = {
        file.stem: read_json(file)
        for file in sorted((run.folder / EVALUATION_FOLDER).glob("*.json"))
    }
    trained = run.metrics() if (run.folder / METRICS_FILE).is_file() else {}
    return {
        "model": run.settings.model.name,
        "classes": list(manifest.classes),
        "checksum": run.model_sha256(),
        "data": {
            "clips_per_class": {
                name: split.clips_per_class for name, split in manifest.splits.items()
            },
            "frames": {name: split.frames for name, split in manifest.splits.items()},
            "backbone": backbone.name,
            "backbone_weights_sha256": backbone.weights_sha256,
            "feature_shape": list(manifest.feature_shape),
            "frame_stride": manifest.frame_stride,
        },
        "training": {
            "num_frames": run.num_frames,
            "epochs": trained.get("epochs"),
            "seed": run.settings.seed,
        },
        # Those of whole evaluations: baselines, frames and seeds have files of their own form.
        "metrics": {
            split: {name: values.get(name) for name in (*_FIGURES, *map(_interval, _FIGURES))}
            | {"clips": values["clips"]}
            for split, values in evaluations.items()
            if isinstance(values, dict) and values.get("split") == split
        },
        "size": {
            "parameters": trained.get("parameters"),
            "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
            "batch_sizes": list(batch_sizes),
        },
        "limits": list(_LIMITS),
        "environment": environment()["versions"],
    }


def _interval(name: str) -> str:
    return f"{name}_interval"


def _markdown(card: dict[str, Any]) -> str:
    data, size = card["data"], card["size"]
    height, width, channels = data["feature_shape"]
    lines = [
        f"# {card['model']}",
        "",
        f"Says of a video which of {len(card['classes'])} classes it shows: "
        f"{', '.join(card['classes'])}.",
        "",
        "## Data",
        "",
        f"Features {height}x{width}x{channels} of `{data['backbone']}`, of every "
        f"{_ordinal(data['frame_stride'])}frame; {card['training']['num_frames']} frames a clip.",
        "",
        f"| class | {' | '.join(data['clips_per_class'])} |",
        "|---|" + "---:|" * len(data["clips_per_class"]),
        *(
            f"| {name} | "
            + " | ".join(str(split.get(name, 0)) for split in data["clips_per_class"].values())
            + " |"
            for name in card["classes"]
        ),
        "",
        "## Measured",
        "",
        *(_measured(card["metrics"])),
        "",
        "## Size",
        "",
        f"{size['bytes'] / 1e6:.1f} MB"
        + (f", {size['parameters']:,} parameters" if size["parameters"] else "")
        + f"; warmed up for batches of {', '.join(map(str, size['batch_sizes']))}.",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
        "",
        "## Made of",
        "",
        f"The run's model file, SHA-256 `{card['checksum']}`.",
        "",
    ]
    return "\n".join(lines)


def _measured(metrics: dict[str, Any]) -> list[str]:
    if not metrics:
        return ["Not evaluated before the export: `cham evaluate` does it."]
    lines = ["| split | clips | figure | value | 95 % interval |", "|---|---:|---|---:|---|"]
    for split, values in metrics.items():
        for name, words in _FIGURES.items():
            if values[name] is None:
                continue
            ends = values[_interval(name)]
            interval = f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else ""
            lines.append(
                f"| {split} | {values['clips']} | {words} | {values[name]:.3f} | {interval} |"
            )
    return lines


def _ordinal(stride: int) -> str:
    return {1: "", 2: "second ", 3: "third "}.get(stride, f"{stride}th ")
