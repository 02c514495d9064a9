"""A stream gives what the whole clip gives, frame by frame and in chunks of any length."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_testing import random_array, randomize

from cham_keras import models
from cham_keras.export.graph_check import check_graph, nodes_of_signatures
from cham_keras.layers import (
    ConvAttentionLSTMCell,
    ConvLSTMCell,
    HierarchicalSkipRNN,
    SoftAttentionLSTMCell,
    SpatialRNN,
)
from cham_keras.models.recurrent_step import RecurrentStep

CLIPS = random_array((2, 7, 5, 4, 3), seed=1)
NUM_FRAMES = CLIPS.shape[1]
SHAPE = (None, 5, 4, 3)

BUILDERS = {
    "cham": lambda **kwargs: models.cham(SHAPE, 3, filters=4, head_units=8, **kwargs),
    "cham of seven steps": lambda **kwargs: models.cham(
        (7, 5, 4, 3),
        3,
        filters=4,
        head_units=8,
        skip=3,
        pooling="flatten",
        recurrent_dropout=0.2,
        **kwargs,
    ),
    "conv_attention": lambda **kwargs: models.conv_attention(
        SHAPE, 3, filters=4, head_units=8, attention_scale=20.0, **kwargs
    ),
    "conv_attention from the mean": lambda **kwargs: models.conv_attention(
        (7, 5, 4, 3), 3, filters=4, head_units=8, initial_state="mean_conv", **kwargs
    ),
    "fc_attention": lambda **kwargs: models.fc_attention(
        SHAPE, 3, units=4, head_units=8, initial_state="zeros", **kwargs
    ),
    "fc_attention from the mean": lambda **kwargs: models.fc_attention(
        SHAPE, 3, units=4, head_units=8, **kwargs
    ),
    "cham from trained states": lambda **kwargs: models.cham(
        SHAPE,
        3,
        filters=4,
        head_units=8,
        initial_state="learned",
        attention_penalty=0.1,
        standardize=True,
        **kwargs,
    ),
    "cham from the mean": lambda **kwargs: models.cham(
        SHAPE, 3, filters=4, head_units=8, initial_state="mean_conv", **kwargs
    ),
    "average_pooled_lstm": lambda **kwargs: models.average_pooled_lstm(
        SHAPE, 3, units=4, head_units=8, standardize=True, **kwargs
    ),
    "cham on features and differences": lambda **kwargs: models.cham(
        SHAPE,
        3,
        filters=4,
        pooling="max",
        head_units=0,
        standardize=True,
        temporal_differences="beside",
        feature_dropout=0.5,
        **kwargs,
    ),
    "fc_attention on differences from the mean": lambda **kwargs: models.fc_attention(
        SHAPE, 3, units=4, head_units=8, temporal_differences="only", **kwargs
    ),
}
LEARNED = {
    "cham": BUILDERS["cham from trained states"],
    "conv_attention": lambda: models.conv_attention(SHAPE, 3, filters=4, initial_state="learned"),
    "fc_attention": lambda: models.fc_attention(SHAPE, 3, units=4, initial_state="learned"),
    "conv_alstm on differences": lambda: models.conv_alstm(
        SHAPE, 3, filters=4, head_units=8, initial_state="learned", temporal_differences="only"
    ),
}


@pytest.fixture(params=BUILDERS)
def build(request):
    return lambda **kwargs: with_drawn_weights(BUILDERS[request.param](**kwargs))


def with_drawn_weights(model, seed=0):
    """Weights large enough for every step to matter, and statistics where a model has them."""
    rng = np.random.default_rng(seed)
    if "standardization" in [layer.name for layer in model.layers]:
        times = model.get_layer("standardization").mean.shape[0] // 3  # 2 with differences
        models.set_feature_statistics(model, times * [0.5, -1.0, 2.0], times * [4.0, 0.5, 1.0])
    for weight in model.trainable_weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return model


def run_stream(step, states, clips):
    """Feeds clips frame by frame: scores and maps as for the whole clips, and the last states."""
    names = {"probabilities", "attention", "phase"} & set(step.output)
    collected: dict[str, list] = {name: [] for name in names}
    for frame in np.moveaxis(clips, 1, 0):
        outputs = step.predict_on_batch({"features": frame, **states})
        states = {name: outputs[name] for name in states}
        for name in collected:
            collected[name].append(outputs[name])
    return {name: np.stack(steps, axis=1) for name, steps in collected.items()}, states


def of_whole_clips(model, inputs):
    """Scores of the model for clips and, where it has them, its maps."""
    if models.has_attention(model):
        return models.with_attention(model).predict(inputs, verbose=0)
    return {"probabilities": model.predict(inputs, verbose=0)}


def assert_equals_whole_clip(streamed, model, clips, **tolerance):
    whole = of_whole_clips(model, clips)
    for name in whole:
        np.testing.assert_allclose(streamed[name], whole[name], **{"atol": 1e-6, **tolerance})


def test_a_clip_fed_frame_by_frame_gives_the_scores_and_maps_of_the_whole_clip(build):
    model = build()
    streamed, _ = run_stream(
        models.streaming(model), models.start_states_from_clip(model, CLIPS), CLIPS
    )
    assert_equals_whole_clip(streamed, model, CLIPS)
    # Scores that never change would be equal too.
    assert np.abs(np.diff(streamed["probabilities"], axis=1)).max() > 1e-2


def test_a_model_with_lengths_streams_the_valid_frames(build):
    model = build(lengths=True)
    lengths = np.array([7, 3], "int32")
    states = models.start_states_from_clip(model, CLIPS, lengths)
    streamed, _ = run_stream(models.streaming(model), states, CLIPS)
    batch = {"features": CLIPS, "lengths": lengths}
    whole = of_whole_clips(model, batch)
    for name in whole:
        for clip, length in enumerate(lengths):
            np.testing.assert_allclose(
                streamed[name][clip, :length], whole[name][clip, :length], atol=1e-6
            )


def test_streams_that_stand_at_different_frames_share_a_batch():
    model = with_drawn_weights(models.cham(SHAPE, 3, filters=4, skip=3))
    step = models.streaming(model)
    ahead, states = run_stream(step, models.start_states(step, 1), CLIPS[:1, :2])
    start = models.start_states(step, 1)
    states = {name: np.concatenate([states[name], start[name]]) for name in states}
    # The first stream goes on at its third frame, the second starts.
    both = np.stack([CLIPS[0, 2:7], CLIPS[1, :5]])
    streamed, _ = run_stream(step, states, both)
    assert streamed["phase"].tolist() == [[0, 1, 2, 0, 1], [1, 2, 0, 1, 2]]
    whole = model.predict(CLIPS, verbose=0)
    np.testing.assert_allclose(ahead["probabilities"][0], whole[0, :2], atol=1e-6)
    np.testing.assert_allclose(streamed["probabilities"][0], whole[0, 2:7], atol=1e-6)
    np.testing.assert_allclose(streamed["probabilities"][1], whole[1, :5], atol=1e-6)


def test_a_model_that_emits_updates_streams_them_where_the_phase_is_zero():
    model = with_drawn_weights(models.cham((7, 5, 4, 3), 3, filters=4, skip=3, emit="updates"))
    step = models.streaming(model)
    streamed, _ = run_stream(step, models.start_states(step, 2), CLIPS)
    assert streamed["phase"][0].tolist() == [1, 2, 0, 1, 2, 0, 1]
    np.testing.assert_allclose(
        streamed["probabilities"][:, streamed["phase"][0] == 0],
        model.predict(CLIPS, verbose=0),
        atol=1e-6,
    )


def test_the_second_layer_rests_between_its_updates():
    model = with_drawn_weights(models.cham(SHAPE, 3, filters=4))
    step = models.streaming(model)
    _, before = run_stream(step, models.start_states(step, 2), CLIPS[:, :2])
    _, after = run_stream(step, before, CLIPS[:, 2:3])
    for name in ("h2", "c2"):
        assert np.abs(before[name]).max() > 0
        np.testing.assert_array_equal(after[name], before[name])


def test_weights_are_shared_with_the_model_for_clips(build):
    model = build()
    step = models.streaming(model)
    ours = {id(weight) for weight in model.weights}
    assert step.weights
    assert all(id(weight) in ours for weight in step.weights)


def test_the_model_for_clips_stays_as_it_was(build, tmp_path):
    model = build()
    before = model.predict(CLIPS, verbose=0)
    names = [layer.name for layer in model.layers]
    models.streaming(model)
    models.streaming(model)
    assert [layer.name for layer in model.layers] == names
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(CLIPS, verbose=0), before)
    streamed, _ = run_stream(
        models.streaming(again), models.start_states_from_clip(again, CLIPS), CLIPS
    )
    np.testing.assert_allclose(streamed["probabilities"], before, atol=1e-6)


def test_a_saved_streaming_model_loads_where_only_the_package_is_imported(tmp_path):
    expected = {}
    for name in ("cham", "fc_attention from the mean"):
        model = with_drawn_weights(BUILDERS[name]())
        step = models.streaming(model)
        batch = {"features": CLIPS[:, 0], **models.start_states_from_clip(model, CLIPS)}
        step.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", **batch)
        expected[name] = step.predict_on_batch(batch)
    program = (
        "import sys, numpy as np, keras, cham_keras\n"
        "folder, *names = sys.argv[1:]\n"
        "for name in names:\n"
        "    step = keras.saving.load_model(f'{folder}/{name}.keras')\n"
        "    outputs = step.predict_on_batch(dict(np.load(f'{folder}/{name}.npz')))\n"
        "    np.savez(f'{folder}/{name} outputs.npz', **outputs)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), *expected], check=True)
    for name in expected:
        with np.load(tmp_path / f"{name} outputs.npz") as outputs:
            assert sorted(outputs) == sorted(expected[name])
            for output in outputs:
                np.testing.assert_allclose(outputs[output], expected[name][output], atol=1e-6)


def test_an_exported_step_has_named_tensors_and_no_random_or_assign_operation(build, tmp_path):
    model = build()
    step = models.streaming(model)
    step.export(tmp_path / "step", verbose=False)
    check_graph(tmp_path / "step")
    kinds = {node.op for node, _ in nodes_of_signatures(tmp_path / "step")}
    # One frame needs no loop over frames.
    assert not [kind for kind in kinds if "While" in kind or "TensorList" in kind]
    loaded = tf.saved_model.load(str(tmp_path / "step"))
    served = loaded.signatures["serving_default"]
    states = models.start_states_from_clip(model, CLIPS)
    for frame in range(2):
        inputs = {"features": CLIPS[:, frame], **states}
        outputs = served(**{name: tf.constant(value) for name, value in inputs.items()})
        expected = step.predict_on_batch(inputs)
        assert sorted(outputs) == sorted(expected)
        for name in outputs:
            np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)
        states = {name: expected[name] for name in states}


def test_half_precision_streams_what_it_gives_for_the_clip():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = with_drawn_weights(BUILDERS["cham"]())
    finally:
        keras.config.set_dtype_policy("float32")
    step = models.streaming(model)
    states = models.start_states(step, 2)
    # float32 holds them exactly, and NumPy and JSON know it.
    assert {name: str(state.dtype) for name, state in states.items()} == {
        **dict.fromkeys(("h1", "c1", "h2", "c2"), "float32"),
        "phase": "int32",
    }
    streamed, _ = run_stream(step, states, CLIPS)
    assert_equals_whole_clip(streamed, model, CLIPS, atol=2e-2)
    # A memory that rests keeps what half precision could not hold.
    states["c2"] = random_array(states["c2"].shape, seed=2)
    outputs = step.predict_on_batch({"features": CLIPS[:, 0], **states})
    np.testing.assert_array_equal(outputs["c2"], states["c2"])


def test_jax_streams_the_same(tmp_path):
    pytest.importorskip("jax")
    model = with_drawn_weights(models.cham(SHAPE, 3, filters=4, head_units=8))
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "clips.npz", CLIPS)
    program = (
        "import sys, numpy as np, keras\n"
        "from cham_keras import models\n"
        "folder = sys.argv[1]\n"
        "clips = np.load(folder + '/clips.npz')['arr_0']\n"
        "step = models.streaming(keras.saving.load_model(folder + '/model.keras'))\n"
        "step.save(folder + '/step.keras')\n"
        "step = keras.saving.load_model(folder + '/step.keras')\n"
        "states = models.start_states(step, len(clips))\n"
        "scores = []\n"
        "for t in range(clips.shape[1]):\n"
        "    outputs = step.predict_on_batch({'features': clips[:, t], **states})\n"
        "    states = {name: outputs[name] for name in states}\n"
        "    scores.append(outputs['probabilities'])\n"
        "np.save(folder + '/scores.npy', np.stack(scores, axis=1))\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment)
    np.testing.assert_allclose(
        np.load(tmp_path / "scores.npy"), model.predict(CLIPS, verbose=0), atol=1e-5
    )


def test_what_cannot_stream_is_refused():
    inputs = keras.Input((3,))
    foreign = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="must hold a layer 'recurrence'"):
        models.streaming(foreign)
    with pytest.raises(ValueError, match="must be a model that `streaming` gave"):
        models.start_states(foreign, 1)
    model = BUILDERS["cham"]()
    step = models.streaming(model)
    never_called = keras.Sequential([keras.layers.Dense(3)])
    for other in (step, models.with_attention(model), never_called):
        with pytest.raises(ValueError, match="must have the probabilities as its one output"):
            models.streaming(other)
    for batch_size in (0, 1.0, True):
        with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
            models.start_states(step, batch_size)
    with pytest.raises(ValueError, match="`layer` must be a HierarchicalSkipRNN, or a SpatialRNN"):
        RecurrentStep(SpatialRNN(ConvAttentionLSTMCell(4), go_backwards=True))


def test_zeros_are_no_start_for_a_model_that_starts_from_the_mean(tmp_path):
    step = models.streaming(BUILDERS["fc_attention from the mean"]())
    step.save(tmp_path / "step.keras")
    for each in (step, keras.saving.load_model(tmp_path / "step.keras")):
        with pytest.raises(ValueError, match="Take `start_states_from_clip`"):
            models.start_states(each, 1)


@pytest.mark.parametrize("name", LEARNED)
def test_trained_states_start_a_stream_without_a_clip(name, tmp_path):
    model = with_drawn_weights(LEARNED[name]())
    step = models.streaming(model)
    step.save(tmp_path / "step.keras")
    from_clip = models.start_states_from_clip(model, CLIPS)
    for each in (step, keras.saving.load_model(tmp_path / "step.keras")):
        states = models.start_states(each, 2)
        assert sorted(states) == sorted(from_clip)
        for state, start in states.items():
            np.testing.assert_array_equal(start, from_clip[state])
            assert np.abs(start).max() > 0.1 or state not in ("h", "c", "h1", "c1", "h2", "c2")
        streamed, _ = run_stream(each, states, CLIPS)
        assert_equals_whole_clip(streamed, model, CLIPS)


def test_training_the_model_for_clips_moves_the_start_of_its_stream():
    model = models.fc_attention(SHAPE, 3, units=4, initial_state="learned")
    step = models.streaming(model)
    assert not models.start_states(step)["h"].any()
    model.get_layer("initial_h").state.assign([1.0, 2.0, 3.0, 4.0])
    assert models.start_states(step, 2)["h"].tolist() == [[1.0, 2.0, 3.0, 4.0]] * 2


@pytest.mark.parametrize("build", [models.softmax_regression, models.spatial_convnet])
def test_what_scores_every_frame_by_itself_has_no_stream(build):
    with pytest.raises(ValueError, match="give it clips of one frame. Received: '"):
        models.streaming(build(SHAPE, 3))


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((2, 5, 4, 3), None, r"`features` must be of shape \(batch, time, 5, 4, 3\)"),
        ((2, 7, 5, 4, 2), None, r"Received: \(2, 7, 5, 4, 2\)"),
        ((2, 0, 5, 4, 3), None, "with one frame at least"),
        ((2, 7, 5, 4, 3), [1], r"`lengths` must be 2 number\(s\) from 1 to 7"),
        ((2, 7, 5, 4, 3), [0, 1], r"Received: lengths=\[0, 1\]"),
    ],
)
def test_bad_clips_to_start_from_are_named(shape, lengths, message):
    model = models.fc_attention(SHAPE, 3, units=4, lengths=True)
    with pytest.raises(ValueError, match=message):
        models.start_states_from_clip(model, np.zeros(shape), lengths)


def test_lengths_go_with_models_that_take_them():
    with pytest.raises(ValueError, match="built with lengths=True"):
        models.start_states_from_clip(BUILDERS["cham"](), CLIPS, [7, 7])


# The layers themselves, in chunks of any length.

CHUNKINGS = [("step", (1,) * NUM_FRAMES), ("step", (2, 5)), ("hoisted", (3, 1, 3))]
HOW = {"return_sequences": True, "return_state": True, "return_attention": True}
LAYERS = {
    "conv attention": lambda how: SpatialRNN(ConvAttentionLSTMCell(4), **HOW, **how),
    "soft attention": lambda how: SpatialRNN(SoftAttentionLSTMCell(4), **HOW, **how),
    "skip 2": lambda how: HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)], **HOW, **how
    ),
    "skip 3": lambda how: HierarchicalSkipRNN(
        [ConvAttentionLSTMCell(4), ConvLSTMCell(3)], skip=3, **HOW, **how
    ),
}


@pytest.mark.parametrize(("implementation", "chunks"), CHUNKINGS, ids=str)
@pytest.mark.parametrize("lengths", [None, (6, 3)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_chunks_give_what_the_whole_clip_gives(name, implementation, lengths, chunks):
    layer = LAYERS[name]({"implementation": implementation})
    randomize(layer, CLIPS)
    lengths = None if lengths is None else np.array(lengths, "int32")
    whole_outputs, *whole_states, whole_maps = layer(CLIPS, lengths=lengths)
    states, outputs, maps, start = None, [], [], 0
    for chunk in chunks:
        left = None if lengths is None else np.clip(lengths - start, 0, chunk)
        of_chunk, *states, maps_of_chunk = layer(
            CLIPS[:, start : start + chunk], initial_state=states, lengths=left
        )
        outputs.append(of_chunk)
        maps.append(maps_of_chunk)
        start += chunk
    for ours, theirs in zip(states, whole_states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for ours, theirs in ((outputs, whole_outputs), (maps, whole_maps)):
        ours = np.concatenate(ours, axis=1)
        for clip, length in enumerate(lengths if lengths is not None else (7, 7)):
            np.testing.assert_allclose(ours[clip, :length], theirs[clip, :length], atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_steps_of_a_layer_give_what_the_whole_clip_gives(name):
    layer = LAYERS[name]({})
    randomize(layer, CLIPS)
    outputs, *last_states, maps = layer(CLIPS)
    states = [np.zeros_like(state) for state in last_states]
    for frame in range(NUM_FRAMES):
        at_frame, states, attention = layer.step(CLIPS[:, frame], states)
        np.testing.assert_allclose(at_frame, outputs[:, frame], atol=1e-6)
        np.testing.assert_allclose(attention, maps[:, frame], atol=1e-6)
    for ours, theirs in zip(states, last_states, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
