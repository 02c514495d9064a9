"""Several hosts on JAX train what one device trains; here they are processes of this host."""

import functools

import numpy as np
import pytest
from device_testing import CLIPS, SETTINGS, assert_same_run, end, finish, free_addresses, start
from shard_making import make_shards

from cham_keras.data import clip_dataset, read_manifest
from cham_keras.data.reading.frame_reader import FrameReader
from cham_keras.runs import RunSettings
from cham_keras.settings import settings_from_dict
from cham_keras.training import host_batches, hosts, parallel_hosts, train
from cham_keras.training.host_batches import part_of_batches, part_of_clips
from cham_keras.training.hosts import Hosts, connect, named_hosts
from cham_keras.training.parallel_hosts import ParallelHosts

# With what several devices on TensorFlow cannot do, and validation clips that 4 does not divide.
EVERYTHING = {
    **SETTINGS,
    "class_weights": "balanced",
    "optimizer": {"learning_rate": 0.01, "clip_norm": 0.5},
}
QUICK = settings_from_dict(RunSettings, SETTINGS, source="test")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("data") / "shards", clips_per_class=CLIPS)


@pytest.fixture(scope="module")
def one_device(shards, tmp_path_factory):
    """A run on one device with whole batches."""
    pytest.importorskip("jax", reason="needs Keras's jax backend: run `pip install jax`")
    run = tmp_path_factory.mktemp("runs") / "one"
    finish(start(shards, run, backend="jax", settings=EVERYTHING))
    return run


def start_hosts(shards, folder, *options_of_hosts, **options):
    """Starts a process for each dictionary of options; each one's run folder is its number."""
    pytest.importorskip("jax", reason="needs Keras's jax backend: run `pip install jax`")
    addresses = free_addresses(len(options_of_hosts))
    return [
        start(
            shards,
            folder / str(index),
            backend="jax",
            **{"settings": EVERYTHING, "hosts": addresses, "index": index, **options, **own},
        )
        for index, own in enumerate(options_of_hosts)
    ]


def test_two_hosts_train_what_one_device_trains_with_the_doubled_batch(
    shards, one_device, tmp_path
):
    # Two devices each: the 4 clips of a batch are divided twice.
    finish(*start_hosts(shards, tmp_path, {}, {}, logical_devices=2))
    assert_same_run(tmp_path / "0", one_device, tolerance=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["0"]  # only host 0 writes


def test_two_devices_of_one_host_on_jax_train_what_one_device_trains(shards, one_device, tmp_path):
    run = tmp_path / "run"
    finish(start(shards, run, backend="jax", settings=EVERYTHING, logical_devices=2, devices=2))
    assert_same_run(run, one_device, tolerance=1e-4)


def test_a_signal_to_one_host_stops_all_and_the_same_commands_go_on(shards, one_device, tmp_path):
    for code, said in end(*start_hosts(shards, tmp_path, {}, {"stop_at_batch": 3})):
        assert code == 130, said
    assert (tmp_path / "0" / "checkpoint.npz").is_file()
    assert not (tmp_path / "0" / "last.keras").exists()
    # Host 1 has no run folder; it gets what it goes on from.
    finish(*start_hosts(shards, tmp_path, {}, {}))
    assert_same_run(tmp_path / "0", one_device, tolerance=1e-4)


def test_a_host_that_fails_does_not_leave_the_other_one_hanging(shards, tmp_path):
    endless = {**EVERYTHING, "epochs": 100_000}
    processes = start_hosts(
        shards, tmp_path, {}, {"fail_at_batch": 3}, settings=endless, wait_seconds=10
    )
    (code_of_0, _), (code_of_1, said) = end(*processes)
    assert code_of_0 != 0
    assert code_of_1 != 0
    assert "Host 1 of 2 has ended. A host that has not will do so within" in said


def test_a_host_that_waits_in_vain_says_for_whom(shards, tmp_path, monkeypatch, capsys):
    pytest.importorskip("jax", reason="needs Keras's jax backend: run `pip install jax`")
    monkeypatch.setattr(hosts.keras.config, "backend", lambda: "jax")
    monkeypatch.setattr(hosts, "CONNECT_SECONDS", 1)
    addresses = free_addresses(2)
    with pytest.raises(ConnectionError, match=rf"Host 0 must answer at {addresses[0]} within 1 s"):
        connect(Hosts(tuple(addresses), 1))
    assert "Host 1 of 2 waits up to 1 s for the others" in capsys.readouterr().err


def test_hosts_are_named_on_the_command_line_or_in_the_environment():
    environment = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1,b:2",
        "KERAS_DISTRIBUTION_PROCESS_ID": "1",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    assert named_hosts(environment=environment) == Hosts(("a:1", "b:2"), 1)
    assert named_hosts("c:1,d:1", 0, environment=environment) == Hosts(("c:1", "d:1"), 0)
    assert named_hosts(environment={}) is None


@pytest.mark.parametrize(
    ("addresses", "index", "environment", "sentence"),
    [
        ("a:1,b:1", None, {}, r"must be given together.*Received: hosts a:1,b:1 only"),
        (None, 1, {}, r"must be given together.*Received: index 1 only"),
        ("a:1,b", 0, {}, r"must each be ADDRESS:PORT. Received: 'b'"),
        ("a:1,b:70000", 0, {}, r"must each be ADDRESS:PORT. Received: 'b:70000'"),
        ("a:1,a:1", 0, {}, r"must name each process once"),
        ("a:1", 0, {}, r"`hosts` must be at least two"),
        ("a:1,b:1", 2, {}, r"`host_index` must be from 0 to 1.*Received: 2"),
        ("a:1,b:1", -1, {}, r"`host_index` must be a number from 0 on. Received: '-1'"),
        (
            None,
            None,
            {
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1,b:2",
                "KERAS_DISTRIBUTION_PROCESS_ID": "0",
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "4",
            },
            r"NUM_PROCESSES must be the number of the addresses, 2. Received: 4",
        ),
    ],
)
def test_hosts_that_cannot_be_are_refused(addresses, index, environment, sentence):
    with pytest.raises(ValueError, match=sentence):
        named_hosts(addresses, index, environment)


def test_several_hosts_need_jax_and_nothing_is_written(shards, tmp_path):
    two = Hosts(("127.0.0.1:1", "127.0.0.1:2"), 0)
    with pytest.raises(ValueError, match="Received: tensorflow. Set KERAS_BACKEND=jax before"):
        train(shards, tmp_path / "run", QUICK, hosts=two)
    with pytest.raises(ValueError, match="backend jax"):
        connect(two)
    with pytest.raises(ValueError, match="`devices` must not be given with `hosts`"):
        train(shards, tmp_path / "run", QUICK, hosts=two, devices=2)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def layout(monkeypatch):
    """The layout of host 0 of two hosts with two devices, without the hosts."""
    layout = ParallelHosts.__new__(ParallelHosts)
    layout.num_devices = 4
    monkeypatch.setattr(parallel_hosts, "_num_local_devices", lambda: 2)
    return layout


def test_hosts_with_other_settings_or_shards_are_refused(layout, shards, monkeypatch):
    def other_host(array):
        return np.stack([array, array + (array.dtype == np.uint8)])

    monkeypatch.setattr(parallel_hosts, "_gathered", other_host)
    with pytest.raises(ValueError, match="same settings. Received: other ones on host 1 than"):
        layout.check(RunSettings(), read_manifest(shards))


def test_hosts_with_other_numbers_of_devices_are_refused(layout, shards, monkeypatch):
    monkeypatch.setattr(parallel_hosts, "_gathered", lambda array: np.stack([array, array + 1]))
    with pytest.raises(ValueError, match="same number of devices. Received: 2, 3"):
        layout.check(RunSettings(), read_manifest(shards))


def first_batches(clips, number):
    return [
        (*inputs.values(), targets) for inputs, targets in clips.take(number).as_numpy_iterator()
    ]


@pytest.mark.parametrize("is_random_access", [True, False])
def test_the_parts_of_all_hosts_are_the_whole_batches(is_random_access, shards, monkeypatch):
    arguments = {
        "num_frames": 5,
        "batch_size": 6,
        "sampling": "random",
        "shuffle": True,
        "seed": 4,
        "short_clips": "pad",
        "repeat": True,
        "start_batch": 1,
        "mirror": True,
    }
    read = functools.partial(part_of_clips, shards, "train", num_parts=3, **arguments)
    reading = "auto" if is_random_access else "sequential"
    whole = first_batches(clip_dataset(shards, "train", reading=reading, **arguments), 4)
    if not is_random_access:
        monkeypatch.setattr(host_batches, "places_of_clips", lambda files, manifest: None)
        sequential = functools.partial(clip_dataset, reading="sequential")
        monkeypatch.setattr(host_batches, "clip_dataset", sequential)
    parts = [first_batches(read(part=part), 4) for part in range(3)]
    for number, batch in enumerate(whole):
        for position, array in enumerate(batch):
            joined = np.concatenate([part[number][position] for part in parts])
            np.testing.assert_array_equal(joined, array)


def test_a_host_reads_only_its_part(shards, monkeypatch):
    numbers_of_clips = []
    before = FrameReader.read

    def counted(reader, clips, *others):
        numbers_of_clips.append(len(clips))
        return before(reader, clips, *others)

    monkeypatch.setattr(FrameReader, "read", counted)
    clips = part_of_clips(
        shards,
        "train",
        num_frames=5,
        batch_size=6,
        part=1,
        num_parts=2,
        sampling="random",
        shuffle=True,
        seed=0,
        short_clips="repeat",
        repeat=True,
    )
    first_batches(clips, 3)
    assert set(numbers_of_clips) == {3}


def test_validation_parts_are_the_rows_of_each_batch(shards):
    clips = clip_dataset(shards, "validation", num_frames=5, batch_size=6)
    parts = [first_batches(part_of_batches(clips, part, num_parts=3), 2) for part in range(3)]
    for number, batch in enumerate(first_batches(clips, 2)):
        for position, array in enumerate(batch):
            joined = np.concatenate([part[number][position] for part in parts])
            np.testing.assert_array_equal(joined, array)
