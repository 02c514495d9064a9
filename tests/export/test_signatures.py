"""Signatures beside the one for clips: records, the Classify API, JPEG frames, the description."""

import io

import numpy as np
import pytest
import tensorflow as tf
from export_testing import CLASSES, NUM_FRAMES, write_tiny_run, write_tiny_shards
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from cham_keras.data import clip_dataset, load_backbone_from_spec
from cham_keras.data.reading import frame_sampling
from cham_keras.export import export_saved_model
from cham_keras.export.description import description_from_json, read_description
from cham_keras.export.example_signatures import evenly_spaced
from cham_keras.serving import ServedModel, StatusError


@pytest.fixture(scope="module")
def served(run, tmp_path_factory) -> ServedModel:
    version = export_saved_model(run, tmp_path_factory.mktemp("frames"), frames=True)
    return ServedModel(version, xla=True)


def records_of(shards) -> list[bytes]:
    files = sorted(map(str, shards.glob("test-*.tfrecord")))
    return list(tf.data.TFRecordDataset(files).as_numpy_iterator())


def strings(values) -> np.ndarray:
    return np.array(values, dtype=object)


@pytest.mark.parametrize("short_clips", ["repeat", "pad"])
def test_records_of_shards_get_the_scores_of_the_frames_that_evaluation_takes(
    short_clips, shards, tmp_path
):
    run = write_tiny_run(tmp_path / "run", shards, short_clips=short_clips)
    model = ServedModel(export_saved_model(run, tmp_path / "export"), xla=True)
    found = model.run("predict_examples", {"examples": strings(records_of(shards))})
    clips = clip_dataset(
        shards, "test", num_frames=NUM_FRAMES, batch_size=3, short_clips=short_clips
    )
    inputs, _ = next(clips.as_numpy_iterator())
    expected = model.run("serving_default", inputs)
    np.testing.assert_array_equal(found["lengths"], inputs["lengths"])
    assert found["lengths"].tolist() == ([5, 5, 5] if short_clips == "repeat" else [3, 5, 5])
    for name in ("clip_probabilities", "top_scores"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
    for clip, length in enumerate(inputs["lengths"]):
        for name in ("probabilities", "attention", "logits"):
            np.testing.assert_allclose(
                found[name][clip, :length], expected[name][clip, :length], atol=1e-6
            )
    assert np.ptp(expected["clip_probabilities"], axis=0).max() > 0.01


def test_a_record_alone_gets_the_scores_that_it_gets_among_others(served, shards):
    records = records_of(shards)
    together = served.run("predict_examples", {"examples": strings(records)})
    for number, record in enumerate(records):
        alone = served.run("predict_examples", {"examples": strings([record])})
        np.testing.assert_allclose(
            alone["clip_probabilities"][0], together["clip_probabilities"][number], atol=1e-6
        )


def test_the_classify_api_gets_every_class_in_the_order_of_the_labels(served, shards):
    records = strings(records_of(shards))
    found = served.run("classify", {"inputs": records})
    expected = served.run("predict_examples", {"examples": records})["clip_probabilities"]
    assert found["classes"].tolist() == [[name.encode() for name in CLASSES]] * 3
    np.testing.assert_allclose(found["scores"], expected, atol=1e-6)
    assert served.signatures["classify"].method_name == "tensorflow/serving/classify"
    assert served.signatures["step"].method_name == "tensorflow/serving/predict"


def example(**features) -> bytes:
    wanted = {
        name.replace("_", "/"): tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        for name, values in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=wanted)).SerializeToString()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"\x01\x02", "Could not parse example"),
        (example(), "must hold one frame or more in frames/features"),
        (example(frames_features=[]), "must hold one frame or more"),
        (
            example(frames_features=[bytes(191)]),
            r"192 bytes. Received: one of\] \[192\] .* \[191\]",
        ),
        (example(frames_features=[bytes(192), b""]), "must have 192 bytes"),
    ],
)
def test_a_broken_record_is_refused_by_the_graph_itself(served, shards, record, message):
    with pytest.raises(StatusError, match=message) as error:
        served.run("predict_examples", {"examples": strings([*records_of(shards), record])})
    assert error.value.code == 3  # invalid argument


def test_int8_records_without_their_scales_are_refused(tmp_path):
    shards = write_tiny_shards(tmp_path / "data", feature_dtype="int8")
    run = write_tiny_run(tmp_path / "run", shards)
    model = ServedModel(export_saved_model(run, tmp_path / "export"), xla=True)
    assert model.run("classify", {"inputs": strings(records_of(shards))})["scores"].shape == (3, 3)
    for scales, message in (
        ([], "must have its frames/scales"),
        ([bytes(96)] * 2, "must have its frames/scales"),
        ([bytes(95)], "must have 96 bytes"),
    ):
        record = example(frames_features=[bytes(96)], frames_scales=scales)
        with pytest.raises(StatusError, match=message):
            model.run("classify", {"inputs": strings([record])})


@pytest.mark.parametrize("num_frames", [1, 2, 5, 7])
def test_evenly_spaced_frames_are_those_of_the_shards_reader(num_frames):
    lengths = np.arange(1, 30)
    lengths = np.append(lengths, 2_000_000)
    for short_clips in ("repeat", "pad"):
        indices, valid = evenly_spaced(tf.constant(lengths, tf.int32), num_frames, short_clips)
        for row, length, steps in zip(indices.numpy(), lengths, valid.numpy(), strict=True):
            expected = frame_sampling.uniform(length, num_frames)
            if short_clips == "repeat":
                expected = frame_sampling.repeat_last(expected, num_frames)
            assert row[:steps].tolist() == expected.numpy().tolist()


def jpeg(picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def pictures(served) -> np.ndarray:
    """Two clips of three pictures of the backbone's size, coarse enough to outlive JPEG."""
    coarse = np.random.default_rng(3).integers(0, 256, (2, 3, 4, 4, 3), np.uint8)
    return np.kron(coarse, np.ones((1, 1, 8, 8, 1), np.uint8))


def test_jpeg_frames_get_the_scores_of_their_pixels(served, run, pictures):
    frames = strings([[jpeg(picture) for picture in clip] for clip in pictures])
    frames[1, 2] = b"padding is not decoded"
    lengths = np.array([3, 2], "int32")
    found = served.run("jpeg_frames", {"frames": frames, "lengths": lengths})
    backbone = load_backbone_from_spec(run.manifest.backbone)
    features = np.zeros((2, 3, *run.manifest.feature_shape), "float32")
    for clip, length in enumerate(lengths):
        decoded = [tf.io.decode_jpeg(frame).numpy() for frame in frames[clip, :length]]
        features[clip, :length] = backbone.features(np.stack(decoded))
    expected = served.run("serving_default", {"features": features, "lengths": lengths})
    # Half precision: a feature near the middle between two numbers is rounded either way.
    np.testing.assert_allclose(
        found["clip_probabilities"], expected["clip_probabilities"], atol=1e-3
    )
    assert np.abs(np.diff(found["clip_probabilities"], axis=0)).max() > 0.01


def test_jpeg_frames_of_another_size_are_resized_in_the_graph(served, pictures):
    large = np.kron(pictures, np.ones((1, 1, 3, 5, 1), np.uint8))
    assert large.shape[2:4] == (96, 160)
    scores = [
        served.run(
            "jpeg_frames",
            {
                "frames": strings([[jpeg(picture) for picture in clip] for clip in clips]),
                "lengths": np.array([3, 3], "int32"),
            },
        )["clip_probabilities"]
        for clips in (pictures, large)
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.05)
    assert np.abs(scores[0] - scores[1]).max() > 0


@pytest.mark.parametrize(
    ("frame", "lengths", "message"),
    [
        (b"no picture", [2], "Unknown image file format|not a valid|decode"),
        (b"", [2], "Input is empty|Unknown image|decode"),
        (None, [3], "must be from 1 to the number of steps"),
    ],
)
def test_frames_that_are_no_pictures_are_refused(served, pictures, frame, lengths, message):
    frames = strings([[jpeg(pictures[0, 0]), jpeg(pictures[0, 1]) if frame is None else frame]])
    with pytest.raises(StatusError, match=message) as error:
        served.run("jpeg_frames", {"frames": frames, "lengths": np.array(lengths, "int32")})
    assert error.value.code == 3


@pytest.mark.parametrize("signature", ["serving_default", "predict_examples", "classify"])
def test_a_request_without_clips_is_refused_with_the_rule(served, signature):
    inputs = {
        name: np.zeros(
            [0, *(size or 2 for size in info.shape[1:])],
            object if info.dtype_name == "string" else info.dtype_name,
        )
        for name, info in served.signatures[signature].inputs.items()
    }
    with pytest.raises(StatusError, match="must hold at least one clip. Received: none") as error:
        served.run(signature, inputs)
    assert error.value.code == 3


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("signature", ["serving_default", "step"])
def test_numbers_that_are_not_finite_are_refused(served, signature, number, batch):
    inputs = dict(batch)
    if signature == "step":
        states = served.run("initial_states", {"streams": np.zeros(3, "int32")})
        inputs = {"features": batch["features"][:, 0], **states}
    inputs["features"] = inputs["features"].copy()
    inputs["features"].ravel()[-1] = number  # of serving_default in the padding
    with pytest.raises(StatusError, match="`features` must be finite numbers") as error:
        served.run(signature, inputs)
    assert error.value.code == 3


def test_states_of_another_number_of_streams_are_refused_with_the_names(served, batch):
    states = served.run("initial_states", {"streams": np.zeros(2, "int32")})
    with pytest.raises(StatusError, match="for the same number of streams.*features:.*3.*h1:.*2"):
        served.run("step", {"features": batch["features"][:, 0], **states})


def test_a_server_tells_how_videos_become_features(served):
    told = served.run("description", {"clients": np.zeros(2, "int32")})["description"]
    assert told.shape == (2,) and told[0] == told[1]
    description = description_from_json(told[0].decode(), "the server")
    assert description == read_description(served.folder)
    with pytest.raises(ValueError, match="the server: `schema_version` must be 1. Received: 7"):
        description_from_json('{"schema_version": 7}', "the server")


def test_a_description_names_no_folder_of_the_machine(run):
    import dataclasses

    from cham_keras.export.description import describe_run, description_as_json

    description = describe_run(run)
    backbone = dataclasses.replace(
        description.preparation.backbone, weights="/home/someone/weights.h5"
    )
    preparation = dataclasses.replace(description.preparation, backbone=backbone)
    told = description_as_json(dataclasses.replace(description, preparation=preparation))
    assert "/home" not in told and "weights.h5" in told


def test_every_input_and_output_of_every_signature_has_the_batch_first(served):
    content = (served.folder / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    checked = 0
    for name, signature in graph.signature_def.items():
        if name.startswith("__"):
            continue
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            assert tensor.tensor_shape.dim[0].size == -1
            checked += 1
    assert checked == 48
    sizes = {
        name: {key: len(value) for key, value in outputs.items()}
        for name, outputs in (
            ("initial_states", served.run("initial_states", {"streams": np.zeros(3, "int32")})),
            ("description", served.run("description", {"clients": np.zeros(3, "int32")})),
        )
    }
    assert {size for of_signature in sizes.values() for size in of_signature.values()} == {3}
