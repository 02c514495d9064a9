"""`cham export` and `cham predict`: from a run to a version, from a video to a table."""

import json

import pytest
from export_testing import CLASSES, write_tiny_run, write_tiny_shards

from cham_keras.cli.main import run_command


def cham(*tokens: object) -> int:
    """Runs the command line in this process; returns the exit code."""
    return run_command([str(token) for token in tokens])


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_tiny_run(folder / "run", write_tiny_shards(folder))
    return folder / "run"


@pytest.fixture(scope="module")
def video(run_folder):
    return run_folder.parent / "films" / "test-2.mp4"


def said(text: str) -> str:
    """What was printed, without the line breaks of a narrow screen."""
    return " ".join(text.split())


def test_a_run_is_exported_checked_and_predicts(run_folder, video, tmp_path, capsys):
    cham("export", run_folder, "--out", tmp_path / "export", "--check")
    printed = said(capsys.readouterr().out)
    for program in ("TensorFlow's C library", "TensorFlow's Python"):
        assert f"Same scores as the Keras model with {program}: largest difference" in printed
    assert "Latency, C library" in printed
    assert "over 8 clips" in printed
    assert f"Next: cham predict VIDEO --model {tmp_path / 'export'}" in printed

    cham("predict", video, "--run", run_folder, "--json")
    by_run = json.loads(capsys.readouterr().out)
    cham("predict", video, "--model", tmp_path / "export", "--json", "--top-k", 2)
    by_export = json.loads(capsys.readouterr().out)
    assert by_export["top"] == [[name, pytest.approx(p, abs=1e-5)] for name, p in by_run["top"][:2]]
    assert by_run["classes"] == by_export["classes"] == list(CLASSES)

    cham("predict", video, "--model", tmp_path / "export" / "1")
    rows = [line.strip("│ ").split("│") for line in capsys.readouterr().out.splitlines()]
    shown = {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}
    assert shown == {name: f"{p:.3f}" for name, p in by_run["top"]}
    assert list(shown) == [name for name, _ in by_run["top"]]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Exactly one of --run, --model and --server must be given. Received: none"),
        (("--run", "RUN", "--model", "RUN"), "Exactly one of --run, --model and --server"),
        (("--model", "RUN"), "is no export"),
        (("--run", "nowhere"), "is no run folder"),
        (("--run", "RUN", "--top-k", 4), "`top_k` must be from 1 to the number of classes, 3"),
        (("--run", "RUN", "--weights", "w.h5"), "`weights` must be left out"),
    ],
)
def test_bad_options_of_predict_give_a_sentence(run_folder, video, options, sentence, capsys):
    options = [run_folder if option == "RUN" else option for option in options]
    assert cham("predict", video, *options) == 2
    assert sentence in said(capsys.readouterr().err)


def test_a_missing_video_gives_a_sentence(run_folder, tmp_path, capsys):
    assert cham("predict", tmp_path / "nowhere.mp4", "--run", run_folder) == 2
    assert "There is no video file" in said(capsys.readouterr().err)


def test_a_folder_in_the_place_of_a_stream_gives_a_sentence(run_folder, tmp_path, capsys):
    assert cham("predict", tmp_path, "--run", run_folder, "--stream") == 2
    assert "must be a video file. It is a folder." in said(capsys.readouterr().err)


def test_a_bad_export_gives_a_sentence_and_leaves_nothing(tmp_path, capsys):
    assert cham("export", tmp_path / "nowhere", "--out", tmp_path / "export") == 2
    assert "is no run folder" in said(capsys.readouterr().err)
    assert not (tmp_path / "export").exists()


def test_scores_that_differ_are_no_mistake_of_the_user(run_folder, tmp_path, capsys, monkeypatch):
    from cham_keras.export import ParityError, saved_model

    def differ(*_, **options):
        raise ParityError("The export must give the scores of the run.")

    monkeypatch.setattr(saved_model, "check_parity", differ)
    assert cham("export", run_folder, "--out", tmp_path / "export", "--check") == 1
    assert "The export must give the scores" in said(capsys.readouterr().err)
    assert list((tmp_path / "export").iterdir()) == []


@pytest.mark.parametrize("verb", ["export", "predict"])
def test_the_help_shows_an_example(verb, capsys):
    cham(verb, "--help")
    assert f"Example: cham {verb}" in said(capsys.readouterr().out)
