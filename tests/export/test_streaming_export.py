"""An export with the signature `step` gives, frame by frame, what it gives for the clip."""

import numpy as np
import pytest
import tensorflow as tf
from export_testing import write_tiny_run

from cham_keras import models
from cham_keras.cli.main import run_command
from cham_keras.export import export_saved_model, graph_check, saved_model
from cham_keras.export.loading import LoadedSavedModel, signatures_of
from cham_keras.serving import ServedModel


@pytest.mark.parametrize("name", ["cham", "fc_attention"])
def test_served_steps_give_what_the_served_clip_gives(name, shards, batch, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, name)
    version = export_saved_model(run, tmp_path / "export")
    whole = LoadedSavedModel(version)(**batch)
    loaded = tf.saved_model.load(str(version))
    begins = "initial_states" if name == "cham" else "start"
    streams = {"step", "start", "initial_states"} & set(loaded.signatures)
    assert streams == {"step", begins}
    step = loaded.signatures["step"]
    features = tf.constant(batch["features"])
    if name == "cham":
        states = loaded.signatures["initial_states"](streams=tf.constant([7, 7, 7]))
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


def test_all_signatures_share_one_set_of_weights(run, version, tmp_path):
    without_step = export_saved_model(run, tmp_path, streaming=False)

    def sizes(folder):
        stored = tf.train.list_variables(str(folder / "variables" / "variables"))
        return sorted(np.prod(shape, dtype=int) for _, shape in stored if shape)

    assert sizes(without_step) == sizes(version)


def test_trained_first_states_are_what_a_stream_begins_with(shards, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, "cham", initial_state="learned")
    version = export_saved_model(run, tmp_path / "export")
    states = ServedModel(version, xla=True).run("initial_states", {"streams": np.zeros(2, "int32")})
    expected = models.start_states(models.streaming(run.load_model()), 2)
    assert set(states) == set(expected)
    for name, state in expected.items():
        np.testing.assert_array_equal(states[name], state)
    assert np.abs(states["h1"]).max() > 0.1


def test_a_model_without_states_is_exported_without_a_step(shards, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, "softmax_regression")
    version = export_saved_model(run, tmp_path / "export", check=True)
    assert "step" not in signatures_of(version)


def test_the_graph_of_the_step_is_checked_too(run, tmp_path, monkeypatch):
    seen = []

    def look(folder):
        seen.extend(place for _, place in graph_check.nodes_of_signatures(folder))
        graph_check.check_graph(folder)

    monkeypatch.setattr(saved_model, "check_graph", look)
    export_saved_model(run, tmp_path)
    assert [place for place in seen if "step" in place]


def test_the_command_leaves_the_step_out_where_it_is_told_to(run, tmp_path):
    arguments = ["export", str(run.folder), "--out", str(tmp_path), "--no-streaming"]
    assert run_command(arguments) == 0
    assert signatures_of(tmp_path / "1") == [
        *("classify", "description", "predict_examples", "serving_default")
    ]
