"""An export is whole, holds nothing but inference, and gives the Keras model's scores."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from export_testing import CLASSES, write_tiny_run
from tensorflow.core.protobuf import saved_model_pb2

from cham_keras import models
from cham_keras.export import export_folder, export_saved_model, saved_model, signatures
from cham_keras.export.export_folder import publish, unfinished_version
from cham_keras.export.loading import LoadedSavedModel

OUTPUTS = ["attention", "clip_probabilities", "logits", "probabilities"]
OUTPUTS += ["top_classes", "top_scores"]


def graph_of(version):
    content = (version / "saved_model.pb").read_bytes()
    return saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]


def test_the_signature_has_named_tensors_with_a_free_batch_first(version):
    signature = graph_of(version).signature_def["serving_default"]
    shapes = {
        name: [dimension.size for dimension in tensor.tensor_shape.dim]
        for name, tensor in (*signature.inputs.items(), *signature.outputs.items())
    }
    assert sorted(signature.inputs) == ["features", "lengths"]
    assert sorted(signature.outputs) == OUTPUTS
    assert shapes["features"] == [-1, -1, 2, 2, 24]
    assert shapes["lengths"] == [-1]
    assert shapes["probabilities"] == shapes["logits"] == [-1, -1, 3]
    assert shapes["clip_probabilities"] == shapes["top_classes"] == shapes["top_scores"] == [-1, 3]
    assert shapes["attention"] == [-1, -1, 2, 2]
    types = {name: tensor.dtype for name, tensor in signature.outputs.items()}
    assert types.pop("top_classes") == tf.string.as_datatype_enum
    assert set(types.values()) == {tf.float32.as_datatype_enum}


@pytest.mark.parametrize("name", ["cham", "conv_attention", "fc_attention"])
def test_served_scores_are_those_of_the_keras_model(name, shards, batch, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, name)
    served = LoadedSavedModel(export_saved_model(run, tmp_path / "export"))(**batch)
    model = run.load_model()
    probabilities = model.predict(batch, verbose=0)
    attention = models.with_attention(model).predict(batch, verbose=0)["attention"]
    np.testing.assert_allclose(served["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_allclose(served["attention"], attention, atol=1e-5)
    exponential = np.exp(served["logits"])
    np.testing.assert_allclose(
        exponential / exponential.sum(axis=-1, keepdims=True), probabilities, atol=1e-5
    )
    clips = [
        steps[:length].mean(axis=0)
        for steps, length in zip(probabilities, batch["lengths"], strict=True)
    ]
    np.testing.assert_allclose(served["clip_probabilities"], clips, atol=1e-5)
    best = np.argsort(clips, axis=1)[:, ::-1]
    assert served["top_classes"].tolist() == np.array(CLASSES)[best].tolist()
    np.testing.assert_allclose(served["top_scores"], np.sort(clips, axis=1)[:, ::-1], atol=1e-5)


def test_one_export_scores_any_batch_of_any_number_of_steps(version, batch):
    served = LoadedSavedModel(version)
    whole = served(**batch)
    for clip, length in enumerate(batch["lengths"]):
        alone = served(batch["features"][clip : clip + 1, :length])
        for name in ("probabilities", "logits", "attention"):
            assert alone[name].shape[:2] == (1, length)
            np.testing.assert_allclose(alone[name][0], whole[name][clip, :length], atol=1e-5)
        for name in ("clip_probabilities", "top_scores"):
            np.testing.assert_allclose(alone[name][0], whole[name][clip], atol=1e-5)


def test_labels_stand_in_a_file_and_in_the_graph(version, batch):
    assert (version / "assets" / "labels.txt").read_text().splitlines() == list(CLASSES)
    moved = LoadedSavedModel(version)(**batch)["top_classes"]
    assert set(moved.ravel()) == set(CLASSES)


def test_the_description_says_how_videos_become_features(version):
    description = json.loads((version / "assets.extra" / "cham.json").read_text())
    assert description["classes"] == list(CLASSES)
    preparation = description["preparation"]
    assert preparation["backbone"]["name"] == "filter_bank"
    assert preparation["backbone"]["feature_shape"] == [2, 2, 24]
    assert (preparation["num_frames"], preparation["feature_dtype"]) == (5, "float16")
    assert description["settings"]["model"]["filters"] == 4
    assert description["versions"]["tensorflow"] == tf.__version__


def test_every_weight_is_stored_once_and_nothing_else(version, run):
    stored = tf.train.list_variables(str(version / "variables" / "variables"))
    sizes = sorted(np.prod(shape, dtype=int) for name, shape in stored if shape)
    assert sizes == sorted(weight.size for weight in map(np.asarray, trainable(run)))


def trainable(run):
    return run.load_model().trainable_weights


def test_the_graph_names_no_path_of_the_machine_that_wrote_it(version, run):
    content = (version / "saved_model.pb").read_bytes()
    for folder in (version.parents[2], run.folder):
        assert str(folder).encode() not in content


def test_versions_count_on_from_the_newest(version, run, tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    for expected in ("8", "9"):
        with unfinished_version(tmp_path) as folder:
            (folder / "saved_model.pb").touch()
            assert publish(folder, tmp_path) == tmp_path / expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8", "9", "notes"]


def test_exports_that_race_land_with_different_versions(tmp_path, monkeypatch):
    # Each believes that there is no version yet, as if all had looked at the same moment.
    looks = []
    versions = export_folder._versions

    def stale(base):
        looks.append(base)
        return [] if len(looks) % 2 else versions(base)

    monkeypatch.setattr(export_folder, "_versions", stale)
    for number in range(3):
        with unfinished_version(tmp_path) as folder:
            (folder / "saved_model.pb").write_text(str(number))
            looks.clear()
            publish(folder, tmp_path)
    landed = {path.name: (path / "saved_model.pb").read_text() for path in tmp_path.iterdir()}
    assert landed == {"1": "0", "2": "1", "3": "2"}


def test_a_failed_export_leaves_no_version(run, tmp_path, monkeypatch):
    def fail(folder):
        assert (folder / "saved_model.pb").is_file()
        raise RuntimeError("no good")

    monkeypatch.setattr(saved_model, "check_graph", fail)
    with pytest.raises(RuntimeError, match="no good"):
        export_saved_model(run, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_its_check_leaves_no_version(run, tmp_path, monkeypatch):
    def other_scores(model, classes):
        serve = clip_function(model, classes)

        def serve_others(features, lengths):
            outputs = serve(features, lengths)
            return outputs | {"probabilities": outputs["probabilities"] * 0.999}

        return serve_others

    clip_function = signatures.clip_function
    monkeypatch.setattr(signatures, "clip_function", other_scores)
    with pytest.raises(RuntimeError, match="must give the scores of the run"):
        export_saved_model(run, tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 0, 4], "must be from 1 to the number of steps"),
        ([5, 1, 6], "must be from 1 to the number of steps"),
        ([5, 1], "must hold one number for each clip"),
        ([5], "must hold one number for each clip"),
    ],
)
def test_the_graph_and_the_loader_refuse_lengths_that_do_not_fit(version, batch, lengths, message):
    loaded = LoadedSavedModel(version)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded._signature(
            features=tf.constant(batch["features"]), lengths=tf.constant(lengths, tf.int32)
        )
    with pytest.raises(ValueError, match=r"3 number\(s\) from 1 to 5"):
        loaded(batch["features"], lengths)


def test_the_loader_refuses_features_of_another_shape(version):
    with pytest.raises(ValueError, match=r"shape \[None, None, 2, 2, 24\]. Received: \[1, 5, 3"):
        LoadedSavedModel(version)(np.zeros((1, 5, 3, 2, 24)))


@pytest.mark.parametrize("part", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_an_export_cut_short_is_named(version, tmp_path, part):
    shutil.copytree(version, tmp_path / "1")
    content = (tmp_path / "1" / part).read_bytes()
    (tmp_path / "1" / part).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="1 must be a whole SavedModel. TensorFlow says"):
        LoadedSavedModel(tmp_path / "1")


def test_a_base_that_cannot_hold_versions_is_refused(version, run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a folder. Received: the file"):
        export_saved_model(run, tmp_path / "file")
    with pytest.raises(ValueError, match="must be the one above the versions"):
        export_saved_model(run, version)


def test_an_unfinished_run_is_refused_and_nothing_is_written(run, tmp_path):
    shutil.copytree(run.folder, tmp_path / "run")
    (tmp_path / "run" / "model.keras").unlink()
    unfinished = type(run)(tmp_path / "run", run.settings, run.manifest)
    with pytest.raises(FileNotFoundError, match="has not finished"):
        export_saved_model(unfinished, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_shards_without_a_check_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="`shards` go with `check`"):
        export_saved_model(run, tmp_path, shards=tmp_path)


@pytest.mark.parametrize("name", ["two\nlines", "", "a\u2028b"])
def test_a_class_that_is_not_one_line_is_refused(name):
    with pytest.raises(ValueError, match="must be one line"):
        saved_model._lines_of_labels(("hop", name))
