"""An export with the signature `step` gives, frame by frame, what it gives for the clip."""

import numpy as np
import pytest
import tensorflow as tf
from export_testing import write_tiny_run

from cham_keras.cli.main import run_command
from cham_keras.export import export_saved_model, graph_check, saved_model
from cham_keras.export.loading import LoadedSavedModel


@pytest.mark.parametrize("name", ["cham", "fc_attention"])
def test_served_steps_give_what_the_served_clip_gives(name, shards, batch, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, name)
    version = export_saved_model(run, tmp_path / "export", streaming=True)
    whole = LoadedSavedModel(version)(**batch)
    loaded = tf.saved_model.load(str(version))
    assert sorted(loaded.signatures) == (
        ["serving_default", "step"] if name == "cham" else ["serving_default", "start", "step"]
    )
    step = loaded.signatures["step"]
    shapes = {key: spec.shape for key, spec in step.structured_input_signature[1].items()}
    features = tf.constant(batch["features"])
    if name == "cham":
        states = {
            key: tf.zeros((3, *shape[1:]), tf.int32 if key == "phase" else tf.float32)
            for key, shape in shapes.items()
            if key != "features"
        }
    else:
        states = loaded.signatures["start"](
            features=features, lengths=tf.constant(batch["lengths"])
        )
    for frame in range(features.shape[1]):
        outputs = step(features=features[:, frame], **states)
        states = {key: outputs[key] for key in states}
        for key in ("probabilities", "attention"):
            for clip, length in enumerate(batch["lengths"]):
                if frame < length:
                    np.testing.assert_allclose(
                        outputs[key][clip], whole[key][clip, frame], atol=1e-5
                    )


def test_both_signatures_share_one_set_of_weights(run, version, tmp_path):
    with_step = export_saved_model(run, tmp_path, streaming=True)

    def sizes(folder):
        stored = tf.train.list_variables(str(folder / "variables" / "variables"))
        return sorted(np.prod(shape, dtype=int) for _, shape in stored if shape)

    assert sizes(with_step) == sizes(version)


def test_the_graph_of_the_step_is_checked_too(run, tmp_path, monkeypatch):
    seen = []

    def look(folder):
        seen.extend(place for _, place in graph_check.nodes_of_signatures(folder))
        graph_check.check_graph(folder)

    monkeypatch.setattr(saved_model, "check_graph", look)
    export_saved_model(run, tmp_path, streaming=True)
    assert [place for place in seen if "step" in place]


def test_the_command_exports_the_step_where_it_is_asked_to(run, tmp_path):
    for arguments in ([], ["--streaming"]):
        assert run_command(["export", str(run.folder), "--out", str(tmp_path), *arguments]) == 0
    for number, signatures in (("1", ["serving_default"]), ("2", ["serving_default", "step"])):
        loaded = tf.saved_model.load(str(tmp_path / number))
        assert sorted(loaded.signatures) == signatures
