"""A video or a stream gets the same scores from a run, an export and a server."""

import json

import numpy as np
import pytest
from export_testing import CLASSES, write_tiny_run

from cham_keras.cli.main import run_command
from cham_keras.data.frames import Resizing, probe_video, read_frames
from cham_keras.data.frames.live_frames import open_live_frames
from cham_keras.export import (
    StreamClassifier,
    VideoClassifier,
    export_saved_model,
    open_export,
    open_served,
)
from cham_keras.export.inference import KerasScorer
from cham_keras.serving.clients import GrpcClient, RestClient, ServerError
from cham_keras.serving.stand_in import StandIn


@pytest.fixture(scope="module")
def base(run, tmp_path_factory):
    return export_saved_model(run, tmp_path_factory.mktemp("served") / "cham", frames=True).parent


@pytest.fixture(scope="module")
def server(base):
    with StandIn(base, port=0, rest_port=0, xla=True) as running:
        yield running


@pytest.fixture(scope="module")
def clients(server):
    return {
        "grpc": GrpcClient(f"127.0.0.1:{server.port}", "cham"),
        "rest": RestClient(f"127.0.0.1:{server.rest_port}", "cham"),
    }


@pytest.fixture(scope="module")
def films(shards):
    return [shards.parent / "films" / f"test-{number}.mp4" for number in range(3)]


@pytest.mark.parametrize("way", ["grpc", "rest"])
@pytest.mark.parametrize("wire", ["features", "examples", "jpeg"])
def test_videos_get_the_runs_scores_from_a_server(way, wire, clients, films, run):
    by_server = VideoClassifier(open_served(clients[way], wire))
    by_run = VideoClassifier(run)
    found = [by_server.predict(film) for film in films]
    expected = [by_run.predict(film) for film in films]
    # JPEG changes the pixels, and with them everything a little.
    tolerance = 0.05 if wire == "jpeg" else 1e-5
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.frame_numbers, theirs.frame_numbers)
        for name in ("clip_probabilities", "probabilities", "attention"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=tolerance)
    if wire != "jpeg":
        scores = np.stack([prediction.clip_probabilities for prediction in expected])
        assert np.ptp(scores, axis=0).max() > 0.03


def test_a_model_without_jpeg_frames_says_what_to_do(version, run, tmp_path):
    with StandIn(version.parent, port=0, rest_port=0, xla=True) as running:
        client = GrpcClient(f"127.0.0.1:{running.port}", version.parent.name)
        with pytest.raises(ValueError, match="must have the signature jpeg_frames.*with --frames"):
            open_served(client, "jpeg")


def test_a_model_of_another_kind_is_named():
    class Other:
        def signatures(self):
            return {"serving_default": None}

    with pytest.raises(ValueError, match="must be one that `cham export` wrote"):
        open_served(Other())


@pytest.mark.parametrize("source", ["run", "export", "server"])
def test_a_stream_gets_frame_by_frame_what_the_clip_gets(source, run, base, clients, films):
    sources = {
        "run": run,
        "export": open_export(base),
        "server": open_served(clients["grpc"]),
    }
    classify = StreamClassifier(sources[source])
    frames = [frame for _, frame in open_live_frames(str(films[2]), classify.resizing)[1]]
    steps = [classify(frame) for frame in frames]
    features = VideoClassifier(run)._features(films[2], np.arange(len(frames)))
    expected = KerasScorer(run)(features[None])
    np.testing.assert_allclose(
        [step.probabilities for step in steps], expected["probabilities"][0], atol=1e-5
    )
    np.testing.assert_allclose(
        [step.attention for step in steps], expected["attention"][0], atol=1e-5
    )
    np.testing.assert_allclose(
        steps[-1].mean_probabilities, expected["clip_probabilities"][0], atol=1e-5
    )
    assert [step.number for step in steps] == list(range(12))
    classify.begin()
    again = classify(frames[0])
    np.testing.assert_allclose(again.probabilities, steps[0].probabilities, atol=1e-6)
    assert np.abs(steps[1].probabilities - steps[0].probabilities).max() > 1e-4


def test_a_model_that_starts_from_the_clips_mean_takes_no_stream(shards, tmp_path):
    run = write_tiny_run(tmp_path / "run", shards, "fc_attention")
    with pytest.raises(ValueError, match="starts from the mean of a clip"):
        StreamClassifier(run)
    version = export_saved_model(run, tmp_path / "export")
    with pytest.raises(ValueError, match="must have the signatures step and initial_states"):
        StreamClassifier(open_export(version))


def cham(*tokens: object) -> int:
    return run_command([str(token) for token in tokens])


def said(text: str) -> str:
    return " ".join(text.split())


def test_the_command_predicts_by_a_server(server, films, run, capsys):
    address = f"127.0.0.1:{server.port}"
    assert cham("predict", films[1], "--run", run.folder, "--json") == 0
    by_run = json.loads(capsys.readouterr().out)
    for options in (
        ("--server", address),
        ("--server", f"127.0.0.1:{server.rest_port}", "--rest"),
    ):
        assert cham("predict", films[1], *options, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["top"] == [[name, pytest.approx(p, abs=1e-5)] for name, p in by_run["top"]]


def test_the_command_classifies_a_stream_and_writes_a_film(base, films, tmp_path, capsys):
    film = tmp_path / "film.mp4"
    arguments = ("predict", films[2], "--stream", "--model", base)
    assert cham(*arguments, "--film", film) == 0
    printed = capsys.readouterr().out
    assert "frame 11" in printed and "12 frames of" in said(printed)
    assert all(name in printed for name in CLASSES)
    info = probe_video(film)
    assert (info.width, info.height, info.num_frames) == (64, 48 + 28, 12)
    assert cham(*arguments, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    assert sum(lines[3]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_stream_that_breaks_off_keeps_its_film_and_says_so(
    base, films, tmp_path, capsys, monkeypatch
):
    step = StreamClassifier.__call__

    def breaking(self, frame):
        if self._number == 5:
            raise ConnectionError("The server is gone.")
        return step(self, frame)

    monkeypatch.setattr(StreamClassifier, "__call__", breaking)
    film = tmp_path / "film.mp4"
    assert cham("predict", films[2], "--stream", "--model", base, "--film", film) == 2
    error = said(capsys.readouterr().err)
    assert f"The film until frame 5 lies in {film}." in error
    assert "The server is gone." in error
    assert probe_video(film).num_frames == 5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--server", "127.0.0.1:1"), "127.0.0.1:1"),
        (("--server", "nowhere"), "`address` must be a host and a port"),
        (("--server", "ADDRESS", "--name", "other"), "other"),
        (("--server", "ADDRESS", "--model", "x"), "Exactly one of --run, --model and --server"),
        (("--model", "x", "--film", "film.mp4"), "--film goes with --stream"),
        (("--model", "BASE", "--stream", "--film", "film.gif"), "must end in one of"),
        (("--model", "BASE", "--rest"), "--rest goes with --server"),
        (("--model", "BASE", "--name", "other"), "--name goes with --server"),
        (("--model", "BASE", "--wire", "jpeg"), "--wire goes with --server"),
        (
            ("--server", "ADDRESS", "--wire", "jpeg", "--stream"),
            "A stream sends features. Received: --stream with --wire jpeg",
        ),
    ],
)
def test_what_cannot_be_asked_gives_a_sentence(server, base, films, options, sentence, capsys):
    known = {"ADDRESS": f"127.0.0.1:{server.port}", "BASE": base}
    options = [known.get(option, option) for option in options]
    assert cham("predict", films[0], *options) == 2
    error = said(capsys.readouterr().err)
    assert sentence in error and "Traceback" not in error and "not an error of yours" not in error


@pytest.mark.parametrize(
    ("source", "kind", "sentence"),
    [
        ("nowhere.mp4", FileNotFoundError, "no video file"),
        ("/dev/video99", FileNotFoundError, "There is no camera"),
        ("http://127.0.0.1:9/stream", ValueError, "cannot be read as a video"),
    ],
)
def test_sources_that_are_not_there_are_named(source, kind, sentence):
    with pytest.raises(kind, match=sentence):
        open_live_frames(source, Resizing(32))


def test_an_address_gives_the_frames_of_its_video(films, tmp_path):
    import functools
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=films[2].parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{web.server_address[1]}/{films[2].name}"
        rate, frames = open_live_frames(address, Resizing(32), frame_stride=2)
        found = list(frames)
        web.shutdown()
    assert rate == 20
    pictures = list(read_frames(films[2], frame_stride=2))
    resized = list(read_frames(films[2], frame_stride=2, resizing=Resizing(32)))
    assert len(found) == len(resized) == 6
    for (ours, small), theirs, expected in zip(found, pictures, resized, strict=True):
        # FFmpeg's plain conversion here, and one with exact rounding there.
        assert np.abs(ours.astype(int) - theirs.astype(int)).mean() < 2
        np.testing.assert_array_equal(small, expected)


def test_a_server_that_is_gone_in_the_middle_is_named(base, films):
    with StandIn(base, port=0, rest_port=0, xla=True) as running:
        classify = StreamClassifier(open_served(GrpcClient(f"127.0.0.1:{running.port}", "cham")))
        frames = read_frames(films[2])
        classify(next(frames))
    with pytest.raises(ServerError):
        classify(next(frames))
