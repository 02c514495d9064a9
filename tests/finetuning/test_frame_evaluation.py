"""Scores from frames: which frames and crops, and what their mean is."""

import numpy as np
import pytest
from finetuning_testing import make_run

from cham_keras.cli.main import run_command
from cham_keras.data import load_backbone_from_spec
from cham_keras.data.frames import read_clip_frames
from cham_keras.evaluation import evaluate, read_results
from cham_keras.finetuning import FrameEvaluationSettings, evaluate_from_frames
from cham_keras.finetuning.settings import FinetuningSettings
from cham_keras.settings import read_settings


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("start"))


def expected_scores(run, clip_list, num_frames, parts):
    """By hand: frames of the test clips, the parts of them, features, mean softmax."""
    backbone, model = load_backbone_from_spec(run.manifest.backbone), run.load_model()
    rows = []
    for clip in clip_list.clips_of_split("test"):
        frames = np.stack(list(read_clip_frames(clip_list.path_of(clip))))
        wanted = min(num_frames, len(frames))
        chosen = frames[(2 * np.arange(wanted) + 1) * len(frames) // (2 * wanted)]
        chosen = np.concatenate([chosen, *[chosen[-1:]] * (num_frames - wanted)])
        scores = []
        for part in parts:
            features = backbone.features(np.ascontiguousarray(part(chosen)))[None]
            inputs = {"features": features, "lengths": np.array([num_frames])}
            scores.append(model.predict(inputs, verbose=0)[0].mean(axis=0))
        rows.append(np.mean(scores, axis=0))
    return np.array(rows)


def test_whole_frames_score_as_shards_do(started):
    run, clips, shards = started
    settings = FrameEvaluationSettings(num_frames=4)
    from_frames = evaluate_from_frames(run, clips, settings)
    from_shards = evaluate(run, shards)
    assert from_frames.clip_ids == from_shards.clip_ids
    np.testing.assert_allclose(from_frames.probabilities, from_shards.probabilities, atol=2e-5)
    expected = expected_scores(run, clips, 4, [lambda frames: frames])
    np.testing.assert_allclose(from_frames.probabilities, expected, atol=2e-4)


def test_ten_crops_of_twenty_five_frames_are_averaged(started):
    run, clips, _ = started
    # Frames are 48 x 64; seven eighths of them 42 x 56.
    corners = [(0, 0), (0, 8), (6, 0), (6, 8), (3, 4)]
    parts = [
        lambda frames, top=top, left=left, step=step: frames[
            :, top : top + 42, left : left + 56
        ][:, :, ::step]
        for step in (1, -1)
        for top, left in corners
    ]  # fmt: skip
    found = evaluate_from_frames(run, clips, FrameEvaluationSettings(crops=10))
    expected = expected_scores(run, clips, 25, parts)
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-5)
    whole = expected_scores(run, clips, 25, [lambda frames: frames])
    assert np.abs(whole - expected).max() > 5e-4  # so that the crops count


def test_the_command_tunes_scores_and_names_the_next_one(started, tmp_path, capsys):
    run, clips, _ = started
    (tmp_path / "f.toml").write_text("epochs = 1\nbatch_size = 4\n[evaluation]\nnum_frames = 5\n")
    out = tmp_path / "tuned"
    tokens = ["--settings", tmp_path / "f.toml", "finetune", run.folder, "--clips", clips.root]
    options = ["--out", out, "--unfreezing.share", "0.4", "--augmentation.crop", "random"]
    assert run_command([str(token) for token in [*tokens, *options]]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 layers of the CNN trained, 1 epochs" in said
    assert f"Next: cham extract {clips.root} --out {out}-shards" in said
    results = read_results(out / "evaluation", "test-from-frames")
    assert len(results.clip_ids) == 4
    stored = read_settings(FinetuningSettings, out / "finetuning.toml")
    assert (stored.evaluation.num_frames, stored.unfreezing.share) == (5, 0.4)
    assert stored.augmentation.crop == "random"
    assert run_command([str(token) for token in [*tokens, *options]]) == 2
    assert "must be new or empty, or hold this tuning" in capsys.readouterr().err
