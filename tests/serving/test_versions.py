"""Versions that come and go while the stand-in serves, and its end."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from serving_testing import predict_log, slow_inputs, write_warmup
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2, prediction_service_pb2_grpc

from cham_keras.serving.clients import GrpcClient, RestClient, ServerError
from cham_keras.serving.stand_in import StandIn
from cham_keras.serving.stand_in.loaded_version import LoadedVersion
from cham_keras.serving.stand_in.served_versions import ServedVersions
from cham_keras.serving.stand_in.version_folders import version_folders

ONES = {"x": np.ones((1, 2), np.float32)}


def stand_in(base, **arguments):
    return StandIn(base, name="toy", port=0, rest_port=0, poll_seconds=0.05, xla=True, **arguments)


def put(folder, base, number):
    """Puts a version in place whole, as the export does."""
    shutil.copytree(folder, base / ".coming")
    (base / ".coming").rename(base / str(number))


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def states_of(server):
    names = get_model_status_pb2.ModelVersionStatus.State.Name
    return {number: names(state.state) for number, state in server.versions.states("toy").items()}


def answer_of(server):
    with GrpcClient(f"127.0.0.1:{server.port}", "toy") as client:
        return client.predict("single", ONES)["y"][0, 0]


def test_only_folders_whose_names_are_numbers_are_versions(tmp_path):
    for name in ("1", "020", "x", ".3", "-4", "5.tmp", "²", "٧"):
        (tmp_path / name).mkdir()
    (tmp_path / "6").write_text("a file")
    found = version_folders(tmp_path)
    assert found == {1: tmp_path / "1", 20: tmp_path / "020"}
    assert version_folders(tmp_path / "missing") == {}


def test_a_newer_version_takes_the_place_of_the_older_one(own_copy, other_toy_folder):
    base = own_copy.parent
    events = []
    with stand_in(base, log=events.append) as server:
        assert answer_of(server) == 2
        put(other_toy_folder, base, 2)
        wait_for(lambda: states_of(server) == {2: "AVAILABLE", 1: "END"})
        assert answer_of(server) == -3
        with GrpcClient(f"127.0.0.1:{server.port}", "toy") as client:
            told = [(version.version, version.state) for version in client.status()]
        assert told == [(2, "AVAILABLE"), (1, "END")]
    assert [event.split(" of toy")[0] for event in events if "Version" in event] == [
        "Version 1",
        "Version 2",
        "Version 1",
        "Version 2",
    ]


def test_while_two_versions_are_loaded_the_newest_answers_and_both_by_number(
    own_copy, other_toy_folder
):
    versions = ServedVersions("toy", own_copy.parent, log=lambda event: None, xla=True)
    versions.look()
    versions._load(2, other_toy_folder)  # as `look` does before it drops the older one
    for number, scale in ((None, -3), (1, 2), (2, -3)):
        with versions.version("toy", number) as loaded:
            assert loaded.model.run("single", ONES)["y"][0, 0] == scale
    versions.stop()


def test_a_version_is_freed_when_its_last_request_has_ended(own_copy):
    loaded = LoadedVersion(1, own_copy, xla=True)
    loaded.acquire()
    loaded.acquire()
    closing = threading.Thread(target=loaded.close)
    closing.start()
    loaded.release()
    closing.join(0.2)
    assert closing.is_alive()
    assert loaded.model.run("single", ONES)["y"][0, 0] == 2
    loaded.release()
    closing.join(10)
    assert not closing.is_alive()


def test_a_removed_version_gives_way_to_the_older_one(own_copy, other_toy_folder):
    base = own_copy.parent
    put(other_toy_folder, base, 2)
    with stand_in(base) as server:
        assert answer_of(server) == -3
        shutil.rmtree(base / "2")
        wait_for(lambda: states_of(server).get(1) == "AVAILABLE")
        wait_for(lambda: answer_of(server) == 2)
        shutil.rmtree(base / "1")
        wait_for(lambda: states_of(server)[1] == "END")
        with pytest.raises(ServerError, match="must be one that the server"):
            answer_of(server)


def test_requests_while_versions_change_are_all_answered_by_one_of_them(own_copy, other_toy_folder):
    base = own_copy.parent
    seen, wrong, stop = set(), [], threading.Event()

    def ask(client, seed):
        rows = seed + 1
        x = np.full((rows, 2), seed + 1, np.float32)
        while not stop.is_set():
            try:
                factor = client.predict("single", {"x": x})["y"] / x
            except (ServerError, ValueError) as error:
                wrong.append(error)
                return
            if factor.shape != (rows, 2) or len(set(factor.ravel().tolist())) != 1:
                wrong.append(factor)
            seen.add(float(factor[0, 0]))

    with stand_in(base) as server:
        clients = [GrpcClient(f"127.0.0.1:{server.port}", "toy") for _ in range(3)]
        clients += [RestClient(f"127.0.0.1:{server.rest_port}", "toy") for _ in range(2)]
        threads = [
            threading.Thread(target=ask, args=(client, seed)) for seed, client in enumerate(clients)
        ]
        for thread in threads:
            thread.start()
        try:
            for number in range(2, 8):
                put(other_toy_folder if number % 2 == 0 else own_copy, base, number)
                wait_for(lambda number=number: states_of(server).get(number) == "AVAILABLE")
                wait_for(lambda number=number: states_of(server).get(number - 1) == "END")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for client in clients:
            client.close()
    assert not wrong
    assert seen == {2.0, -3.0}


def test_a_request_under_way_ends_on_the_version_that_it_began_on(own_copy, other_toy_folder):
    base = own_copy.parent
    with stand_in(base) as server:
        with server.versions.version("toy") as loaded:  # as each request does
            put(other_toy_folder, base, 2)
            wait_for(lambda: states_of(server) == {2: "AVAILABLE", 1: "UNLOADING"})
            assert answer_of(server) == -3
            assert loaded.model.run("single", ONES)["y"][0, 0] == 2
        wait_for(lambda: states_of(server) == {2: "AVAILABLE", 1: "END"})


@pytest.mark.parametrize("fault", ["no graph", "failing warm-up"])
def test_a_broken_version_is_reported_and_the_older_one_stays_until_it_is_mended(
    own_copy, other_toy_folder, fault
):
    base = own_copy.parent
    broken = base.parent / "broken"
    shutil.copytree(other_toy_folder, broken)
    good = (broken / "saved_model.pb").read_bytes()
    if fault == "no graph":
        (broken / "saved_model.pb").write_bytes(b"nonsense")
    else:
        log = predict_log("nothing", {}).SerializeToString()
        write_warmup(broken, [predict_log("single", ONES).SerializeToString(), log])
    events = []
    with stand_in(base, log=events.append) as server:
        put(broken, base, 2)
        wait_for(lambda: states_of(server) == {2: "END", 1: "AVAILABLE"})
        time.sleep(0.3)  # it is not tried again and again
        assert len([event for event in events if "Version 2" in event]) == 1
        assert answer_of(server) == 2
        with RestClient(f"127.0.0.1:{server.rest_port}", "toy") as client:
            newest = client.status()[0]
        assert (newest.version, newest.state) == (2, "END")
        assert ("Record 2 of" if fault == "failing warm-up" else "Read less bytes") in newest.error
        if fault == "no graph":
            (base / "2" / "saved_model.pb").write_bytes(good)
        else:
            write_warmup(base / "2", [predict_log("single", ONES).SerializeToString()])
        wait_for(lambda: states_of(server) == {2: "AVAILABLE", 1: "END"})
        assert answer_of(server) == -3
    told = [event for event in events if "Version 2" in event]
    assert told[0].startswith("Version 2 of toy cannot be served: ")
    records = 1 if fault == "failing warm-up" else 0
    assert told[1] == f"Version 2 of toy is served; it has answered {records} warm-up requests."


@pytest.mark.parametrize("kind", [GrpcClient, RestClient])
def test_the_end_waits_for_requests_under_way(own_copy, kind):
    server = stand_in(own_copy.parent)
    server.start()
    port = server.port if kind is GrpcClient else server.rest_port
    client = kind(f"127.0.0.1:{port}", "toy")
    inputs = slow_inputs(client)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.predict, "slow", inputs)
        time.sleep(0.2)
        assert not slow.done()
        server.stop()
        assert slow.result()["trace"] == 512
    with pytest.raises(ServerError, match="A server must run at"):
        client.predict("single", ONES)
    client.close()
    assert states_of(server) == {1: "END"}


@pytest.mark.parametrize("kind", [GrpcClient, RestClient])
def test_a_request_that_takes_longer_than_the_grace_is_cut_off(own_copy, kind):
    server = stand_in(own_copy.parent)
    server.start()
    port = server.port if kind is GrpcClient else server.rest_port
    client = kind(f"127.0.0.1:{port}", "toy")
    inputs = slow_inputs(client)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.predict, "slow", inputs)
        time.sleep(0.1)
        server.stop(grace_seconds=0.1)
        with pytest.raises(ServerError):
            slow.result()
    client.close()
    assert states_of(server) == {1: "END"}


def test_the_end_does_not_wait_for_connections_without_a_request(own_copy):
    import http.client

    server = stand_in(own_copy.parent)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port)
    connection.request("GET", "/v1/models/toy")
    connection.getresponse().read()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Predict(predict_pb2.PredictRequest())
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5
    connection.close()


def test_what_cannot_be_served_is_refused_at_the_start(tmp_path, own_copy, server):
    with pytest.raises(ValueError, match="The folder of versions must exist. Received: "):
        stand_in(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold a folder whose name is a number"):
        stand_in(tmp_path / "empty").start()
    with pytest.raises(ValueError, match="must be a local path"):
        stand_in("gs://bucket/served")
    (own_copy / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="The newest version must be one that can be loaded"):
        stand_in(own_copy.parent).start()


@pytest.mark.parametrize("option", ["port", "rest_port"])
def test_a_port_that_is_held_is_named(own_copy, server, option):
    held = getattr(server, option)
    with pytest.raises(ValueError, match=rf"`{option}` must be free at .* Received: {held} \("):
        StandIn(own_copy.parent, **{"port": 0, "rest_port": 0, option: held}, xla=True).start()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"port": 8500, "rest_port": 8500}, "must differ. Received: 8500 for both"),
        ({"poll_seconds": 0}, "must be above 0"),
    ],
)
def test_arguments_out_of_range_are_refused(own_copy, arguments, words):
    with pytest.raises(ValueError, match=words):
        StandIn(own_copy.parent, **arguments)


def test_a_port_that_is_none_is_refused(own_copy):
    with pytest.raises(ValueError, match="between 0 and 65535. Received: 70000"):
        StandIn(own_copy.parent, port=70000).start()
