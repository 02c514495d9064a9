"""The report of a run: from a run folder to one HTML page.

Comes in: a `Run`, and shards where its split is not evaluated yet. Goes out: the page.
`cham report` calls it. What the page needs is read from the run folder; only the films and
the latency take the model.
"""

import dataclasses
from pathlib import Path

from cham_keras import models
from cham_keras.data import clips_in_split, read_manifest
from cham_keras.evaluation import Results, evaluate, read_results
from cham_keras.files import replacing_file
from cham_keras.paths import AnyPath, as_path
from cham_keras.report.attention_scores import read_attention_scores
from cham_keras.report.class_table import class_table
from cham_keras.report.confusion import clips_of_cells, confusion_of
from cham_keras.report.curves import (
    frames_seen_picture,
    precision_recall_picture,
    reliability_picture,
    training_pictures,
)
from cham_keras.report.errors import confident_errors
from cham_keras.report.facts import (
    baseline_in_words,
    head_facts,
    score_table,
    settings_text,
    versions_of_run,
    windows_in_words,
)
from cham_keras.report.films import films_of
from cham_keras.report.latency import devices, measure_latency
from cham_keras.report.page import render_page
from cham_keras.runs import Run
from cham_keras.runs.run_folder import EVALUATION_FOLDER, environment, require_same_features

REPORT_FILE = "report.html"


@dataclasses.dataclass(frozen=True)
class WrittenReport:
    """What was written.

    Attributes:
        path: the page.
        size: in bytes.
        remarks: what the page does without, a sentence each.
    """

    path: Path
    size: int
    remarks: tuple[str, ...]


def write_report(
    run: Run,
    shards: AnyPath | str | None = None,
    split: str = "test",
    out: Path | str | None = None,
    *,
    num_errors: int = 4,
    clips_root: Path | str | None = None,
    weights: Path | None = None,
    latency: bool = True,
) -> WrittenReport:
    """Writes one HTML page about a run, which needs no network and no other file.

    Args:
        run: a finished run.
        shards: shards with the run's features and classes; needed where the split has not
            been evaluated yet, or only with an earlier model: it is done then.
        split: name of the split.
        out: the page; `report.html` in the run folder by default. It is replaced.
        num_errors: how many of the most confident errors are shown, each with a film of
            where the model looked, if it has attention and the video is there.
        clips_root: the folder of the videos; where they lay at extraction by default.
        weights: where the backbone's weights file lies now, if it was moved.
        latency: whether to measure how long the model takes on this machine.

    Returns:
        where the page is, how large, and what is missing in it.

    Raises:
        FileNotFoundError: the split has not been evaluated and there are no shards.
        ValueError: what was evaluated has other classes than the run, was another model or
            are other clips than those of the shards, or a file of the run folder holds
            something else than it should.
    """
    if num_errors < 0:  # before anything takes time
        raise ValueError(f"`num_errors` must be at least 0. Received: {num_errors}.")
    results = _results_of(run, shards, split)
    errors = confident_errors(results, num_errors)
    if clips_root is None:
        manifest = run.manifest if shards is None else read_manifest(as_path(shards))
        clips_root = manifest.clips_root
    films = films_of(run, [error.clip for error in errors], clips_root, weights)
    timed, latency_remark = measure_latency(run) if latency else ([], "")
    scores = read_attention_scores(run)
    html = render_page(
        name=run.folder.resolve().name,
        folder=str(run.folder),
        split=results.split,
        facts=head_facts(run, results),
        scores=score_table(results),
        baseline=baseline_in_words(run, results),
        results=results,
        training=training_pictures(run),
        confusion=confusion_of(results),
        clips=clips_of_cells(results),
        table=class_table(results, run.settings.model.name),
        precision_recall=precision_recall_picture(results),
        errors=errors,
        films=films,
        windows=windows_in_words(results),
        frames_seen=frames_seen_picture(results),
        reliability=reliability_picture(results),
        attention=scores,
        has_attention=scores is not None or _may_have_attention(run),
        latency=timed,
        latency_remark=latency_remark,
        environment=environment(),
        devices=devices() if latency else "",
        settings=settings_text(run),
        versions=versions_of_run(run),
    )
    path = run.folder / REPORT_FILE if out is None else Path(out)
    with replacing_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    remarks = [films.reason, *films.missing.values()]
    return WrittenReport(path, path.stat().st_size, tuple(filter(None, remarks)))


def _may_have_attention(run: Run) -> bool:
    """Whether scoring the attention can be advised; also where there is no model to ask."""
    return not run.has_model or models.has_attention(run.load_model())


def _results_of(run: Run, shards: AnyPath | str | None, split: str) -> Results:
    """The split's results: those that lie in the run folder, or from an evaluation now."""
    file = run.folder / EVALUATION_FOLDER / f"{split}.json"
    if not file.is_file():
        if shards is None:
            raise FileNotFoundError(
                f"The split {split} of the run {run.folder} has not been evaluated: there is no "
                f"{file}. `cham report {run.folder} --shards SHARDS --split {split}` evaluates it "
                "first."
            )
        return evaluate(run, shards, split)
    results = read_results(run.folder, split)
    if run.holds_another_model(results.model_sha256):
        if shards is None:
            raise ValueError(
                f"{file} must be of the model that the run holds. Received: results of an earlier "
                f"one. `cham report {run.folder} --shards SHARDS --split {split}` evaluates this "
                "one first."
            )
        return evaluate(run, shards, split)
    if results.classes != run.manifest.classes:
        raise ValueError(
            f"{file} must have the classes of the run, {', '.join(run.manifest.classes)}. "
            f"Received: {', '.join(results.classes)}. `cham evaluate` writes it anew."
        )
    if shards is not None:
        _require_same_clips(run, results, shards, split)
    return results


def _require_same_clips(run: Run, results: Results, shards: AnyPath | str, split: str) -> None:
    """Refuses shards whose clips are not those that were evaluated."""
    require_same_features(run, read_manifest(as_path(shards)), shards)
    clips = tuple(clip.id for clip in clips_in_split(shards, split))
    if clips != results.clip_ids:
        raise ValueError(
            f"The clips of the split {split} of {shards} must be those that the run was evaluated "
            f"on. Received: {len(clips)} clips for {len(results.clip_ids)} evaluated ones, not the "
            f"same. `cham evaluate {run.folder} --shards {shards} --split {split}` evaluates these."
        )
