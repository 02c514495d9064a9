"""What is shown of a fit: the bar, TensorBoard's scalars, graph and attention maps."""

import re
import signal

import numpy as np
import pytest
import tensorflow as tf
from shard_making import make_shards
from training_testing import called_before, settings_of, with_quick_model  # noqa: F401

from cham_keras.progress import stderr
from cham_keras.training import TrainingStopped, train
from cham_keras.training.callbacks.tensorboard import attention_row
from cham_keras.training.input_wait import InputWait
from cham_keras.training.resume_state import FitPlan, FitState


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards")


def events_in(folder):
    """(tag, step, value) of all events below a folder; an image as its height and width."""
    found = []
    for path in sorted(folder.rglob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                content = tf.make_ndarray(value.tensor)
                plugin = value.metadata.plugin_data.plugin_name
                if plugin == "images":
                    content = tuple(int(size) for size in content[:2][::-1])
                found.append((value.tag, event.step, plugin, content))
    return found


def test_tensorboard_has_scalars_and_the_graph_once(shards, tmp_path, with_quick_model):  # noqa: F811
    settings = settings_of(epochs=2, optimizer__decay_iteration=4, optimizer__learning_rate=0.5)
    train(shards, tmp_path / "run", settings)
    logs = tmp_path / "run" / "tensorboard"
    training = {(tag, step): value for tag, step, _, value in events_in(logs / "train")}
    assert training["epoch_learning_rate", 0] == pytest.approx(0.5)
    assert training["epoch_learning_rate", 1] == pytest.approx(0.05)
    assert 0 <= training["epoch_input_wait", 1] <= 1
    assert {"epoch_loss", "epoch_clip_accuracy"} <= {tag for tag, _ in training}
    validation = [(tag, step) for tag, step, _, _ in events_in(logs / "validation")]
    assert ("epoch_clip_accuracy", 1) in validation
    graphs = [tag for tag, _, plugin, _ in events_in(logs) if plugin == "graph_keras_model"]
    assert graphs == ["keras"]
    assert not (logs / "attention").exists()  # this model has none


def test_a_run_that_goes_on_writes_no_second_graph(shards, tmp_path, with_quick_model):  # noqa: F811
    stop = called_before("on_train_batch_end", 4, lambda: signal.raise_signal(signal.SIGTERM))
    with stop, pytest.raises(TrainingStopped):
        train(shards, tmp_path / "run", settings_of(epochs=2))
    train(shards, tmp_path / "run", settings_of(epochs=2))
    events = events_in(tmp_path / "run" / "tensorboard")
    assert [tag for tag, _, plugin, _ in events if plugin == "graph_keras_model"] == ["keras"]
    epochs = [step for tag, step, *_ in events if tag == "epoch_learning_rate"]
    assert sorted(epochs) == [0, 1]


def test_tensorboard_has_maps_of_a_model_with_attention(shards, tmp_path):
    settings = settings_of(epochs=2, model={"name": "fc_attention", "filters": 2, "head_units": 4})
    train(shards, tmp_path / "run", settings)
    images = events_in(tmp_path / "run" / "tensorboard" / "attention")
    # Three clips, two epochs; three frames side by side of 3 x 4 positions, 8 pixels each.
    assert {(tag, step) for tag, step, _, _ in images} == {
        (f"attention/clip_{number}", step) for number in range(3) for step in range(2)
    }
    assert {size for *_, size in images} == {(24, 3 * 32 + 2)}


def test_a_row_of_maps_is_evenly_spaced_and_scaled_to_one():
    maps = np.zeros((16, 1, 2), "float32")
    maps[:, 0, 1] = np.arange(16) / 100
    row = attention_row(maps)
    assert row.shape == (8, 8 * 16 + 7)
    shown = row[0, 8::17] * 15  # the first pixel of each map's second position
    np.testing.assert_allclose(shown, np.arange(1, 16, 2), rtol=1e-5)
    assert (row[:, 16] == 0.5).all()


def test_the_bar_shows_all_figures(shards, tmp_path, capsys, monkeypatch, with_quick_model):  # noqa: F811
    monkeypatch.setattr("cham_keras.training.callbacks.progress._WINDOW_SECONDS", 0.0)
    monkeypatch.setattr(stderr, "width", 160, raising=False)
    monkeypatch.setattr(stderr, "_width", 160)
    train(shards, tmp_path / "run", settings_of(epochs=2, optimizer__accumulation_steps=2))
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(
        r"training softmax_regression .* 6/6 in \S+ loss \d+\.\d\d acc 0\.\d\d val 0\.\d\d "
        r"\S+ steps/s wait \d+% lr 0\.05",
        said,
    ), said


def test_the_wait_is_the_time_until_a_batch_comes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    wait = InputWait()

    def slow(number):
        now[0] += 3.0
        return number

    clips = tf.data.Dataset.range(4).map(lambda x: tf.numpy_function(slow, [x], tf.int64))
    wait.on_train_begin()
    batches = iter(wait.watched(clips))
    for step in range(4):
        wait.on_train_batch_begin(step)
        assert next(batches)[0] == step
        now[0] += 1.0  # the model's own work
        wait.on_train_batch_end(step)
    # The first step is the one that is compiled.
    assert wait.seconds == 9.0
    assert wait.training_seconds == 12.0
    assert wait.share_since(4.0, 3.0) == 0.75


def test_better_is_higher_accuracy_or_lower_loss_and_a_tie_is_not():
    accuracy, loss = (FitPlan(9, 1, monitor=f"val_{x}") for x in ("clip_accuracy", "loss"))
    assert accuracy.is_better(0.6, 0.5)
    assert not accuracy.is_better(0.5, 0.5)
    assert loss.is_better(0.4, 0.5)
    assert not loss.is_better(0.5, 0.5)
    assert loss.is_better(7.0, None)


@pytest.mark.parametrize(("min_epochs", "end"), [(0, 4), (6, 6)])
def test_patience_counts_epochs_and_min_epochs_holds_it_off(min_epochs, end):
    plan = FitPlan(9, 1, monitor="val_loss", patience=2, min_epochs=min_epochs)
    state = FitState()
    for figure in (3.0, 2.0, 2.5, 2.0, 2.1, 2.2, 2.3):
        state.end_epoch({"val_loss": figure}, plan)
        if state.is_finished(plan):
            break
    assert (state.epoch, state.kept_epoch, state.best) == (end, 2, 2.0)


@pytest.mark.parametrize(("min_delta", "end"), [(0.0, 7), (0.3, 3)])
def test_gains_within_min_delta_do_not_hold_off_the_end_but_are_kept(min_delta, end):
    plan = FitPlan(9, 1, monitor="val_loss", patience=2, min_delta=min_delta)
    state = FitState()
    for figure in (3.0, 2.9, 2.8, 2.6, 2.5, 2.7, 2.55):
        state.end_epoch({"val_loss": figure}, plan)
        if state.is_finished(plan):
            break
    # With 0.3, neither 2.9 nor 2.8 counts beside 3.0, and yet 2.8 is the best that is kept.
    assert state.epoch == end
    assert state.best == (2.5 if min_delta == 0.0 else 2.8)
    steady = FitState()
    for figure in (3.0, 2.8, 2.6, 2.4, 2.2):  # small steps add up
        steady.end_epoch({"val_loss": figure}, plan)
    assert not steady.stopped
